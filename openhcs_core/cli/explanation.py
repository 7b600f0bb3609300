"""An explained plate as text: aligned columns of value, and where it comes from."""

import json
import re
from collections.abc import Iterator

from pydantic import JsonValue

from openhcs_core.compiler import ExplainedGroup, ExplainedPlate, ExplainedStep, ExplainedValue
from openhcs_core.constants import Backend

FORMATS = {Backend.ZARR: "OME-Zarr", Backend.DISK: "TIFF"}
"""What people call the backends of kept images."""
_INSIDE_FUNC = re.compile(r"(steps\[\d+\])\.func\b.*")
_SHOWN_WELLS = 6
_WIDEST = 40
Row = tuple[str, str, str]


def render_explanation(plate: ExplainedPlate) -> str:
    """Return what a plate's steps do and why, one table a step."""
    wells = "all wells" if plate.well is None else f"well {plate.well}"
    return "\n\n".join(
        [f"plate {plate.plate}, {wells}", *("\n".join(_step(step)) for step in plate.steps)]
    )


def _step(step: ExplainedStep) -> Iterator[str]:
    kept = "" if step.kept_as is None else f", images kept as {FORMATS[Backend(step.kept_as)]}"
    yield f"step {step.name} (reads {step.reads or 'the plate'}{kept})"
    blocks = [("  settings", [_row(value) for value in step.settings])]
    for group in step.groups:
        blocks += _group(group, step.group_by)
    rows = [row for _, members in blocks for row in members]
    widths = [min(_WIDEST, max((len(row[i]) for row in rows), default=0)) for i in (0, 1)]
    for title, members in blocks:
        yield title
        for name, value, origin in members:
            yield f"    {name:<{widths[0]}}  {value:<{widths[1]}}  {origin}".rstrip()


def _group(group: ExplainedGroup, group_by: str) -> Iterator[tuple[str, list[Row]]]:
    channel = "" if group.channel_name is None else f" ({group.channel_name})"
    prefix = "" if group.value is None else f"{group_by} {group.value}{channel}: "
    if group.wells:
        prefix = f"{_few(group.wells)}: "
    if not group.functions:
        yield f"  {prefix}left as it is", []
    for number, function in enumerate(group.functions):
        then = "then " if number else ""
        how = "slice by slice" if function.slice_by_slice else "on whole stacks"
        how = "once for all wells" if function.is_plate_wide else how
        title = f"  {prefix}{then}{function.ref}, {how}"
        yield title, [_row(value) for value in function.parameters]


def _row(value: ExplainedValue) -> Row:
    origin = shorten_origin(value.origin)
    wells = f"; only {_few(value.wells)}" if value.wells else ""
    note = f"; {value.note}" if value.note else ""
    return value.name, render_value(value.value), f"{origin}{wells}{note}"


def shorten_origin(origin: str) -> str:
    """Return a place without function and parameter, for where these stand before it."""
    return _INSIDE_FUNC.sub(r"\1", origin)


def render_value(value: JsonValue) -> str:
    """Return a value as it is written in YAML."""
    if isinstance(value, str) and re.fullmatch(r"[A-Za-z_][\w-]*", value):
        return value
    if isinstance(value, list):
        return f"[{', '.join(map(render_value, value))}]"
    return json.dumps(value, ensure_ascii=False)


def _few(wells: tuple[str, ...]) -> str:
    if len(wells) == 1:
        return f"well {wells[0]}"
    more = f", … ({len(wells)} in all)" if len(wells) > _SHOWN_WELLS else ""
    return f"wells {', '.join(wells[:_SHOWN_WELLS])}{more}"
