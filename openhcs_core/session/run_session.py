"""One run of snakemake on one results folder: compile under the lock, then hold it.

A dry run, a lint and a real run look alike while the Snakefile is parsed. So the lock is
held only while compiling, and taken for good when the run really starts. While another
run holds it, this one may look on as long as nothing would change.
"""

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, reduce
from pathlib import Path

from openhcs_core.config import RUN_VARIABLE
from openhcs_core.errors import RunLockedError
from openhcs_core.plan import PLATE_TARGET, plan_folder
from openhcs_core.session.cache_size import keep_cache_size
from openhcs_core.session.cluster_jobs import forget_ended_jobs, take_over_jobs
from openhcs_core.session.compiling import Compilation, compile_workflow
from openhcs_core.session.file_times import FileTimes
from openhcs_core.session.files import PLAN_INDEX, RULES, changed_files, changed_plans, write_files
from openhcs_core.session.future_times import set_back_future_times
from openhcs_core.session.index_files import keep_plates
from openhcs_core.session.job_states import LastRun, PlateStatus
from openhcs_core.session.lost_images import remove_manifests_of_lost_images
from openhcs_core.session.manifests import sort_manifests
from openhcs_core.session.output_names import remember_outputs
from openhcs_core.session.plan_history import keep_replaced
from openhcs_core.session.plan_indices import forget_plate_indices, jobs_of_others
from openhcs_core.session.progress import NeededJob, PlannedRun, plan_run
from openhcs_core.session.regrouped import settle_regrouped
from openhcs_core.session.run_claim import (
    CHANGED_MEANWHILE,
    WAIT_FOR_IT,
    RunClaim,
    find_last_run,
)
from openhcs_core.session.run_end import end_run, forget_last_run
from openhcs_core.session.shared_jobs import put_back_shared
from openhcs_core.session.status import read_status
from openhcs_core.session.totals import GB, check_space, describe_totals, total
from openhcs_core.session.unfinished import remove_unfinished
from openhcs_core.session.version_drift import (
    describe_drift,
    find_drift,
    record_environment,
    refuse_drift,
)
from openhcs_core.session.well_plans import remove_unused_plans

DEFAULT_CONFIG = "config/config.yaml"
_logger = logging.getLogger(__name__)
_COMPILE_WAIT_S = 10.0
_LOOK_WAIT_S = 0.3
"""Who only looks whether a run is live holds the lock for less."""
_START_WAIT_S = 2.0


