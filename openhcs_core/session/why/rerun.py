"""Which jobs of a well Snakemake would run, foretold by its own rule from files and records.

A job runs when an output is missing or torn, when an input is newer than its oldest output
and not the same by checksum, when its rule is another one, or when a job it reads from runs.
Plans and indices count as they will be once compiled; nothing is written here.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import inf
from pathlib import Path

from openhcs_core.plan import (
    PLATE_TARGET,
    CompiledPipeline,
    JobScope,
    PlatePlan,
    StepPlan,
    find_job,
)
from openhcs_core.session.compiling import Compilation
from openhcs_core.session.file_times import FileTimes
from openhcs_core.session.files import is_held
from openhcs_core.session.manifests import Manifests, manifest_place
from openhcs_core.session.snakemake_records import Record, SnakemakeRecords
from openhcs_core.session.why.job_files import JobFiles, WholeJob, job_files, whole_job

_NS = 1e9
_MOST_CHECKED_BYTES = 1_000_000
"""Snakemake's ``--max-checksum-file-size``: larger files are never the same."""
_TIMESTAMP = ".snakemake_timestamp"
"""File in a ``directory()`` output that carries the folder's time."""


@dataclass(frozen=True)
class Verdict:
    """What makes Snakemake run a job; nothing when it would not.

    Attributes
    ----------
    plan : StepPlan
        Today's.
    files : JobFiles
        Of the job.
    missing, newer, torn : tuple of str
        Outputs that are not there; inputs newer than the result and not known to be the same;
        outputs of a job that has not ended. Relative to the plate's results.
    rule : tuple of str
        Parts of the rule that are not as recorded.
    earlier : tuple of str
        Steps it reads from that run.
    together : tuple of (str, str)
        Steps and wells that the same job does and that run for reasons of their own.
    is_outdated : bool
        The manifest is of another plan or input: compiling puts it aside.
    """

    plan: StepPlan
    files: JobFiles
    missing: tuple[str, ...] = ()
    newer: tuple[str, ...] = ()
    torn: tuple[str, ...] = ()
    rule: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    together: tuple[tuple[str, str], ...] = ()
    is_outdated: bool = False

    @property
    def would_run(self) -> bool:
        """Whether Snakemake would run the job."""
        causes = (self.missing, self.newer, self.torn, self.rule, self.earlier, self.together)
        return self.is_outdated or any(causes)


def foretell_well(
    compilation: Compilation, plate: PlatePlan, well: str, records: SnakemakeRecords | None = None
) -> dict[str, Verdict]:
    """Return for each step of a well whether Snakemake would run it.

    Parameters
    ----------
    records : SnakemakeRecords, optional
        Those of the working directory unless given.

    Returns
    -------
    dict of Verdict
        By step, in pipeline order.
    """
    records = records or SnakemakeRecords()
    foreteller = Foreteller(compilation, plate, records)
    return {
        plan.step_name: foreteller.judge(
            plan.step_name, PLATE_TARGET if plan.is_plate_wide else well
        )
        for plan in plate.steps
    }


class Foreteller:
    """Foretells jobs of one plate, each when it is asked for or a later one reads from it.

    Parameters
    ----------
    compilation, plate
        Today's, and one of its plates.
    records : SnakemakeRecords
        Those of the working directory.
    """

    def __init__(
        self, compilation: Compilation, plate: PlatePlan, records: SnakemakeRecords
    ) -> None:
        self._results, self._texts = compilation.compiled.results, compilation.files
        self._plate, self._records = plate, records
        self._plans = {plan.step_name: plan for plan in plate.steps}
        self._readers: dict[str, _WellReader] = {}
        self._verdicts: dict[tuple[str, str], Verdict] = {}
        self._jobs: dict[JobScope, WholeJob] = {}

    def judge(self, step: str, target: str) -> Verdict:
        """Return the verdict on a step of a well, or of the plate."""
        verdict = self._judge_alone(step, target)
        others = (one for one in self._job(step, target).scope.members if one != (step, target))
        together = tuple(one for one in others if self._judge_alone(*one).would_run)
        return replace(verdict, together=together)

    def _judge_alone(self, step: str, target: str) -> Verdict:
        """Return the verdict, whatever else the same job does."""
        key = (step, target)
        if key not in self._verdicts:
            job = self._job(step, target)
            if target not in self._readers:
                self._readers[target] = _WellReader(
                    self._results, self._plate, target, self._texts, self._records
                )
            plan = self._plate.step_plan(self._plans[step], target)
            self._verdicts[key] = self._readers[target].judge(
                plan,
                job,
                lambda earlier: (
                    earlier not in job.scope.steps and self.first_run(earlier, target) is not None
                ),
            )
        return self._verdicts[key]

    def _job(self, step: str, target: str) -> WholeJob:
        scope = find_job(self._plate, step, target)
        if scope not in self._jobs:
            self._jobs[scope] = whole_job(self._plate, scope)
        return self._jobs[scope]

    def first_run(self, step: str, reader: str) -> str | None:
        """Return the first target of a step that would run, of those that a job reads.

        Parameters
        ----------
        reader : str
            The job's well, or the plate, which reads all wells.
        """
        targets = self._plate.targets(self._plans[step])
        chosen = (reader,) if reader in targets else targets
        return next((one for one in chosen if self.judge(step, one).would_run), None)


