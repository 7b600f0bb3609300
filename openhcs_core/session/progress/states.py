"""The states of one plate's units."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from openhcs_core.plan import PLATE_TARGET
from openhcs_core.session.progress.estimate import StepLoad
from openhcs_core.session.progress.planned import PlannedPlate
from openhcs_core.session.progress.units import Unit
from openhcs_core.session.progress.view import PlateView, StepView, UnitState

_WORST_FIRST: tuple[UnitState, ...] = ("failed", "running", "waiting", "blocked", "done")


@dataclass
class _StepStates:
    """The units of one step that this run does, and what those that ended took.

    `took_s` has wells (True) and all else (False) apart: a table takes much less than a well.
    """

    states: dict[Unit, UnitState] = field(default_factory=dict)
    starts: dict[Unit, float] = field(default_factory=dict)
    took_s: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})


class PlateStates:
    """Follows the units of a plate.

    Parameters
    ----------
    planned : PlannedPlate
        What the run does of it.
    """

    def __init__(self, planned: PlannedPlate) -> None:
        self._planned = planned
        self._steps = {
            step: _StepStates(
                {
                    Unit(planned.name, step, target): "waiting"
                    for target in planned.todo.get(step, ())
                }
            )
            for step in planned.steps
        }

    @property
    def is_planned(self) -> bool:
        """Whether it was told what there is to do, before its first job."""
        return bool(self._planned.wells)

    @property
    def running(self) -> int:
        """Units that are worked on."""
        return sum(len(step.starts) for step in self._steps.values())

    def start(self, unit: Unit, now: float) -> None:
        """Note that a unit is worked on."""
        step = self._steps.setdefault(unit.step, _StepStates())
        step.states[unit] = "running"
        step.starts[unit] = now

    def end(self, unit: Unit, took_s: float) -> None:
        """Note that a unit is done."""
        step = self._steps[unit.step]
        step.starts.pop(unit, None)
        step.states[unit] = "done"
        step.took_s[unit.is_well].append(took_s)

    def fail(self, unit: Unit, *, is_known: bool) -> None:
        """Note that a unit failed, or (not `is_known`) another one of the same job."""
        step = self._steps[unit.step]
        step.starts.pop(unit, None)
        step.states[unit] = "failed" if is_known else "waiting"

    def settle(self, unit: Unit) -> None:
        """Note that a job ended, all failures in it known: what none of them stopped is done."""
        states = self._steps[unit.step].states
        if states[unit] == "waiting" and unit not in self._blocked():
            states[unit] = "done"

    def loads(self, now: float) -> Iterator[tuple[str, StepLoad]]:
        """Yield what each step's wells, then its tables, have cost and what is left of them."""
        blocked = self._blocked()
        for is_well in (True, False):
            for name, step in self._steps.items():
                waiting = (
                    unit.is_well is is_well and unit not in blocked
                    for unit, state in step.states.items()
                    if state == "waiting"
                )
                running = (at for unit, at in step.starts.items() if unit.is_well is is_well)
                load = StepLoad(
                    waiting=sum(waiting),
                    running_s=tuple(now - at for at in running),
                    finished=len(step.took_s[is_well]),
                    busy_s=sum(step.took_s[is_well]),
                    predicted_s=self._planned.predicted_s.get(name) if is_well else None,
                )
                yield f"{name}/{'well' if is_well else 'other'}", load

    def view(self) -> PlateView:
        """Return the counts of each step and the state of each well."""
        blocked = self._blocked()
        wells: dict[str, UnitState] = dict.fromkeys(self._planned.wells, "done")
        steps = []
        for name, step in self._steps.items():
            states = {
                unit.target: "blocked" if unit in blocked else state
                for unit, state in step.states.items()
                if unit.is_well or unit.is_plate
            }
            steps.append(self._view_step(name, states))
            for target, state in states.items():
                if target != PLATE_TARGET:
                    wells[target] = _worst(wells.get(target, "done"), state)
        return PlateView(self._planned.name, tuple(steps), wells)

    def _view_step(self, name: str, states: dict[str, UnitState]) -> StepView:
        counts = dict.fromkeys(_WORST_FIRST, 0)
        for state in states.values():
            counts[state] += 1
        every = 1 if name in self._planned.plate_wide else len(self._planned.wells)
        earlier = every - len(states) if self.is_planned else 0
        return StepView(
            name=name,
            total=earlier + len(states),
            done=earlier + counts["done"],
            running=counts["running"],
            failed=counts["failed"],
            blocked=counts["blocked"],
        )

    def _blocked(self) -> set[Unit]:
        """Return what waits for something that failed, and so waits in vain."""
        blocked: set[Unit] = set()
        if not any("failed" in step.states.values() for step in self._steps.values()):
            return blocked
        lost: dict[str, set[str]] = {}
        for name, step in self._steps.items():
            sources = self._planned.sources.get(name, frozenset())
            lost[name] = {target for source in sources for target in lost.get(source, ())}
            for unit, state in step.states.items():
                if state == "failed":
                    lost[name].add(unit.target)
                elif state == "waiting" and self._is_lost(unit, lost[name]):
                    blocked.add(unit)
        return blocked

    def _is_lost(self, unit: Unit, lost: set[str]) -> bool:
        """Return whether a unit needs something of what is lost; only wells need one well."""
        return bool({unit.target, PLATE_TARGET} & lost) if unit.is_well else bool(lost)


def _worst(first: UnitState, second: UnitState) -> UnitState:
    return min(first, second, key=_WORST_FIRST.index)
