"""A plate of the config, read: its index, the wells to work on and its plate map."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.compiler import PipelineOrchestrator
from openhcs_core.config import (
    LocatedDocument,
    PipelineConfig,
    PlateConfig,
    WorkflowConfig,
    plate_settings,
)
from openhcs_core.errors import ConfigError, InputDataError, OpenHCSError, collecting, raise_all
from openhcs_core.microscopes import PlateIndex, check_has_images, select_wells
from openhcs_core.session.kept_indices import IndexedPlate, index_plate
from openhcs_core.session.plate_map import PlateMap, read_plate_map
from openhcs_core.session.user_modules import open_functions

_SHOWN_MISSING = 12
_STILL_WRITTEN_S = 600


@dataclass(frozen=True)
class OpenPlate:
    """A plate and what the config asks of it.

    Attributes
    ----------
    name : str
        As in the config.
    settings : PlateConfig
        Its section of the config.
    index : PlateIndex
        What it consists of.
    wells : tuple of str
        The wells to work on, in plate order.
    plate_map : PlateMap or None
        What is in which well.
    indexed : IndexedPlate
        Its index with what there is to keep of it.
    """

    name: str
    settings: PlateConfig
    index: PlateIndex
    wells: tuple[str, ...]
    plate_map: PlateMap | None
    indexed: IndexedPlate


def open_plate(
    name: str, settings: PlateConfig, results: Path, where: str, errors: list[OpenHCSError]
) -> OpenPlate:
    """Read a plate.

    Parameters
    ----------
    results : Path
        The folder of results, where its index may be kept.
    where : str
        Place of its section in the config, for messages.
    errors : list of OpenHCSError
        Gets what is wrong with wells and plate map; all wells and no map are taken instead,
        so that the pipeline can be checked in the same go.

    Raises
    ------
    InputDataError
        There is no plate, or it cannot be read.
    """
    indexed = index_plate(name, settings, results)
    index = indexed.index
    check_has_images(index)
    wells, plate_map = index.wells, None
    with collecting(errors, where):
        wells = _choose_wells(name, index, settings)
    with collecting(errors, where):
        plate_map = None if settings.plate_map is None else read_plate_map(settings.plate_map)
    return OpenPlate(name, settings, index, wells, plate_map, indexed)


def open_orchestrator(
    config: WorkflowConfig, plate: str, pipeline: PipelineConfig | None = None
) -> PipelineOrchestrator:
    """Read a plate of a config, to compile pipelines for its wells in Python.

    Parameters
    ----------
    config : WorkflowConfig
        Wells, missing images and storage are as it says.
    plate : str
        Which of its plates.
    pipeline : PipelineConfig, optional
        Its ``defaults``, ``storage`` and ``overrides`` hold for all steps that are compiled.

    Raises
    ------
    ConfigError
        The config has no such plate.
    ErrorGroup
        What is wrong with the plate, as compiling the config would say.
    """
    if plate not in config.plates:
        raise ConfigError(f"no plate {plate!r}; the config has {', '.join(config.plates)}")
    errors: list[OpenHCSError] = []
    functions = open_functions(
        LocatedDocument("config", {"functions": list(config.functions)}, {}), errors
    )
    opened = None
    with collecting(errors):
        settings, results = config.plates[plate], Path(config.results)
        opened = open_plate(plate, settings, results, f"plates.{plate}", errors)
    raise_all(f"plate {plate!r}", errors)
    assert opened is not None
    defaults, storage = plate_settings(config, plate)
    return PipelineOrchestrator(
        plate=plate,
        index=opened.index,
        wells=opened.wells,
        functions=functions,
        storage=storage,
        defaults=defaults,
        pipeline=pipeline,
        gpu=config.execution.gpu,
    )


def _choose_wells(name: str, index: PlateIndex, settings: PlateConfig) -> tuple[str, ...]:
    wells = select_wells(index, settings.wells, settings.exclude_wells)
    _check_missing(name, index, wells, settings)
    present = set(index.wells)
    chosen = tuple(well for well in wells if well in present)
    if not chosen:
        raise InputDataError(
            f"plate {name!r}: none of the chosen wells has images; correct wells or exclude_wells"
        )
    return chosen


def _say_still_written(index: PlateIndex) -> str:
    """Say that images may still come, of a plate whose newest image is minutes old."""
    times = [image.mtime_ns for image in index.images if isinstance(image.mtime_ns, int)]
    age_s = time.time() - max(times, default=0) / 1e9
    if not 0 <= age_s < _STILL_WRITTEN_S:
        return ""
    return (
        "its newest image is minutes old, so it may still be written: wait, or let "
        "`openhcs-core watch` run it when it is finished; otherwise "
    )


def _check_missing(
    name: str, index: PlateIndex, wells: Sequence[str], settings: PlateConfig
) -> None:
    missing = [key for key in index.missing if key.well in wells]
    if missing and settings.missing_images == "error":
        shown = ", ".join(key.filename for key in missing[:_SHOWN_MISSING])
        more = f" and {len(missing) - _SHOWN_MISSING} more" if len(missing) > _SHOWN_MISSING else ""
        count = "1 image is" if len(missing) == 1 else f"{len(missing)} images are"
        raise InputDataError(
            f"plate {name!r}: {count} missing in {settings.path}: {shown}{more}; "
            f"{_say_still_written(index)}copy them, leave the wells out (exclude_wells), or "
            "accept holes (missing_images: allow)"
        )
