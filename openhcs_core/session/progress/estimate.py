"""How long the rest of a run takes, from what its jobs have taken so far."""

from collections.abc import Sequence
from dataclasses import dataclass

_MIN_ELAPSED_S = 2.0
"""Before that, what the first jobs took says more of imports than of work."""


@dataclass(frozen=True)
class StepLoad:
    """What one step has cost, and what is left of it. Steps come in pipeline order.

    Attributes
    ----------
    waiting : int
        Units that are still to be done in this run.
    running_s : tuple of float
        How long each running unit has run.
    finished : int
        Units that are done.
    busy_s : float
        What these took, all together.
    predicted_s : float or None
        What one was predicted to take, where anything was.
    """

    waiting: int = 0
    running_s: tuple[float, ...] = ()
    finished: int = 0
    busy_s: float = 0.0
    predicted_s: float | None = None


def remaining_seconds(loads: Sequence[StepLoad], elapsed_s: float) -> float | None:
    """Return an estimate of what the rest takes; None while there is nothing to go by.

    The work that is left, by what each step's units have taken, divided by how many units were
    worked on at once so far; but no less than one well takes for all the steps that are left.
    A step of which none is finished is taken to be like its prediction, in the ratio that
    other steps have to theirs, and where there is none like the mean of the others.

    Parameters
    ----------
    loads : sequence of StepLoad
        In pipeline order.
    elapsed_s : float
        Since the first job.
    """
    if elapsed_s < _MIN_ELAPSED_S or not any(load.finished for load in loads):
        return None
    means = _means(loads)
    work = sum(
        load.waiting * mean + sum(max(mean - spent, 0.0) for spent in load.running_s)
        for load, mean in zip(loads, means, strict=True)
    )
    busy = sum(load.busy_s + sum(load.running_s) for load in loads)
    at_once = max(busy / elapsed_s, 0.1)
    return max(work / at_once, _longest_chain(loads, means))


def _means(loads: Sequence[StepLoad]) -> list[float]:
    finished = [load for load in loads if load.finished]
    overall = sum(load.busy_s for load in finished) / sum(load.finished for load in finished)
    known = [load for load in finished if load.predicted_s]
    predicted = sum(load.finished * (load.predicted_s or 0.0) for load in known)
    ratio = sum(load.busy_s for load in known) / predicted if predicted else None

    def mean(load: StepLoad) -> float:
        if load.finished:
            return load.busy_s / load.finished
        if ratio is not None and load.predicted_s:
            return load.predicted_s * ratio
        return overall

    return [mean(load) for load in loads]


def _longest_chain(loads: Sequence[StepLoad], means: Sequence[float]) -> float:
    """Return what the well takes that has the most steps before it."""
    left = 0.0
    for load, mean in zip(loads, means, strict=True):
        if load.waiting:
            left += mean
        elif load.running_s and not left:
            left = max(mean - min(load.running_s), 0.0)
    return left
