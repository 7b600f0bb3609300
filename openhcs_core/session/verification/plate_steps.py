"""Steps over the whole plate: their manifests and files against plans and what wells have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import InputDataError, shortened
from openhcs_core.plan import (
    PLATE_TARGET,
    StepPlan,
    manifest_path,
    source_wells,
    taken_files,
    taken_tables,
)
from openhcs_core.runtime import (
    Manifest,
    TableInputs,
    digest_of_taken,
    encode_manifest,
    read_manifest,
)
from openhcs_core.session.manifests import manifest_place
from openhcs_core.session.verification.plans import PlannedPlate
from openhcs_core.session.verification.problems import RUN, Kind, Problem, make_again
from openhcs_core.session.verification.records import Mismatch, compare_record
from openhcs_core.session.verification.wells import WellReport, WellVerifier
from openhcs_core.storage import first_difference


@dataclass(frozen=True)
class PlateStepVerifier:
    """Verifies the steps over one plate, after its wells.

    Attributes
    ----------
    plate : PlannedPlate
        The plans.
    wells : WellVerifier
        Checks files, and knows the digests of plans.
    reports : mapping of str to WellReport
        What came of the wells.
    """

    plate: PlannedPlate
    wells: WellVerifier
    reports: Mapping[str, WellReport]

    def verify(self) -> WellReport:
        """Return what is wrong with them."""
        report = WellReport()
        made: dict[str, Manifest] = {}
        for plan in self.plate.plan.steps:
            if plan.is_plate_wide:
                self._verify(plan, report, made)
        return report

    def _verify(self, plan: StepPlan, report: WellReport, made: dict[str, Manifest]) -> None:
        path = manifest_place(self.plate.folder, plan.step_name, PLATE_TARGET)
        if not path.exists():
            if self._is_next(plan, made):
                report.problems.append(self.wells.missing(plan, PLATE_TARGET, path))
            return
        manifest = self._read(path, report)
        if manifest is None:
            return
        wrong = next(self._mismatches(manifest, plan, made), None)
        if wrong is not None:
            kind: Kind = "stale" if wrong.is_stale else "altered"
            final = self.plate.folder / manifest_path(plan.step_name, PLATE_TARGET)
            mend = make_again(path) if path == final else RUN
            report.problems.append(Problem(kind, str(final), wrong.expected, wrong.found, mend))
            return
        made[plan.step_name] = manifest
        if manifest.left_out:
            without = f"one without {shortened(list(manifest.left_out))}, which failed"
            what = ("a result of all wells", without)
            report.problems.append(Problem("missing", str(path), *what, RUN))
        before = len(report.problems)
        self.wells.check_files(manifest, path, report)
        if len(report.problems) == before:
            report.sound.add(plan.step_name)

    def _is_next(self, plan: StepPlan, made: Mapping[str, Manifest]) -> bool:
        """Return whether all that a step reads is there: else its absence goes without saying."""
        folder = self.plate.folder
        if plan.source is not None:
            wells = source_wells(plan, PLATE_TARGET)
            if not all(manifest_place(folder, plan.source, well).exists() for well in wells):
                return False
        tables = all((folder / name).exists() for name in taken_tables(plan))
        return tables and made.keys() >= taken_files(plan).keys()

    def _read(self, path: Path, report: WellReport) -> Manifest | None:
        try:
            manifest = read_manifest(path)
        except InputDataError:
            wrong = ("a manifest", "something else")
        else:
            text, data = encode_manifest(manifest), path.read_bytes()
            if text == data:
                return manifest
            wrong = first_difference(text, data)
        report.problems.append(Problem("altered", str(path), *wrong, make_again(path)))
        return None

    def _mismatches(
        self, manifest: Manifest, plan: StepPlan, made: Mapping[str, Manifest]
    ) -> Iterator[Mismatch]:
        digest = self.wells.digests[id(plan)]
        if manifest.digest != digest:
            yield Mismatch(
                f"a result of today's plan {digest}",
                f"one of plan {manifest.digest}",
                is_stale=self.wells.is_edited(plan, PLATE_TARGET),
            )
        yield from compare_record(manifest, plan, PLATE_TARGET)
        yield from self._image_mismatches(manifest, plan)
        try:
            expected = self._expected_files(plan, made)
        except InputDataError as error:
            yield Mismatch("what it was made from", str(error), is_stale=True)
            return
        if manifest.special.keys() != expected.keys():
            yield Mismatch(
                "the tables and special inputs of its plan", shortened(sorted(manifest.special))
            )
        for path, found in manifest.special.items():
            today = expected.get(path)
            if today not in (None, found):
                yield Mismatch(
                    f"{path} as it is today (digest {today})",
                    f"another was read (digest {found})",
                    is_stale=True,
                )

    def _expected_files(
        self, plan: StepPlan, made: Mapping[str, Manifest]
    ) -> dict[str, str | None]:
        """Return the digests of files that a step reads; None of those that are not right."""
        expected: dict[str, str | None] = {}
        for step, files in taken_files(plan).items():
            for path in (file.path(step, PLATE_TARGET) for file in files):
                record = made[step].files.get(path) if step in made else None
                expected[path] = None if record is None else record.digest
        if plan.tables:
            expected |= TableInputs(self.plate.folder, plan).digests
        return expected

    def _image_mismatches(self, manifest: Manifest, plan: StepPlan) -> Iterator[Mismatch]:
        wells = source_wells(plan, PLATE_TARGET)
        if manifest.inputs.keys() - set(wells):
            other = sorted(manifest.inputs.keys() - set(wells))
            yield Mismatch("the wells of its plan", f"others: {shortened(other)}")
        for well in wells if plan.source is not None else ():
            if plan.source not in self.reports[well].sound:
                continue
            source = read_manifest(manifest_place(self.plate.folder, plan.source or "", well))
            if well in manifest.left_out:
                continue
            if digest_of_taken(plan, source.plane_digests()) != manifest.inputs.get(well):
                yield Mismatch(
                    f"the images that step {plan.source!r} made of well {well}",
                    "others were read",
                    is_stale=True,
                )