class RunSession:
    """Compiles a config and guards its results folder.

    Parameters
    ----------
    config_path : str
        The config file.
    plate : str, optional
        The one plate of it to work on, beside runs of others; all unless given.
    """

    def __init__(self, config_path: str = DEFAULT_CONFIG, plate: str | None = None) -> None:
        self._config_path, self._plate = config_path, plate
        self._claim: RunClaim | None = None
        self._compilation: Compilation | None = None

    def compile(self) -> Compilation:
        """Compile and write what changed.

        Raises
        ------
        ErrorGroup, OpenHCSError
            See :func:`~openhcs_core.session.compiling.compile_workflow`.
        RunLockedError
            A live run works on this results folder and the config would change its plans.
        DiskFullError
            There is no room for what is not done yet, as far as predicted.
        ConfigError
            Results were made with other versions, and the config refuses that.
        """
        compilation, claim = self._compile()
        try:
            self._compilation = self._write(compilation, claim)
        finally:
            claim.close()
        check_space(self._compilation)
        return self._compilation

    def _compile(self) -> tuple[Compilation, RunClaim]:
        """Compile; return it with the right to write, which is not taken yet."""
        compilation = self._with_drift(compile_workflow(self._config_path, self._plate))
        return compilation, self._claim_of(compilation)

    def _claim_of(self, compilation: Compilation) -> RunClaim:
        compiled = compilation.compiled
        plates = [plate.name for plate in compiled.plates]
        return RunClaim(Path(compiled.results), plates, self._plate)

    def _write(self, compilation: Compilation, claim: RunClaim) -> Compilation:
        if claim.take(_LOOK_WAIT_S):
            return self._write_alone(compilation)
        looking = self._as_the_live_run(compilation)
        differing = changed_plans(looking.files)
        if differing and claim.take(_COMPILE_WAIT_S):
            return self._write_alone(compilation)
        results = compilation.compiled.results
        if set(differing) <= self._own_files(results) and not claim.is_same_live():
            write_files({path: looking.files[path] for path in differing})
        elif differing:
            raise RunLockedError(
                f"another run ({claim.owner()}) works on {results} and this config "
                f"would change {len(differing)} of its files (first: {differing[0]}); "
                f"{WAIT_FOR_IT}"
            )
        text = (
            f"another run ({claim.owner()}) works on {results}; until it ends only -n is possible"
        )
        return _warned(looking, text)

    def _write_alone(self, compilation: Compilation) -> Compilation:
        files, results = compilation.files, compilation.compiled.results
        ahead = set_back_future_times(compilation.compiled)
        changed = {path: files[path] for path in changed_files(files)}
        if self._plate is None:
            forget_plate_indices(Path(results))
        keep_replaced(compilation.compiled, list(changed))
        times = FileTimes(results)
        times.write(changed, compilation.compiled)
        if changed:
            remember_outputs(compilation.compiled)
        remove_unused_plans(compilation.compiled, times)
        sort_manifests(compilation.compiled, files)
        remove_manifests_of_lost_images(compilation.compiled)
        settle_regrouped(compilation.compiled, files)
        keep_plates(compilation.plates, files, Path(results))
        return compilation if ahead is None else _warned(compilation, ahead)

    def _as_the_live_run(self, compilation: Compilation) -> Compilation:
        """Return a compilation whose jobs are cut as before, whatever they took meanwhile."""
        if not changed_plans(compilation.files):
            return compilation
        as_before = compile_workflow(self._config_path, self._plate, keeps_cut=True)
        return replace(as_before, warnings=compilation.warnings)

    def _own_files(self, results: str) -> set[str]:
        """Return what only runs like this one read: of all plates, or of this one alone."""
        folder = f"{results}/{plan_folder(self._plate)}"
        return {f"{folder}/{PLAN_INDEX}", f"{folder}/{RULES}"}

    def _with_drift(self, compilation: Compilation) -> Compilation:
        """Return a compilation with a warning if results were made with other versions."""
        if compilation.config.version_drift == "ignore":
            return compilation
        drift = find_drift(compilation.compiled)
        if compilation.config.version_drift == "refuse":
            refuse_drift(drift, self._config_path)
        return reduce(_warned, describe_drift(drift), compilation)

    def start(
        self,
        jobs: Iterable[NeededJob] = (),
        logger: logging.Logger | None = None,
        cluster_name: str | None = None,
    ) -> None:
        """Take the lock for the whole run; tell a logger what the run is to do.

        Parameters
        ----------
        jobs : iterable of NeededJob
            The jobs that the workflow engine is about to run.
        logger : logging.Logger, optional
            Gets one record, with a :class:`PlannedRun` as its ``openhcs_run``.
        cluster_name : str, optional
            The name that jobs of this run have in a Slurm queue.

        Raises
        ------
        RunLockedError
            Another run has it, or changed the plans after this one read them.
        """
        compilation = self._compilation or self.compile()
        claim = self._claim_of(compilation)
        _take(claim, compilation)
        if changed_plans(compilation.files):
            raise RunLockedError(f"{CHANGED_MEANWHILE}; run the command again")
        os.environ[RUN_VARIABLE] = claim.sign()
        self._claim = claim
        results, told = compilation.compiled.results, logger or _logger
        take_over_jobs(results, cluster_name, told, self._plate)
        is_alone = self._plate is None
        remove_unfinished(compilation.compiled, compilation.cache_root, is_alone=is_alone)
        forget_last_run(compilation.compiled)
        planned = plan_run(compilation.compiled, jobs)
        if busy := [plate.name for plate in planned.plates if any(plate.todo.values())]:
            record_environment(compilation.compiled, busy)
        if logger is not None:
            text = f"{planned.describe()}; {_predict(compilation, planned)}"
            logger.info(text, extra={"openhcs_run": planned})

    @contextmanager
    def alone(self) -> Iterator[Compilation]:
        """Compile, write what changed, and keep other runs away until the block ends.

        Raises
        ------
        ErrorGroup, OpenHCSError
            Config or plates are wrong, or results were made with other versions and the config
            refuses that.
        RunLockedError
            A live run works on this results folder.
        """
        compilation, claim = self._compile()
        try:
            _take(claim, compilation)
            yield self._write(compilation, claim)
        finally:
            claim.close()

    def end(self) -> str:
        """Write what came of the run; return it as text for people.

        Returns
        -------
        str
            Empty when the run never started.
        """
        if self._claim is None or self._compilation is None:
            return ""
        forget_ended_jobs(self._compilation.compiled.results, self._plate)
        put_back_shared(self._compilation.compiled)
        text = end_run(self._compilation, LastRun(self._claim.signed))
        compiled = self._compilation.compiled
        names = frozenset(plate.name for plate in compiled.plates)
        others = jobs_of_others(Path(compiled.results), names)
        return "\n".join(filter(None, (text, keep_cache_size(self._compilation, others))))

    def status(self) -> list[PlateStatus]:
        """Return what came of the last run, or comes of one that goes on; write nothing.

        Raises
        ------
        ErrorGroup, OpenHCSError
            Config or plates are wrong.
        """
        compilation = compile_workflow(self._config_path, self._plate)
        results = Path(compilation.compiled.results)
        return read_status(compilation, lambda plate: find_last_run(results, plate))


@cache
def _session_for(config_path: str, plate: str | None) -> RunSession:
    return RunSession(config_path, plate)


def session_for(config_path: str, plate: object = None) -> RunSession:
    """Return this process's session of a config, the same for every Snakefile that asks.

    Parameters
    ----------
    plate : str or list, optional
        The one plate to work on; see :func:`chosen_plate`.
    """
    return _session_for(config_path, chosen_plate(plate))


def chosen_plate(plate: object) -> str | None:
    """Return the name that ``--config plate=NAME`` gives, None without any.

    Snakemake takes a name of digits for a number; in a list, ``plate=[007]``, it stays text.
    """
    if isinstance(plate, list) and len(plate) == 1:
        (plate,) = plate
    return None if plate is None else str(plate)


def _predict(compilation: Compilation, planned: PlannedRun) -> str:
    """Return what is predicted of the jobs of a run."""
    counts = {
        plan.name: {
            step: len({*plan.wells, PLATE_TARGET} & {*todo}) for step, todo in plan.todo.items()
        }
        for plan in planned.plates
    }
    plates = [(plate, counts[plate.name]) for plate in compilation.compiled.plates]
    return describe_totals(total(plates, compilation.config.storage.cache_gb * GB))


def _warned(compilation: Compilation, text: str) -> Compilation:
    return replace(compilation, warnings=(*compilation.warnings, text))


def _take(claim: RunClaim, compilation: Compilation) -> None:
    """Take the right to run, or say who has it."""
    if not claim.take(_START_WAIT_S):
        raise RunLockedError(
            f"another run ({claim.owner()}) works on {compilation.compiled.results}; {WAIT_FOR_IT}"
        )
