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
from math import inf
from pathlib import Path

from openhcs_core.config import RUN_VARIABLE
from openhcs_core.errors import RunLockedError
from openhcs_core.plan import PLATE_TARGET, RUN_LOCK
from openhcs_core.runtime import RunLock
from openhcs_core.session.cache_size import keep_cache_size
from openhcs_core.session.cluster_jobs import forget_ended_jobs, take_over_jobs
from openhcs_core.session.compiling import Compilation, compile_workflow
from openhcs_core.session.file_times import FileTimes
from openhcs_core.session.files import changed_files, changed_plans
from openhcs_core.session.future_times import set_back_future_times
from openhcs_core.session.lost_images import remove_manifests_of_lost_images
from openhcs_core.session.manifests import sort_manifests
from openhcs_core.session.output_names import remember_outputs
from openhcs_core.session.plan_history import keep_replaced
from openhcs_core.session.progress import NeededJob, PlannedRun, plan_run
from openhcs_core.session.regrouped import read_cut, settle_regrouped
from openhcs_core.session.run_end import end_run, forget_last_run
from openhcs_core.session.shared_jobs import put_back_shared
from openhcs_core.session.status import LastRun, PlateStatus, read_status
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
_START_WAIT_S = 2.0


class RunSession:
    """Compiles a config and guards its results folder.

    Parameters
    ----------
    config_path : str
        The config file.
    """

    def __init__(self, config_path: str = DEFAULT_CONFIG) -> None:
        self._config_path = config_path
        self._lock: RunLock | None = None
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
        compilation = self._with_drift(compile_workflow(self._config_path))
        lock = RunLock(_lock_path(compilation))
        try:
            self._compilation = self._write(compilation, lock)
        finally:
            lock.close()
        check_space(self._compilation)
        return self._compilation

    def _write(self, compilation: Compilation, lock: RunLock) -> Compilation:
        files, results = compilation.files, compilation.compiled.results
        if lock.take() or (changed_plans(files) and lock.take(_COMPILE_WAIT_S)):
            ahead = set_back_future_times(compilation.compiled)
            changed = {path: files[path] for path in changed_files(files)}
            cut = read_cut(results)
            keep_replaced(compilation.compiled, list(changed))
            times = FileTimes(results)
            times.write(changed, compilation.compiled)
            if changed:
                remember_outputs(compilation.compiled)
            remove_unused_plans(compilation.compiled, times)
            sort_manifests(compilation.compiled, files)
            remove_manifests_of_lost_images(compilation.compiled)
            settle_regrouped(compilation.compiled, files, cut)
            return compilation if ahead is None else _warned(compilation, ahead)
        if differing := changed_plans(files):
            raise RunLockedError(
                f"another run ({lock.owner()}) works on {results} and this config "
                f"would change {len(differing)} of its files (first: {differing[0]}); "
                "wait for it, or stop it"
            )
        text = f"another run ({lock.owner()}) works on {results}; until it ends only -n is possible"
        return _warned(compilation, text)

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
        lock = RunLock(_lock_path(compilation))
        _take(lock, compilation)
        if changed_plans(compilation.files):
            raise RunLockedError("another run changed the plans meanwhile; run the command again")
        os.environ[RUN_VARIABLE] = lock.sign()
        self._lock = lock
        take_over_jobs(compilation.compiled.results, cluster_name, logger or _logger)
        remove_unfinished(compilation.compiled, compilation.cache_root)
        forget_last_run(compilation.compiled)
        planned = plan_run(compilation.compiled, jobs)
        if any(targets for plate in planned.plates for targets in plate.todo.values()):
            record_environment(compilation.compiled.results)
        if logger is not None:
            text = f"{planned.describe()}; {_predict(compilation, planned)}"
            logger.info(text, extra={"openhcs_run": planned})

    @contextmanager
    def alone(self) -> Iterator[Compilation]:
        """Compile, write what changed, and keep other runs away until the block ends.

        Raises
        ------
        ErrorGroup, OpenHCSError
            Config or plates are wrong.
        RunLockedError
            A live run works on this results folder.
        """
        compilation = compile_workflow(self._config_path)
        lock = RunLock(_lock_path(compilation))
        try:
            _take(lock, compilation)
            yield self._write(compilation, lock)
        finally:
            lock.close()

    def end(self) -> str:
        """Write what came of the run; return it as text for people.

        Returns
        -------
        str
            Empty when the run never started.
        """
        if self._lock is None or self._compilation is None:
            return ""
        forget_ended_jobs(self._compilation.compiled.results)
        put_back_shared(self._compilation.compiled)
        text = end_run(self._compilation, LastRun(self._lock.signed))
        return "\n".join(filter(None, (text, keep_cache_size(self._compilation))))

    def status(self) -> list[PlateStatus]:
        """Return what came of the last run, or comes of one that goes on; write nothing.

        Raises
        ------
        ErrorGroup, OpenHCSError
            Config or plates are wrong.
        """
        compilation = compile_workflow(self._config_path)
        path = _lock_path(compilation)
        if not path.exists():  # nothing has run yet
            return read_status(compilation, LastRun(inf))
        lock = RunLock(path)
        run = LastRun(lock.signed, is_live=not lock.take())
        lock.close()  # nobody waits for this one while it reads
        return read_status(compilation, run)


@cache
def session_for(config_path: str) -> RunSession:
    """Return this process's session of a config, the same for every Snakefile that asks."""
    return RunSession(config_path)


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


def _take(lock: RunLock, compilation: Compilation) -> None:
    """Take the lock, or say who has it."""
    if not lock.take(_START_WAIT_S):
        raise RunLockedError(
            f"another run ({lock.owner()}) works on {compilation.compiled.results}; "
            "wait for it, or stop it"
        )


def _lock_path(compilation: Compilation) -> Path:
    return Path(compilation.compiled.results) / RUN_LOCK
