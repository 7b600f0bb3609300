"""A drop folder: plates that arrive are run when they are finished, one after the other.

What is to be done is read from the plates and their results each time; nothing is remembered that
a restart would lose.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from openhcs_core.errors import EXIT_DONE, ErrorGroup, OpenHCSError
from openhcs_core.plates import plate_name
from openhcs_core.session.files import changed_files
from openhcs_core.session.snakemake_arguments import asks_for_dry_run, asks_for_part
from openhcs_core.session.watch.changes import find_changes
from openhcs_core.session.watch.plate_runs import PlateRun, WatchOptions, check_options
from openhcs_core.session.watch.states import PlateState, Stage, find_state, state_of_error

__all__ = ["PlateRun", "PlateState", "Stage", "WatchOptions", "Watcher", "check_options"]

_SETTLED = frozenset({Stage.DONE, Stage.FAILED, Stage.REFUSED, Stage.NO_PLATE})
"""States that only a change of the plate or the pipeline ends."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A state, and what the plate and the pipeline were like then."""

    fingerprint: tuple[object, ...]
    state: PlateState


class Watcher:
    """Looks at a drop folder and runs what is ready.

    Parameters
    ----------
    options : WatchOptions
        What to run, and where.
    start : callable
        Runs snakemake for a plate and returns when it has ended; see :class:`PlateRun`.

    Notes
    -----
    What was seen is kept while this process lives, so that plates that are done are not indexed
    again in every round. A new process finds the same states from plates and results.
    """

    def __init__(self, options: WatchOptions, start: Callable[[PlateRun], int]) -> None:
        self._options, self._start = options, start
        self._seen: dict[str, _Seen] = {}
        self._tried: dict[str, tuple[object, PlateState]] = {}

    def round(self) -> Iterator[PlateState]:
        """Look at each plate once; yield its state, before and after a run."""
        taken: dict[str, Path] = {}
        try:
            folders = self._folders()
        except OSError as error:  # a drive that is away for a while
            yield _unreadable(str(self._options.folder), error)
            return
        for folder in folders:
            try:
                name = plate_name(str(folder))
                other = taken.setdefault(name, folder)
            except OpenHCSError as error:
                yield state_of_error(folder.name, error)
                continue
            if other is not folder:
                detail = f"{other.name} has the same name {name!r} in results; rename this folder"
                yield PlateState(folder.name, Stage.REFUSED, detail)
                continue
            yield from self._look(name, folder)

    def _folders(self) -> list[Path]:
        """Return the folders that may be plates, in order of name."""
        results = Path(self._options.results).resolve()
        return sorted(
            path
            for path in self._options.folder.iterdir()
            if path.is_dir() and not path.name.startswith(".") and path.resolve() != results
        )

    def _look(self, name: str, folder: Path) -> Iterator[PlateState]:
        """Yield a plate's states; what is wrong with it is no other plate's affair."""
        try:
            fingerprint = (find_changes(folder).fingerprint, self._options.fingerprint())
            seen = self._seen.get(name)
            if seen is not None and seen.fingerprint == fingerprint:
                yield seen.state
                return
            state = self._state(name, folder)
            if state.run is not None:
                state = self._as_tried(state, state.run)
            yield state
            if state.run is not None:
                state = self._run(state, state.run, folder)
                yield state
            if state.stage in _SETTLED and not state.waits:
                self._seen[name] = _Seen(fingerprint, state)
        except OSError as error:
            yield _unreadable(name, error)

    def _as_tried(self, state: PlateState, run: PlateRun) -> PlateState:
        """Return what came of a plate where the same plans were tried: they would end as they did.

        What was done in part is done again where its results, and the plans with them, are gone.
        """
        plans, outcome = self._tried.get(state.name, (None, state))
        if plans != run.content or (outcome.stage is Stage.PARTLY and changed_files(run.content)):
            return state
        return replace(outcome, waits=state.waits)

    def _run(self, state: PlateState, run: PlateRun, folder: Path) -> PlateState:
        """Run a plate that is ready; return its state then."""
        code = self._start(run)
        after = self._state(state.name, folder)
        if after.run is None:
            self._tried.pop(state.name, None)
            return after
        outcome = self._after_part(code, run, after)
        self._tried[state.name] = (run.content, outcome)
        return outcome

    def _after_part(self, code: int, run: PlateRun, after: PlateState) -> PlateState:
        """Return the state of a plate of which not all is done."""
        arguments = self._options.arguments
        if code == EXIT_DONE and asks_for_dry_run(arguments):
            stage, detail = Stage.LOOKED_AT, f"snakemake said what it would do; see {run.log}"
        elif code == EXIT_DONE and asks_for_part(arguments, self._options.results):
            stage, detail = Stage.PARTLY, "all that snakemake was asked for is done"
        else:
            stage = Stage.FAILED
            detail = f"snakemake ended with {code} before all was done; see {run.log}"
        return PlateState(after.name, stage, detail, waits=after.waits)

    def _state(self, name: str, folder: Path) -> PlateState:
        try:
            return find_state(name, folder, self._options)
        except (OpenHCSError, ErrorGroup) as error:
            return state_of_error(name, error)


def _unreadable(name: str, error: OSError) -> PlateState:
    path = "" if error.filename is None else f"{error.filename}: "
    return PlateState(name, Stage.REFUSED, f"{path}{error.strerror or error}")
