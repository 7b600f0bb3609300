"""A plate as a whole: wells in threads, then its tables, plate metadata and what was left."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import dump
from openhcs_core.plan import (
    LOCATION,
    WORKSPACE_METADATA,
    StoreMetadataPlan,
    TablePlan,
    readable_json,
    store_metadata_path,
    store_path,
    store_plan_path,
    table_path,
    table_plan_path,
    well_table_paths,
)
from openhcs_core.runtime import (
    ImageCache,
    Job,
    Location,
    is_joined_table,
    join_tables,
    plate_layout,
)
from openhcs_core.session.stale_results import StaleResults, find_stale
from openhcs_core.session.verification.plans import PlannedPlate
from openhcs_core.session.verification.plate_steps import PlateStepVerifier
from openhcs_core.session.verification.problems import RUN, Kind, Problem, Verification
from openhcs_core.session.verification.raw_images import RawImages
from openhcs_core.session.verification.wells import WellReport, WellVerifier, digests_of
from openhcs_core.storage import check_plate_metadata, first_difference, open_plate_source

Progress = Callable[[int, int, int], None]
"""Called after each well with wells done, wells in all, and bytes read."""
_COLLECT = "remove it with 'openhcs-core gc --stale'"
_WRITE_AGAIN = "run 'snakemake -n', which writes it again"


@dataclass(frozen=True)
class PlateVerifier:
    """Verifies one plate.

    Attributes
    ----------
    plate : PlannedPlate
        Its plans.
    has_raw_read : bool
        Read the plate's own images too.
    """

    plate: PlannedPlate
    has_raw_read: bool

    def verify(self, progress: Progress) -> Verification:
        """Return what is wrong with the plate."""
        location, mapping, problems = self._read_workspace()
        raw, notes = self._raw_images(location, mapping)
        cache = None if location is None else find_cache(location, self.plate.folder)
        verifier = WellVerifier(self.plate, digests_of(self.plate), cache, raw)
        reports = self._verify_wells(verifier, progress)
        whole = PlateStepVerifier(self.plate, verifier, reports).verify()
        problems = [*self.plate.problems, *problems]
        problems += [problem for report in reports.values() for problem in report.problems]
        problems += whole.problems
        if location is not None:  # it says where the plate map is
            problems += self._check_tables(reports)
        problems += [problem for s in self.plate.plan.stores for problem in self._check_store(s)]
        if not self.plate.problems:
            stale = find_stale(self.plate.plan, self.plate.folder)
            problems += _leftovers(stale)
            notes += [f"not ours, left alone: {self.plate.folder}/{name}" for name in stale.foreign]
        size_bytes = whole.size_bytes + sum(report.size_bytes for report in reports.values())
        return Verification(tuple(problems), tuple(notes), len(reports), size_bytes)

    def _verify_wells(self, verifier: WellVerifier, progress: Progress) -> Mapping[str, WellReport]:
        wells = self.plate.plan.wells
        reports: dict[str, WellReport] = {}
        size_bytes = 0
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            try:
                for well, report in zip(wells, pool.map(verifier.verify, wells), strict=True):
                    reports[well] = report
                    size_bytes += report.size_bytes
                    progress(len(reports), len(wells), size_bytes)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        return reports

    def _read_workspace(self) -> tuple[Location | None, dict[str, str] | None, list[Problem]]:
        """Return location and mapping of the plate's images, None where damaged."""
        location, mapping = None, None
        problems: list[Problem] = []
        path = self.plate.folder / LOCATION
        found = read_location(path)
        if isinstance(found, Location):
            location = found
            problems += _compare(path, readable_json(found.model_dump()), path.read_bytes())
        else:
            problems.append(_unreadable(path, found))
        path = self.plate.folder / WORKSPACE_METADATA
        try:
            data = path.read_bytes()
            metadata = json.loads(data)
            mapping = metadata["subdirectories"]["."]["workspace_mapping"]
            problems += _compare(path, dump(metadata), data)
        except (FileNotFoundError, ValueError, LookupError, TypeError) as error:
            problems.append(_unreadable(path, error))
        return location, mapping, problems

    def _raw_images(
        self, location: Location | None, mapping: dict[str, str] | None
    ) -> tuple[RawImages | None, list[str]]:
        if location is None or mapping is None:
            return None, []
        source = open_plate_source(location.plate_path)
        if not source.is_there():
            note = f"{source.name} is not there: the plate's own images were not looked at"
            return None, [note]
        return RawImages(self.plate.folder, mapping, source, self.has_raw_read), []

    def _check_tables(self, reports: Mapping[str, WellReport]) -> Iterator[Problem]:
        """Yield plate tables that are not their wells' tables, where these are right."""
        for table in self.plate.plan.tables:
            if all(table.step_name in reports[well].sound for well in table.wells):
                yield from self._check_table(table)

    def _check_table(self, table: TablePlan) -> Iterator[Problem]:
        path = self.plate.folder / table_path(table.step_name, table.file)
        job = Job(self.plate.folder, table.step_name)
        inputs = [table_plan_path(table.step_name, table.file)]
        inputs += [part for well in table.wells for part in well_table_paths(table, well)]
        try:
            is_joined = is_joined_table(job, table)
        except InputDataError as error:
            yield Problem("stale", str(path), "", str(error), RUN)
            return
        if not path.exists():
            yield Problem("missing", str(path), "the table of all wells", "no such file", RUN)
        elif not is_joined:
            kind: Kind = "stale" if self._is_older(path, inputs) else "altered"
            mend = RUN if kind == "stale" else f"delete it and {RUN}"
            text = b"".join(join_tables(job, table))
            yield Problem(kind, str(path), *first_difference(text, path.read_bytes()), mend)

    def _check_store(self, store: StoreMetadataPlan) -> Iterator[Problem]:
        folder = self.plate.folder / store_path(store.step_name, store.sub_dir)
        root = self.plate.folder / store_metadata_path(store)
        is_edited = root.exists() and self._is_older(root, [store_plan_path(store.step_name)])
        for found in check_plate_metadata(folder, plate_layout(store)):
            kind: Kind = "stale" if is_edited else found.kind
            mend = RUN if is_edited or not root.exists() else f"delete {root} and {RUN}"
            yield Problem(kind, str(found.path), found.expected, found.found, mend)
            if is_edited or not root.exists():
                return

    def _is_older(self, path: Path, inputs: Sequence[str]) -> bool:
        """Return whether snakemake makes a file again because of its inputs' times."""
        time = path.stat().st_mtime_ns
        paths = [self.plate.folder / name for name in inputs]
        return any(path.exists() and path.stat().st_mtime_ns > time for path in paths)


def read_location(path: Path) -> Location | OSError | ValidationError:
    """Return where plate and cache lie, or why it cannot be read."""
    try:
        return Location.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        return error


def find_cache(location: Location, folder: Path) -> ImageCache:
    """Return the cache of a plate, beside its results where these were moved."""
    root = Path(location.cache_dir)
    return ImageCache(root if root.is_dir() else folder.parent / ".cache")


def _leftovers(stale: StaleResults) -> Iterator[Problem]:
    for name in stale.names:
        path = f"{stale.folder}/{name}"
        yield Problem("leftover", path, "", "of an earlier config", _COLLECT)


def _compare(path: Path, text: str, data: bytes) -> Iterator[Problem]:
    if text.encode() != data:
        yield Problem("altered", str(path), *first_difference(text.encode(), data), _WRITE_AGAIN)


def _unreadable(path: Path, error: Any) -> Problem:
    if isinstance(error, FileNotFoundError):
        return Problem("missing", str(path), "the plate's images", "no such file", _WRITE_AGAIN)
    return Problem("altered", str(path), "the plate's images", "something else", _WRITE_AGAIN)
