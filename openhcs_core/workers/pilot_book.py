"""What a run knows of its pilots and of the jobs that wait for them. No sockets, no clock."""

from dataclasses import replace
from math import inf

from openhcs_core.errors import WorkerLostError
from openhcs_core.workers.pilot import PilotFacts
from openhcs_core.workers.pilot_policy import (
    Ask,
    Changes,
    Pilot,
    PilotLimits,
    Shape,
    assign,
    can_do,
    changes,
)
from openhcs_core.workers.policy import Need

_KNOWN_WELLS = 64
FAILED_STARTS = 3
"""So many pilots in turn that end before they are of use are no accident."""


class PilotBook:
    """Pilots and waiting jobs, kept in step with what happens.

    Parameters
    ----------
    limits : PilotLimits
        Where both numbers are 0, pilots are others' to start and stop.
    """

    def __init__(self, limits: PilotLimits) -> None:
        self._limits = limits
        self._pilots: dict[str, Pilot] = {}
        self._asks: dict[int, Ask] = {}
        self._failed_starts = 0
        self.facts: dict[str, PilotFacts] = {}

    @property
    def is_fixed(self) -> bool:
        """Whether others start and stop the pilots."""
        return not (self._limits.cpu or self._limits.gpu)

    @property
    def are_coming(self) -> tuple[str, ...]:
        """The pilots that were asked for and have not come."""
        return tuple(pilot.name for pilot in self._pilots.values() if not pilot.is_there)

    def wait(self, ask: Ask) -> None:
        """Let a job wait; refuse one that no pilot will ever do.

        Raises
        ------
        WorkerLostError
            There are to be no pilots of the kind that it needs.
        """
        kind, count = ("gpu-", self._limits.gpu) if ask.need.gpu else ("", self._limits.cpu)
        if not self.is_fixed and not count:
            text = f"the job needs {_told(ask.need)}; set --openhcs-{kind}pilots"
            raise WorkerLostError(text, 1)
        self._asks[ask.number] = ask

    def forget(self, number: int) -> None:
        """Let a job wait no more."""
        self._asks.pop(number, None)

    def asked(self, name: str, shape: Shape, now_s: float) -> None:
        """Take note of a pilot that was asked for."""
        self._pilots[name] = Pilot(name, shape, used_s=now_s)

    def came(self, name: str, shape: Shape, facts: PilotFacts, now_s: float) -> None:
        """Take note of a pilot that can do jobs."""
        before = self._pilots.get(name)
        shape = shape if before is None else before.shape
        ends_s = now_s + 60 * shape.minutes - (facts.age_s or 0.0) if before else inf
        self._pilots[name] = Pilot(name, shape, is_there=True, ends_s=ends_s, used_s=now_s)
        self.facts[name] = facts
        self._failed_starts = 0

    def left(self, name: str) -> bool:
        """Take note of a pilot that is gone; return whether it did a job."""
        pilot = self._pilots.pop(name, None)
        return pilot is not None and pilot.is_busy

    def never_came(self, name: str) -> bool:
        """Take note of one that ended before it was of use; return whether that is no accident."""
        self._pilots.pop(name, None)
        self._failed_starts += 1
        return self._failed_starts >= FAILED_STARTS

    def begin(self, now_s: float) -> dict[int, str]:
        """Give waiting jobs to pilots that are free; return which job goes to which."""
        found = assign(
            list(self._pilots.values()),
            list(self._asks.values()),
            now_s,
            keeps_gpus=not self.is_fixed,
        )
        for number, name in found.items():
            del self._asks[number]
            self._pilots[name] = replace(self._pilots[name], is_busy=True)
        return found

    def done(self, name: str, need: Need, now_s: float) -> None:
        """Take note of the end of a job."""
        pilot = self._pilots.get(name)
        if pilot is None:
            return
        wells = pilot.wells
        if need.well is not None:
            wells = (*(well for well in wells if well != need.well), need.well)[-_KNOWN_WELLS:]
        self._pilots[name] = replace(pilot, is_busy=False, used_s=now_s, wells=wells)

    def changes(self, now_s: float) -> Changes:
        """Return which pilots to start and stop."""
        pilots, asks = list(self._pilots.values()), list(self._asks.values())
        return changes(pilots, asks, self._limits, now_s)

    def overdue(self, now_s: float) -> list[Ask]:
        """Return the jobs that have waited too long while there is no pilot that could do them."""
        there = [pilot for pilot in self._pilots.values() if pilot.is_there]
        return [
            ask
            for ask in self._asks.values()
            if now_s - ask.since_s > self._limits.wait_s
            and not any(can_do(pilot, ask, now_s, keeps_gpus=not self.is_fixed) for pilot in there)
        ]

    def waiting(self) -> list[int]:
        """Return the numbers of the jobs that wait."""
        return list(self._asks)

    def no_pilot(self, ask: Ask) -> str:
        """Return what to say of a job that has waited too long."""
        return (
            f"no pilot came within {self._limits.wait_s:g} s (--openhcs-pilot-wait) that "
            f"has what the job needs: {_told(ask.need)}"
        )


def _told(need: Need) -> str:
    parts = [f"{need.threads} cores"]
    if need.gpus:
        parts.append(f"{need.gpus} GPUs {need.gpu_model}".rstrip())
    if need.mem_mb:
        parts.append(f"{need.mem_mb} MB")
    return ", ".join(parts)
