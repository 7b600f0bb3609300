"""How far a run is, in words: for logs, and for what stands above a display's bars."""

from collections.abc import Iterable, Iterator, Mapping

from openhcs_core.errors import shortened
from openhcs_core.session.progress.units import Unit
from openhcs_core.session.progress.view import RunView, StepView

_MINUTE_S, _HOUR_S, _DAY_S = 60, 3600, 86400
_SHOWN_PLATES = 4


def describe_duration(seconds: float) -> str:
    """Return a duration in its two largest units: ``3 min 20 s``, ``2 h 5 min``."""
    whole = round(seconds)
    if whole < _MINUTE_S:
        return f"{whole} s"
    if whole < _HOUR_S:
        return _two(whole, _MINUTE_S, "min", 1, "s")
    if whole < _DAY_S:
        return _two(whole, _HOUR_S, "h", _MINUTE_S, "min")
    return _two(whole, _DAY_S, "d", _HOUR_S, "h")


def _two(whole: int, large: int, large_name: str, small: int, small_name: str) -> str:
    rest = whole % large // small
    return f"{whole // large} {large_name}" + (f" {rest} {small_name}" if rest else "")


def describe_rate(rate_per_s: float) -> str:
    """Return jobs per second, minute or hour, whichever is a number of jobs."""
    units = ((1, "s"), (_MINUTE_S, "min"), (_HOUR_S, "h"))
    factor, unit = next((pair for pair in units if rate_per_s * pair[0] >= 1), units[-1])
    return f"{rate_per_s * factor:.1f} jobs/{unit}"


def describe_headline(view: RunView) -> str:
    """Return how far the whole run is: jobs, rate, time."""
    parts = [f"{view.done_jobs} of {view.total_jobs} jobs ({_percent(view)} %)"]
    if view.rate_per_s is not None:
        parts.append(describe_rate(view.rate_per_s))
    parts.append(f"{describe_duration(view.elapsed_s)} so far")
    if view.left_s is not None and not view.is_over:
        parts.append(f"about {describe_duration(_rounded(view.left_s))} left")
    if view.failed_jobs:
        parts.append(f"{view.failed_jobs} failed")
    return ", ".join(parts)


def _percent(view: RunView) -> int:
    return int(100 * view.fraction)


def _rounded(seconds: float) -> float:
    """Return an estimate without digits that it does not have."""
    for limit, step in ((20, 1), (120, 10), (20 * _MINUTE_S, _MINUTE_S), (_DAY_S, 5 * _MINUTE_S)):
        if seconds < limit:
            return max(round(seconds / step) * step, 1)
    return round(seconds / _HOUR_S) * _HOUR_S


def describe_plates(view: RunView) -> Iterator[str]:
    """Yield one line a plate that is worked on; of others, how many there are."""
    shown = [plate for plate in view.plates if not plate.is_over]
    for plate in shown[:_SHOWN_PLATES]:
        yield f"{plate.name}: {'; '.join(map(_describe_step, plate.steps))}"
    if len(shown) > _SHOWN_PLATES:
        yield f"and {len(shown) - _SHOWN_PLATES} more plates"


def _describe_step(step: StepView) -> str:
    return " ".join([f"{step.name} {step.done}/{step.total}", *describe_states(step)])


def describe_states(step: StepView) -> Iterator[str]:
    """Yield what is to be said of a step's wells beyond how many are done."""
    if step.running:
        yield f"{step.running} running"
    if step.failed:
        yield f"{step.failed} failed"
    if step.blocked:
        yield f"{step.blocked} after a failure"


def describe_reasons(reason: str) -> str:
    """Return why a job runs without the names of files, which differ from well to well."""
    return "; ".join(dict.fromkeys(part.split(":")[0].strip() for part in reason.split(";")))


def describe_dry_run(jobs: Iterable[tuple[Unit, str]]) -> Iterator[str]:
    """Yield what a run would do: a line for each plate, step and reason.

    Parameters
    ----------
    jobs : iterable of (Unit, str)
        What each job is about, and why it would run.
    """
    found: dict[tuple[str, str, bool, str], list[str]] = {}
    for unit, reason in jobs:
        found.setdefault((unit.plate, unit.step, unit.is_well, reason), []).append(unit.target)
    for (plate, step, is_well, reason), targets in _in_order(found):
        wells = f"{len(targets)} well{'s' if len(targets) > 1 else ''}: " if is_well else ""
        yield f"  {plate}, step {step!r}: {wells}{shortened(tuple(targets))} ({reason})"


def _in_order(
    found: Mapping[tuple[str, str, bool, str], list[str]],
) -> Iterator[tuple[tuple[str, str, bool, str], list[str]]]:
    """Yield plates, and steps within them, in order of appearance."""
    plates = dict.fromkeys(key[0] for key in found)
    for plate in plates:
        for key, targets in found.items():
            if key[0] == plate:
                yield key, sorted(targets)