@dataclass
class _WellReader:
    """Looks at the files of one well's jobs."""

    results: str
    plate: PlatePlan
    well: str
    texts: Mapping[str, str]
    records: SnakemakeRecords
    _held: dict[str, bool] = field(default_factory=dict)

    @cached_property
    def _manifests(self) -> Manifests:
        return Manifests(self.results, self.plate, self.texts)

    def judge(self, plan: StepPlan, job: WholeJob, would_run: Callable[[str], bool]) -> Verdict:
        """Return the verdict on a step; `would_run` tells of those that it reads from."""
        files = job_files(self.plate, plan, self.well)
        missing = [name for name in files.outputs if not self._path(name).exists()]
        return Verdict(
            plan=plan,
            files=files,
            missing=tuple(missing),
            newer=tuple(self._newer(files, job)),
            torn=tuple(
                name
                for name in files.outputs
                if name not in missing and self.records.is_unfinished(self._full(name))
            ),
            rule=tuple(self._rule_changes(job)),
            earlier=tuple(step for step in files.steps if would_run(step)),
            is_outdated=not self._manifests.is_current(plan, self.well),
        )

    def _newer(self, files: JobFiles, job: WholeJob) -> Iterator[str]:
        made = [self._path(name) for name in job.outputs]
        made.append(self._path(job.scope.benchmark))  # counts as an output
        times = [time for path in made if (time := modified_s(path)) is not None]
        oldest = min(times, default=inf)
        for name in files.inputs:
            time = self._time(name) if name in job.inputs else None
            if time is not None and time > oldest and not self._is_same(name, job):
                yield name

    def _time(self, name: str) -> float | None:
        """Return the modification time that an input has once compiled."""
        if not self._will_be_written(name):
            return modified_s(self._path(name))
        full = self._full(name)
        compiled = CompiledPipeline(results=self.results, plates=(self.plate,))
        known_ns = FileTimes(self.results).foretell(full, self.texts[full], compiled)
        return inf if known_ns is None else known_ns / _NS

    def _will_be_written(self, name: str) -> bool:
        if self._full(name) not in self.texts:
            return False
        if name not in self._held:
            self._held[name] = is_held(self.texts, self._full(name))
        return not self._held[name]

    def _is_same(self, name: str, job: WholeJob) -> bool:
        """Return whether all outputs were made from just this content, by their records."""
        text = self.texts.get(self._full(name))
        content = self._path(name).read_bytes() if text is None else text.encode()
        records = self._records(job)
        recorded = {
            (record.input_checksums or {}).get(self._full(name)) if record else None
            for record in records
        }
        checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
        return len(content) <= _MOST_CHECKED_BYTES and recorded == {checksum}

    def _rule_changes(self, job: WholeJob) -> Iterator[str]:
        records = self._records(job)
        known = [record for record in records if record is not None and record.is_current]
        if len(known) < len(records):  # without them Snakemake does not compare
            return
        inputs = sorted(map(self._full, job.inputs))
        rules = self.texts[f"{self.results}/.plan/rules.smk"]
        if any(record.params not in (None, [repr(job.digest)]) for record in known):
            yield "params"
        if any(record.input not in (None, inputs) for record in known):
            yield "input"
        if any(record.code is not None and _literal(record.code) not in rules for record in known):
            yield "code"

    def _records(self, job: WholeJob) -> list[Record | None]:
        return [self.records.find(self._full(name)) for name in job.outputs]

    def _full(self, name: str) -> str:
        return f"{self.results}/{self.plate.name}/{name}"

    def _path(self, name: str) -> Path:
        """Return where a file is; a manifest may be aside, and come back when it is of today."""
        if name.startswith("manifests/"):
            path = Path(name)
            return manifest_place(self._manifests.folder, path.parent.name, path.stem)
        return Path(self._full(name))


def modified_s(path: Path) -> float | None:
    """Return a modification time as Snakemake takes it, in s; None of what is not there."""
    try:
        if path.is_dir() and (path / _TIMESTAMP).exists():
            path = path / _TIMESTAMP
        return path.stat().st_mtime
    except FileNotFoundError:
        return None


def _literal(command: str) -> str:
    """Return a command as rules have it."""
    return json.dumps(command, ensure_ascii=False)
