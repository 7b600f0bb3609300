"""What is to be done with a plate of a drop folder, read from the plate and its results."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from openhcs_core.errors import ErrorGroup, OpenHCSError, render_error, shortened
from openhcs_core.microscopes import AUTO, PlateIndex, find_claims, get_handler, select_wells
from openhcs_core.planes import PlaneKey
from openhcs_core.session.compiling import compile_workflow
from openhcs_core.session.files import changed_files
from openhcs_core.session.job_states import PlateStatus
from openhcs_core.session.run_claim import find_last_run, find_owner
from openhcs_core.session.status import read_status
from openhcs_core.session.watch.changes import Changes, find_changes
from openhcs_core.session.watch.plate_runs import (
    PlateRun,
    WatchOptions,
    plate_settings,
    write_config,
)

_SHOWN_MISSING = 3


class Stage(StrEnum):
    """How far a plate is."""

    NO_PLATE = "no plate"
    WRITING = "being written"
    INCOMPLETE = "incomplete"
    READY = "ready"
    BUSY = "busy"
    PARTLY = "partly done"
    LOOKED_AT = "looked at"
    DONE = "done"
    FAILED = "failed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class PlateState:
    """A plate and what is to be done with it.

    Attributes
    ----------
    name : str
        The plate's.
    stage : Stage
        How far it is.
    detail : str
        For people.
    run : PlateRun or None
        What is to be run, of a plate that is ready.
    waits : bool
        More of the plate is to come.
    """

    name: str
    stage: Stage
    detail: str = ""
    run: PlateRun | None = None
    waits: bool = False


def state_of_error(name: str, error: OpenHCSError | ErrorGroup) -> PlateState:
    """Return the state of a plate that cannot be read, or that the pipeline does not fit."""
    return PlateState(name, Stage.REFUSED, render_error(error).removeprefix("error: "))


def find_state(name: str, folder: Path, options: WatchOptions) -> PlateState:
    """Return a plate's state.

    Parameters
    ----------
    name : str
        Its name in results.
    folder : Path
        The plate.
    options : WatchOptions
        The pipeline, and what counts as finished.

    Raises
    ------
    OpenHCSError, ErrorGroup
        The plate cannot be read, or the pipeline does not fit it.
    """
    changes = find_changes(folder)
    age_s = time.time() - changes.newest
    is_settled = age_s >= options.settle_s
    if not changes.files or (not is_settled and not options.complete_wells):
        return PlateState(name, Stage.WRITING, _say_age(age_s))
    settings = plate_settings(name, folder, options)
    try:
        if settings.microscope == AUTO and not find_claims(folder):
            return PlateState(name, Stage.NO_PLATE if is_settled else Stage.WRITING)
        index = get_handler(settings.microscope, folder, settings).index(folder)
    except OpenHCSError:
        if is_settled:
            raise
        return PlateState(name, Stage.WRITING, _say_age(age_s))
    wanted = select_wells(index, settings.wells, settings.exclude_wells)
    missing = [key for key in index.missing if key.well in wanted]
    if is_settled and (not missing or settings.missing_images == "allow"):
        config = write_config(name, folder, options, None)
        return _state_of_run(name, config, options, "")
    waits = _say_waiting(missing, age_s)
    if options.complete_wells:
        complete = _complete_wells(index, changes, options.settle_s)
        wells = [well for well in wanted if well in complete]
        if wells:
            config = write_config(name, folder, options, wells)
            return _state_of_run(name, config, options, waits)
    return PlateState(name, Stage.INCOMPLETE if is_settled else Stage.WRITING, waits)


def _say_age(age_s: float) -> str:
    return f"last change {max(0, round(age_s))} s ago"


def _say_waiting(missing: Sequence[PlaneKey], age_s: float) -> str:
    if not missing:
        return _say_age(age_s)
    names = shortened([key.filename for key in missing], _SHOWN_MISSING)
    return f"waits for {len(missing)} images: {names}; {_say_age(age_s)}"


def _complete_wells(index: PlateIndex, changes: Changes, settle_s: float) -> set[str]:
    """Return wells of which every image is there, and was not written to lately."""
    incomplete = {key.well for key in index.missing}
    settled = time.time() - settle_s
    for image in index.images:
        if changes.files.get(image.path, changes.newest) > settled:
            incomplete.add(image.key.well)
    return set(index.wells) - incomplete


def _state_of_run(name: str, config: str, options: WatchOptions, waits: str) -> PlateState:
    """Return what is left to do: what no result of today's plans is there for.

    Parameters
    ----------
    config : str
        The plate's.
    waits : str
        What is to come, of a plate that is not finished.
    """
    compilation = compile_workflow(config)
    results = Path(compilation.compiled.results)
    run = find_last_run(results, name)
    if run.is_live:
        owner = find_owner(results, name)
        return PlateState(name, Stage.BUSY, f"another run ({owner}) works on these results")
    (status,) = read_status(compilation, run)
    count = f"{len(status.plate.wells)} wells"
    if status.is_done:
        done = f"{count} in {options.results}/{name}"
        if waits:
            return PlateState(name, Stage.PARTLY, f"{done}; {waits}", waits=True)
        return PlateState(name, Stage.DONE, done)
    own = compilation.files.below(f"{compilation.compiled.results}/{name}")
    if _is_failed(status) and not changed_files(own):
        return PlateState(name, Stage.FAILED, _say_failed(status), waits=bool(waits))
    run_now = PlateRun(name, config, options, own)
    return PlateState(name, Stage.READY, count, run_now, waits=bool(waits))


def _is_failed(status: PlateStatus) -> bool:
    """Return whether all that is not done was tried."""
    return all(job.state in ("done", "failed") for job in status.jobs)


def _say_failed(status: PlateStatus) -> str:
    failed = [f"{job.well or 'plate'}, step {job.step!r}: {job.reason}" for job in status.failed]
    return f"{status.count('done')} of {len(status.plate.wells)} wells done; " + "; ".join(
        failed[:_SHOWN_MISSING]
    )
