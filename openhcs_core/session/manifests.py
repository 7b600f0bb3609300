"""Manifests under their final names are of today's plan and input; others are put aside.

Snakemake misses a manifest that is put aside and does its job, whatever times and its own
records say. When the edit is undone the manifest comes back as it was, with its time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from openhcs_core.plan import (
    CompiledPipeline,
    PlatePlan,
    StepPlan,
    aside_path,
    digest_bytes,
    manifest_path,
    plan_digest,
    read_names,
)
from openhcs_core.runtime import find_read_record, manifest_digest, manifest_head, records_digest
from openhcs_core.session.files import text_digest


def sort_manifests(compiled: CompiledPipeline, texts: Mapping[str, str]) -> None:
    """Put manifests aside that are not of today, and take those back that are again.

    To be called under the lock, when plans and indices are written.

    Parameters
    ----------
    texts : mapping of str to str
        Text of generated files by path, indices among them.
    """
    for plate in compiled.plates:
        manifests = Manifests(compiled.results, plate, texts)
        for step in plate.steps:
            for own, wells in plate.variants(step):
                for well in wells:
                    _sort(manifests, own, well)


def _sort(manifests: "Manifests", plan: StepPlan, well: str) -> None:
    final = manifests.folder / manifest_path(plan.step_name, well)
    place = manifest_place(manifests.folder, plan.step_name, well)
    if manifests.is_current(plan, well) == (place == final):
        return
    other = final if place != final else _aside(manifests.folder, plan.step_name, well)
    other.parent.mkdir(parents=True, exist_ok=True)
    place.rename(other)


def manifest_place(plate_dir: Path, step: str, well: str) -> Path:
    """Return where a well's manifest is: under its final name, or aside; the former if neither."""
    final = plate_dir / manifest_path(step, well)
    if final.exists():
        return final
    aside = _aside(plate_dir, step, well)
    return aside if aside.exists() else final


def aside_folder(plate_dir: Path, step: str) -> Path:
    """Return where manifests of a step lie that are not of today's plan and input."""
    return _aside(plate_dir, step, "").parent


def _aside(plate_dir: Path, step: str, well: str) -> Path:
    return plate_dir.parent / aside_path(plate_dir.name, step, well)


@dataclass
class Manifests:
    """The manifests of one plate, compared with today's plans and input.

    Attributes
    ----------
    results : str
        The folder of results.
    texts : mapping of str to str
        Text of generated files by path, as they are or will be.
    """

    results: str
    plate: PlatePlan
    texts: Mapping[str, str]
    _plan_digests: dict[int, str] = field(default_factory=dict)
    _contents: dict[str, str | None] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """``results/<plate>``."""
        return Path(self.results, self.plate.name)

    def is_current(self, plan: StepPlan, well: str) -> bool:
        """Return whether a result, if there is one, is of today's plan and input.

        A result of which it is not known what it was made from is taken for one: times tell.
        """
        head = manifest_head(manifest_place(self.folder, plan.step_name, well))
        # a well that failed is tried again, and so is what went on without it
        return not head.is_partial and self._is_of_today(plan, well, head.digest)

    def is_of_today(self, plan: StepPlan, well: str) -> bool:
        """Return whether a result, if there is one, is of today's plan and input, failed or not."""
        place = manifest_place(self.folder, plan.step_name, well)
        return self._is_of_today(plan, well, manifest_digest(place))

    def _is_of_today(self, plan: StepPlan, well: str, found: str | None) -> bool:
        if found is None:
            return True
        if found != self.plan_digest(plan):
            return False
        recorded = find_read_record(self.folder, plan.step_name, well)
        return recorded is None or self._digest_of_read(plan, well) in (None, recorded)

    def plan_digest(self, plan: StepPlan) -> str:
        """Return a plan's digest; wells that share a plan share one object."""
        if id(plan) not in self._plan_digests:
            self._plan_digests[id(plan)] = plan_digest(plan)
        return self._plan_digests[id(plan)]

    def _digest_of_read(self, plan: StepPlan, well: str) -> str | None:
        """Return the digest of what a job would read, None while an earlier step has no result."""
        digests = {name: self._content(name) for name in read_names(plan, well)}
        known = {name: digest for name, digest in digests.items() if digest is not None}
        return records_digest(known) if len(known) == len(digests) else None

    def _content(self, name: str) -> str | None:
        if name not in self._contents:
            digest = text_digest(self.texts, f"{self.results}/{self.plate.name}/{name}")
            self._contents[name] = self._read(name) if digest is None else digest
        return self._contents[name]

    def _read(self, name: str) -> str | None:
        path = Path(name)
        is_manifest = name.startswith("manifests/")
        place = self.folder / path
        if is_manifest:
            place = manifest_place(self.folder, path.parent.name, path.stem)
        try:
            return digest_bytes(place.read_bytes())
        except FileNotFoundError:
            return None
