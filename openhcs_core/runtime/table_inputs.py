"""Plate tables that a step takes: as data frames, with the wells and images that they are of."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from openhcs_core.errors import InputDataError
from openhcs_core.plan import (
    PLATE_TARGET,
    PlateTable,
    StepPlan,
    TablePlan,
    digest_text,
    manifest_path,
    table_path,
    table_plan_path,
    taken_tables,
)
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.manifest import WellFailure, find_failed, is_partial, read_manifest
from openhcs_core.runtime.read_records import digest_of_made, read_made
from openhcs_core.runtime.tables import read_plate_map

if TYPE_CHECKING:
    import pandas as pd

IMAGES_OF_TABLE = "#images"
"""Stands after a table's path where the digest is of the names of the images that it is of."""


class TableInputs:
    """The plate tables that a step takes.

    Parameters
    ----------
    plate_dir : Path
        ``results/<plate>``.
    plan : StepPlan
        Of the step.

    Attributes
    ----------
    digests : dict
        Digests of all that is read of them: a table, its plan, and which images it is of.
    left_out : dict
        Wells that they are without, and why.

    Raises
    ------
    InputDataError
        Something is missing or damaged.
    """

    def __init__(self, plate_dir: Path, plan: StepPlan) -> None:
        self._plate_dir = plate_dir
        self.digests = {name: digest_of_made(plate_dir / name) for name in taken_tables(plan)}
        self._images: dict[str, tuple[PlaneKey, ...]] = {}
        self.left_out: dict[str, WellFailure] = {}
        for table in plan.tables:
            if table.of_plate:
                record = plate_dir / manifest_path(table.step, PLATE_TARGET)
                self.left_out |= read_manifest(record).left_out if is_partial(record) else {}
            else:
                self.left_out |= find_failed(plate_dir, table.step, self._plan(table).wells)
                path = table_path(table.step, table.file)
                self._images[path] = tuple(self._find_images(table))
                names = "\n".join(key.filename for key in self._images[path])
                self.digests[path + IMAGES_OF_TABLE] = digest_text(names)

    def frame(self, table: PlateTable, plate_map: str | None) -> "pd.DataFrame":
        """Return a table: wells and channels as text, all else as it reads.

        Its ``attrs`` have what no row says. ``images``: well, site, channel, z and time of every
        image that the table is of, also where nothing was found; ``wells``: a row of the plate
        map for each well, by the well. Both are empty for a table of a step over the plate.

        Parameters
        ----------
        plate_map : str or None
            Where the plate map is.

        Raises
        ------
        InputDataError
            The table cannot be read, or the plate map is not the planned one.
        """
        import pandas as pd

        path = table_path(table.step, table.file)
        try:  # another file than at first is noticed when the job is done
            frame = pd.read_csv(
                self._plate_dir / path,
                dtype={"well": str, "channel": str},
                keep_default_na=False,
                na_values=[""],
                float_precision="round_trip",
            )
        except (OSError, ValueError, pd.errors.ParserError) as error:
            raise InputDataError(
                f"{self._plate_dir / path} cannot be read as a table: {error}"
            ) from error
        frame.attrs["images"] = [key._asdict() for key in self._images.get(path, ())]
        frame.attrs["wells"] = {} if table.of_plate else self._wells(table, plate_map)
        return frame

    def _wells(self, table: PlateTable, plate_map: str | None) -> Mapping[str, Mapping[str, str]]:
        plan = self._plan(table)
        rows = read_plate_map(plan, plate_map)
        return {well: rows.get(well, {}) for well in plan.wells if well not in self.left_out}

    def _find_images(self, table: PlateTable) -> list[PlaneKey]:
        """Return the images of the step whose tables are joined: it gives one for each it takes."""
        found: list[PlaneKey] = []
        plan = self._plan(table)
        for well in plan.wells:
            path = self._plate_dir / manifest_path(table.step, well)
            read_made(path)
            found += filter(plan.is_of, sorted(read_manifest(path).find_planes()))
        return found

    def _plan(self, table: PlateTable) -> TablePlan:
        path = table_plan_path(table.step, table.file)
        try:
            return TablePlan.model_validate_json(read_made(self._plate_dir / path))
        except ValidationError as error:
            raise InputDataError(
                f"{self._plate_dir / path} is damaged; run snakemake, which writes it again"
            ) from error
