"""Why a step of a well would run again, or what its result was made from; writes nothing."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from openhcs_core.errors import InputDataError
from openhcs_core.plan import (
    PLATE_TARGET,
    PlatePlan,
    encode_plan,
    find_job,
    log_path,
    manifest_path,
    plan_digest,
)
from openhcs_core.runtime import IMAGES_OF_TABLE, Manifest, read_failure, read_manifest
from openhcs_core.session.compiling import Compilation
from openhcs_core.session.manifests import manifest_place
from openhcs_core.session.plan_history import old_indices, read_old_plan
from openhcs_core.session.snakemake_records import SnakemakeRecords
from openhcs_core.session.why.index_changes import find_image_changes
from openhcs_core.session.why.origins import with_origins
from openhcs_core.session.why.plan_differences import find_differences
from openhcs_core.session.why.reasons import (
    DoneTogether,
    EarlierChanged,
    EarlierRuns,
    Failed,
    ImagesChanged,
    InputsNewer,
    Interrupted,
    MadeFrom,
    NeverDone,
    OutputsMissing,
    PlanChanged,
    Reason,
    RuleChanged,
    Unfinished,
    Why,
)
from openhcs_core.session.why.rerun import Foreteller, Verdict, modified_s

_MOST_TOGETHER = 4
"""Of a job's other steps and wells that are told of."""


def explain_rerun(compilation: Compilation, plate: str, step: str, well: str) -> Why:
    """Say whether Snakemake would run a step for a well, and why.

    Parameters
    ----------
    compilation : Compilation
        Of today's config.
    plate, step, well : str
        As the plan has them.
    """
    number = [plan.name for plan in compilation.compiled.plates].index(plate)
    plan = compilation.compiled.plates[number]
    foreteller = Foreteller(compilation, plan, SnakemakeRecords())
    reader = _Reader(compilation, number, plan, well, foreteller)
    verdict = reader.verdict(step)
    return Why(
        plate=plate,
        step=step,
        well=well,
        would_run=verdict.would_run,
        reasons=reader.reasons(step),
        made_from=None if verdict.would_run else reader.made_from(step),
        notes=tuple(reader.notes(step)),
    )


