"""One well of a plate: its index, manifests, files and kept images against its plans."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.microscopes import INDEX_VERSION
from openhcs_core.plan import (
    StepPlan,
    digest_bytes,
    image_folder,
    index_path,
    manifest_path,
    plan_digest,
    plan_path,
    readable_json,
    store_path,
    taken_files,
)
from openhcs_core.runtime import (
    ImageCache,
    Manifest,
    encode_manifest,
    image_metadata,
    label_digest,
    plane_digest,
    read_failure,
    read_manifest,
)
from openhcs_core.session.manifests import manifest_place
from openhcs_core.session.verification.plans import PlannedPlate
from openhcs_core.session.verification.problems import (
    RUN,
    Kind,
    Problem,
    make_again,
    of_findings,
)
from openhcs_core.session.verification.raw_images import RawImages
from openhcs_core.session.verification.records import Mismatch, compare_manifest, plane_forms
from openhcs_core.storage import (
    Finding,
    WrittenImages,
    check_tiff_folder,
    check_well,
    first_difference,
)

_RECORDED = len(("name", "path", "size", "time"))
_INDEX_AGAIN = f"{RUN}, which indexes the plate and does the well again"


@dataclass
class WellReport:
    """What came of a well.

    Attributes
    ----------
    problems : list of Problem
        In the order of steps.
    sound : set of str
        Steps whose manifest and files are right.
    size_bytes : int
        Bytes that were read.
    """

    problems: list[Problem] = field(default_factory=list)
    sound: set[str] = field(default_factory=set)
    size_bytes: int = 0


@dataclass(frozen=True)
class WellVerifier:
    """Verifies wells of one plate, several at a time in threads.

    Attributes
    ----------
    plate : PlannedPlate
        The plans.
    digests : mapping of int to str
        Digest of each plan by its id.
    cache : ImageCache or None
        Where images of steps that are not kept may be.
    raw : RawImages or None
        The plate's images; None leaves them out.
    """

    plate: PlannedPlate
    digests: Mapping[int, str]
    cache: ImageCache | None
    raw: RawImages | None

    def verify(self, well: str) -> WellReport:
        """Return what is wrong with a well."""
        report = WellReport()
        index = self._read_index(well, report)
        manifests: dict[str, Manifest] = {}
        absent: set[str] = set()
        for step in self.plate.plan.steps:
            if step.is_plate_wide:
                continue
            plan = self.plate.plan.step_plan(step, well)
            path = manifest_place(self.plate.folder, plan.step_name, well)
            if not path.exists():
                sources = {plan.source, *taken_files(plan)}
                if not sources & absent:  # what comes after a missing one goes without saying
                    report.problems.append(self.missing(plan, well, path))
                absent.add(plan.step_name)
                continue
            manifest = self._read_manifest(path, plan, well, manifests, report)
            if manifest is None:
                continue
            manifests[plan.step_name] = manifest
            before = len(report.problems)
            self.check_files(manifest, path, report)
            if len(report.problems) == before:
                report.sound.add(plan.step_name)
            self._check_images(manifest, plan, path, report)
        if index is not None and self.raw is not None:
            made = {step: m for step, m in manifests.items() if self._reads_plate(step)}
            report.problems += self.raw.check(well, index, made)
            report.size_bytes += self.raw.size_bytes(index)
        return report

    def _reads_plate(self, step: str) -> bool:
        return any(p.source is None for p in self.plate.plan.steps if p.step_name == step)

    def missing(self, plan: StepPlan, well: str, path: Path) -> Problem:
        """Return that a result is not there, and why."""
        failure = read_failure(self.plate.folder, plan.step_name, well)
        if failure is not None and failure.digest in (None, self.digests[id(plan)]):
            return Problem("missing", str(path), "", f"the job failed: {failure.message}", RUN)
        return Problem("missing", str(path), "", "the job has not been done", RUN)

    def _read_index(self, well: str, report: WellReport) -> Any | None:
        """Return a well's index, None when it is missing or damaged."""
        path = self.plate.folder / index_path(well)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            problem = Problem("missing", str(path), "the well's images", "no such file", RUN)
            report.problems.append(problem)
            return None
        try:
            index = json.loads(data)
            text = readable_json(index).encode()
            is_ours = index["well"] == well and index["schema_version"] == INDEX_VERSION
            is_ours = is_ours and all(len(image) == _RECORDED for image in index["images"])
        except (ValueError, LookupError, TypeError):
            is_ours, text = False, b""
        if not is_ours or text != data:
            expected, found = first_difference(text, data) if is_ours else ("an index", "another")
            problem = Problem("altered", str(path), expected, found, _INDEX_AGAIN)
            report.problems.append(problem)
            return None
        return index

    def _read_manifest(
        self,
        path: Path,
        plan: StepPlan,
        well: str,
        upstream: Mapping[str, Manifest],
        report: WellReport,
    ) -> Manifest | None:
        """Return a manifest that is right; the first thing that is wrong with it is reported."""
        mend = make_again(path)
        try:
            manifest = read_manifest(path)
        except InputDataError:
            what = Problem("altered", str(path), "a manifest", "something else", mend)
            report.problems.append(what)
            return None
        if (text := encode_manifest(manifest)) != (data := path.read_bytes()):
            differs = Problem("altered", str(path), *first_difference(text, data), mend)
            report.problems.append(differs)
            return None
        if manifest.failure is not None:
            if manifest.failure.step == plan.step_name:  # later steps pass it on
                reason = f"the well is left out: {manifest.failure.message}"
                report.problems.append(Problem("missing", str(path), "", reason, RUN))
            return None
        wrong = self._first_mismatch(manifest, plan, well, upstream)
        if wrong is None:
            return manifest
        kind: Kind = "stale" if wrong.is_stale else "altered"
        final = self.plate.folder / manifest_path(plan.step_name, well)
        mend = mend if path == final else RUN
        report.problems.append(Problem(kind, str(final), wrong.expected, wrong.found, mend))
        return None

    def _first_mismatch(
        self, manifest: Manifest, plan: StepPlan, well: str, upstream: Mapping[str, Manifest]
    ) -> Mismatch | None:
        digest = self.digests[id(plan)]
        if manifest.digest != digest:
            return Mismatch(
                f"a result of today's plan {digest}",
                f"one of plan {manifest.digest}",
                is_stale=self.is_edited(plan, well),
            )
        if wrong := next(compare_manifest(manifest, plan, well, upstream), None):
            return wrong
        return None if plan.store is not None else self._compare_cached(manifest)

    def is_edited(self, plan: StepPlan, well: str) -> bool:
        """Return whether the plan was written after the manifest, as an edit does."""
        folder = self.plate.folder
        manifest = manifest_place(folder, plan.step_name, well)
        if not manifest.is_relative_to(folder):
            return True  # compiling put it aside
        own = folder / plan_path(plan.step_name, well)
        plan_file = own if own.exists() else folder / plan_path(plan.step_name)
        return plan_file.stat().st_mtime_ns > manifest.stat().st_mtime_ns

    def _compare_cached(self, manifest: Manifest) -> Mismatch | None:
        """Return a stack of another form than in the cache, unless the cache is wrong."""
        for stack in manifest.images if self.cache is not None else ():
            assert self.cache is not None
            form = self.cache.read_form(stack.object)
            if form in (None, (stack.dtype, stack.shape)):
                continue
            if self.cache.check(self.cache.path(stack.object)) is None:
                return Mismatch(f"{form} as in the cache", f"{(stack.dtype, stack.shape)}")
        return None

    def check_files(self, manifest: Manifest, path: Path, report: WellReport) -> None:
        """Compare files with what their manifest says."""
        for name, record in manifest.files.items():
            file, expected = self.plate.folder / name, f"{record.size_bytes} bytes"
            try:
                content = file.read_bytes()
            except FileNotFoundError:
                found = Finding("missing", file, expected, "no such file")
            else:
                report.size_bytes += len(content)
                digest = digest_bytes(content)
                if (len(content), digest) == (record.size_bytes, record.digest):
                    continue
                found = Finding(
                    "altered",
                    file,
                    f"{expected} of digest {record.digest}",
                    f"{len(content)} of digest {digest}",
                )
            report.problems += of_findings([found], make_again(path))

    def _check_images(
        self, manifest: Manifest, plan: StepPlan, path: Path, report: WellReport
    ) -> None:
        if plan.store is None:
            return
        try:
            findings, size_bytes = self._find_images(manifest, plan)
        except StorageResolutionError as error:  # images on none of the plan's axes
            findings = [Finding("altered", path, "images of the plate's axes", str(error))]
            size_bytes = 0
        report.size_bytes += size_bytes
        report.problems += of_findings(findings, make_again(path))

    def _find_images(self, manifest: Manifest, plan: StepPlan) -> tuple[list[Finding], int]:
        store, folder = plan.store, self.plate.folder
        assert store is not None
        written = WrittenImages(
            manifest.well, plane_forms(manifest), manifest.labels, plane_digest, label_digest
        )
        if store.backend is Backend.ZARR and store.zarr is not None:
            place = folder / store_path(plan.step_name, store.sub_dir)
            return check_well(place, written, image_metadata(store), store.zarr)
        place = folder / image_folder(plan.step_name, manifest.well, store.sub_dir)
        return check_tiff_folder(place, written, store.scale_um[1])


def digests_of(plate: PlannedPlate) -> dict[int, str]:
    """Return the digest of each of a plate's plans by its id; wells share plans."""
    plan = plate.plan
    return {
        id(own): plan_digest(own)
        for step in plan.steps
        for own in (step, *plan.well_steps.get(step.step_name, {}).values())
    }
