"""How far a run is, as something that rich can draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openhcs_core.session.progress.grid import plate_grid
from openhcs_core.session.progress.lines import describe_headline, describe_states

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from rich.console import Group
    from rich.text import Text

    from openhcs_core.session.progress.view import PlateView, RunView, StepView, UnitState

_STYLES: dict[UnitState, str] = {
    "done": "green",
    "running": "bold yellow",
    "failed": "bold red",
    "blocked": "dim red",
    "waiting": "dim",
}
_BAR: dict[UnitState, tuple[str, str]] = {
    "done": ("█", "#"),
    "running": ("▓", "="),
    "failed": ("✗", "x"),
    "blocked": ("·", "-"),
    "waiting": ("░", "."),
}
"""State to the letter of its part of a bar: in Unicode, and where only ASCII can be shown."""
_MIN_BAR, _MAX_BAR = 10, 40
_BESIDE_BAR = 36


def run_panel(view: RunView, width: int, height: int, *, is_ascii: bool = False) -> Group:
    """Return the whole display: the run, its plates by step, and a plate's grid if there is room.

    Parameters
    ----------
    view : RunView
        How far the run is.
    width, height : int
        The terminal's.
    is_ascii : bool
        Whether only ASCII letters can be shown.
    """
    from rich.console import Group
    from rich.text import Text

    lines = [Text(describe_headline(view), style="bold")]
    hidden = 0
    plates = sorted(view.plates, key=_importance)
    for plate in plates:
        block = _plate_lines(plate, width, is_ascii=is_ascii)
        if len(lines) + len(block) < height - 1:
            lines += block
        else:
            hidden += 1
    grid = draw_grid(plates[0].wells, width) if len(plates) == 1 else []
    if grid and len(lines) + len(grid) < height - 1:
        lines += grid
    if hidden:
        lines.append(Text(f"and {hidden} more plates", style="dim"))
    for line in lines:
        line.truncate(width, overflow="ellipsis")
    return Group(*lines)


def _importance(plate: PlateView) -> int:
    """Plates that are worked on come first, those that are over last."""
    return 0 if plate.is_active else 2 if plate.is_over else 1


def _plate_lines(plate: PlateView, width: int, *, is_ascii: bool) -> list[Text]:
    from rich.text import Text

    wells = f" ({len(plate.wells)} wells)" if plate.wells else ""
    name_width = min(max((len(step.name) for step in plate.steps), default=0), 20)
    lines = [Text.assemble((plate.name, "bold cyan"), wells)]
    for step in plate.steps:
        bar = draw_bar(step, _bar_width(width, name_width), is_ascii=is_ascii)
        counts = f" {step.done}/{step.total}"
        rest = "  ".join(["", *describe_states(step)])
        lines.append(Text.assemble(f"  {step.name[:name_width]:<{name_width}} ", bar, counts, rest))
    return lines


def _bar_width(width: int, name_width: int) -> int:
    return min(max(width - name_width - _BESIDE_BAR, _MIN_BAR), _MAX_BAR)


def draw_bar(step: StepView, width: int, *, is_ascii: bool = False) -> Text:
    """Return a step's wells as a bar; whatever there is of a state has a letter at least."""
    from rich.text import Text

    counts: dict[UnitState, int] = {
        "done": step.done,
        "running": step.running,
        "failed": step.failed,
        "blocked": step.blocked,
        "waiting": step.waiting,
    }
    widths = _shares(counts, width)
    return Text.assemble(
        *((_BAR[state][is_ascii] * widths[state], _STYLES[state]) for state in counts)
    )


def _shares(counts: Mapping[UnitState, int], width: int) -> dict[UnitState, int]:
    """Return letters by state: as large as their share, one at least, `width` together."""
    total = sum(counts.values())
    if not total:
        return {**counts, "waiting": width}
    shares = {state: max(count * width // total, count > 0) for state, count in counts.items()}
    largest = max(shares, key=shares.__getitem__)
    shares[largest] += width - sum(shares.values())
    return shares


def draw_grid(wells: Mapping[str, UnitState], width: int) -> list[Text]:
    """Return a plate's grid of wells and what its letters mean."""
    from rich.text import Text

    lines = [
        Text.assemble(*((cell.text, _STYLES[cell.state] if cell.state else "") for cell in line))
        for line in plate_grid(wells, width)
    ]
    return [*lines, Text.assemble(*_legend(wells))] if lines else []


def _legend(wells: Mapping[str, UnitState]) -> Iterator[tuple[str, str]]:
    states: list[UnitState] = [
        "waiting" if state == "blocked" else state for state in wells.values()
    ]
    shown: tuple[tuple[str, UnitState], ...] = (
        ("D done", "done"),
        ("R running", "running"),
        ("F failed", "failed"),
        (". waiting", "waiting"),
    )
    yield "    ", ""
    for label, state in shown:
        yield f"{label} {states.count(state)}   ", _STYLES[state]