@dataclass
class _Reader:
    """Reads what is left of one well's jobs and tells what is other today."""

    compilation: Compilation
    number: int
    plate: PlatePlan
    well: str
    foreteller: Foreteller
    _told: dict[str, tuple[Reason, ...]] = field(default_factory=dict)

    @property
    def _results(self) -> str:
        return self.compilation.compiled.results

    @cached_property
    def _folder(self) -> Path:
        return Path(self._results, self.plate.name)

    @cached_property
    def _records(self) -> SnakemakeRecords:
        return SnakemakeRecords()

    def verdict(self, step: str) -> Verdict:
        """Return whether a step would run."""
        return self.foreteller.judge(step, self._target(step))

    def _target(self, step: str) -> str:
        """Return which of a step's jobs is looked at: for the plate, the first well that runs."""
        (plan,) = (one for one in self.plate.steps if one.step_name == step)
        targets = self.plate.targets(plan)
        if self.well in targets:
            return self.well
        return self.foreteller.first_run(step, self.well) or targets[0]

    def reasons(self, step: str) -> tuple[Reason, ...]:
        """Return why a step would run, the most basic reason first; none when it would not."""
        if step not in self._told:
            is_run = self.verdict(step).would_run
            told = self.reasons_alone(step) if is_run else ()
            # a job carries one digest of all plans: that it is another one is no reason of a part
            is_whole = all(isinstance(reason, RuleChanged) for reason in told)
            others = tuple(self._tell_together(step)) if is_whole else ()
            self._told[step] = others[:_MOST_TOGETHER] or told
        return self._told[step]

    def reasons_alone(self, step: str) -> tuple[Reason, ...]:
        """Return a step's own reasons, whatever else its job does."""
        return tuple(self._tell(step))

    def _tell_together(self, step: str) -> Iterator[Reason]:
        """Yield what makes a job run that does this step as well."""
        for other, well in self.verdict(step).together:
            reader = self if well == self.well else self._reader(well)
            reasons = reader.reasons_alone(other)
            if not all(isinstance(reason, RuleChanged) for reason in reasons):
                yield DoneTogether(step=other, well=well, reasons=reasons)

    def _reader(self, well: str) -> "_Reader":
        return _Reader(self.compilation, self.number, self.plate, well, self.foreteller)

    def made_from(self, step: str) -> MadeFrom | None:
        """Return what a result was made from, None when its manifest cannot be read."""
        manifest = self._manifest(step)
        if manifest is None:
            return None
        return MadeFrom(
            digest=manifest.digest,
            source=self.verdict(step).plan.source,
            images=len(manifest.inputs),
            special=tuple(name for name in manifest.special if not name.endswith(IMAGES_OF_TABLE)),
            is_plate_wide=self.verdict(step).plan.is_plate_wide,
            versions=manifest.functions,
        )

    def notes(self, step: str) -> Iterator[str]:
        """Yield what is wrong though it makes nothing run."""
        path = manifest_place(self._folder, step, self._target(step))
        if path.exists() and self._manifest(step) is None:
            yield f"{path} is damaged or of another version; delete it and run again"

    def _tell(self, step: str) -> Iterator[Reason]:
        verdict, manifest = self.verdict(step), self._manifest(step)
        is_absent = verdict.files.outputs[0] in verdict.missing
        if is_absent:
            yield self._tell_absent(step)
        if manifest is not None and not is_absent:
            yield from self._tell_left_out(step, manifest)
        if manifest is not None and manifest.digest != plan_digest(verdict.plan):
            yield self._tell_plan(step, manifest.digest)
        if manifest is not None and verdict.files.index is not None:
            yield from self._tell_images(verdict)
        for earlier in verdict.earlier:
            yield EarlierRuns(step=earlier, reasons=self.reasons(earlier))
        if not is_absent:
            yield from self._tell_files(verdict, manifest)

    def _tell_files(self, verdict: Verdict, manifest: Manifest | None) -> Iterator[Reason]:
        """Yield what is other about a result that is there, by its files and records."""
        if verdict.missing:
            yield OutputsMissing(files=verdict.missing)
        newer = set(verdict.newer)
        if manifest is not None:
            yield from self._tell_earlier(verdict, manifest)
            # of all others it has been told what is other
            newer &= {verdict.files.plan, *verdict.files.of_wells, *verdict.files.tables}
        is_other = manifest is not None and manifest.digest != plan_digest(verdict.plan)
        if newer and not is_other:
            yield InputsNewer(files=tuple(sorted(newer)))
        if verdict.torn:
            yield Interrupted(files=verdict.torn)
        if verdict.rule and not is_other:
            yield RuleChanged(parts=verdict.rule)

    def _tell_absent(self, step: str) -> Reason:
        """Say why there is no manifest."""
        digest = plan_digest(self.verdict(step).plan)
        well = self._target(step)
        own, log = manifest_path(step, well), log_path(step, well)
        failure = read_failure(self._folder, step, well)
        if failure is not None:
            return Failed(
                message=failure.message,
                exit_code=failure.exit_code,
                log=log,
                of_this_plan=failure.digest in (None, digest),
            )
        started = modified_s(self._folder / log)
        ended = modified_s(self._folder / find_job(self.plate, step, well).benchmark)
        if started is not None and (ended is None or started > ended):
            return Unfinished(log=log)  # Snakemake measures a job when it has ended well
        full = f"{self._results}/{self.plate.name}/{own}"
        is_known = ended is not None or self._records.find(full) is not None
        return OutputsMissing(files=(own,)) if is_known else NeverDone()

    def _tell_left_out(self, step: str, manifest: Manifest) -> Iterator[Reason]:
        """Yield why a well, or what it is missing of, is tried again."""
        failures = {self._target(step): manifest.failure} if manifest.failure else manifest.left_out
        for well, failure in list(failures.items())[:1]:
            target = self._target(step) if failure.step == step else well
            yield Failed(
                message=failure.message,
                exit_code=failure.exit_code,
                log=log_path(failure.step, target),
                of_this_plan=True,
            )

    def _tell_plan(self, step: str, old_digest: str) -> PlanChanged:
        well = self._target(step)
        old = read_old_plan(self._results, self.plate.name, step, well, old_digest)
        if old is None:
            return PlanChanged(is_known=False)
        new = json.loads(encode_plan(self.verdict(step).plan))
        differences = with_origins(
            find_differences(old, new),
            self.plate,
            self.compilation.requests[self.number],
            step,
            self.plate.wells[0] if well == PLATE_TARGET else well,
            {Path(path).stem: path for path in self.compilation.config.functions},
        )
        return PlanChanged(is_known=True, differences=differences)

    def _tell_images(self, verdict: Verdict) -> Iterator[Reason]:
        """Yield what became of the well's images, where the result was made from others."""
        index = verdict.files.index
        assert index is not None
        text = self.compilation.files[f"{self._results}/{self.plate.name}/{index}"]
        old = self._old_index(verdict)
        changes = None if old is None else find_image_changes(json.loads(old), json.loads(text))
        if changes is not None:
            yield changes
        elif index in verdict.newer:
            yield InputsNewer(files=(index,)) if old else ImagesChanged(is_known=False)

    def _old_index(self, verdict: Verdict) -> bytes | None:
        """Return the index that the result was made from, as far as it is still there.

        Snakemake's record has its checksum. Without a record it is the newest one that is
        older than the result.
        """
        index = verdict.files.index
        full = f"{self._results}/{self.plate.name}/{index}"
        own = verdict.files.outputs[0]
        record = self._records.find(f"{self._results}/{self.plate.name}/{own}")
        checksum = (record.input_checksums or {}).get(full) if record else None
        well = Path(own).stem
        made = manifest_place(self._folder, Path(own).parent.name, well).stat().st_mtime_ns
        for path in old_indices(self._results, self.plate.name, well):
            if not path.exists():
                continue
            content = path.read_bytes()
            if checksum is not None:
                if f"sha256:{hashlib.sha256(content).hexdigest()}" == checksum:
                    return content
            elif path.stat().st_mtime_ns <= made:
                return content
        return None

    def _tell_earlier(self, verdict: Verdict, manifest: Manifest) -> Iterator[Reason]:
        """Yield the steps it reads from that have run since, and what came out other."""
        for step in verdict.files.steps:
            paths = {*verdict.files.special.get(step, ())}
            read = paths | {verdict.files.manifests.get(step)}
            if step in verdict.earlier or read.isdisjoint(verdict.newer) or read == {None}:
                continue
            made = self._manifest(step)
            now = {} if made is None else made.plane_digests()
            files = {} if made is None else made.files
            images = manifest.inputs if step in verdict.files.manifests else now
            yield EarlierChanged(
                step=step,
                images=tuple(_differing(images, now)),
                files=tuple(
                    path
                    for path in sorted(paths)
                    if path not in files or manifest.special.get(path) != files[path].digest
                ),
            )

    def _manifest(self, step: str) -> Manifest | None:
        try:
            return read_manifest(manifest_place(self._folder, step, self._target(step)))
        except (FileNotFoundError, InputDataError):
            return None


def _differing(read: Mapping[str, str], now: Mapping[str, str]) -> Iterator[str]:
    """Yield the planes whose digests differ, in order of their names."""
    for name in sorted(read.keys() | now.keys()):
        if read.get(name) != now.get(name):
            yield name
