"""Reasons for a rerun as text for people."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import singledispatch
from typing import TypeVar

from pydantic import JsonValue

from openhcs_core.cli.explanation import FORMATS, render_value, shorten_origin
from openhcs_core.constants import Backend
from openhcs_core.errors import EXIT_STOPPED, shortened
from openhcs_core.session.why import (
    DoneTogether,
    EarlierChanged,
    EarlierRuns,
    Failed,
    ImageChange,
    ImagesChanged,
    InputsNewer,
    Interrupted,
    MadeFrom,
    NeverDone,
    OutputsMissing,
    PlanChanged,
    PlanDifference,
    Reason,
    RuleChanged,
    Unfinished,
    Why,
)

T = TypeVar("T")

_MOST = 12
_MOST_IN_A_LINE = 2
_NS = 1e9
_SETTINGS = {
    "source": "reads",
    "kept": "kept as",
    "reads_kept": "reads kept images",
    "groups": "order of groups",
}
_PARTS = {"params": "the plan's digest", "input": "other input files", "code": "its command"}


def render_why(why: Why) -> str:
    """Return an answer: a line for what would happen, then a block for each reason."""
    who = f"step {why.step}, well {why.well} of plate {why.plate}"
    notes = [f"  note: {note}" for note in why.notes]
    if not why.would_run:
        made = [] if why.made_from is None else [f"  {_made_from(why.made_from)}"]
        return "\n".join([f"{who} is up to date", *made, *notes])
    lines = [f"{who} would run:"]
    for reason in why.reasons:
        first, *more = _describe(reason)
        lines += [f"  {first}", *(f"    {line}" for line in more)]
    return "\n".join([*lines, *notes])


def _made_from(made: MadeFrom) -> str:
    source = "the plate" if made.source is None else f"step {made.source}"
    images = f"{made.images} image{'' if made.images == 1 else 's'} of {source}"
    if made.is_plate_wide:
        images = f"the images of {made.images} well{'' if made.images == 1 else 's'} of {source}"
    parts = [images] if made.images or not made.special else []
    parts += [shortened(made.special)] if made.special else []
    return f"made from {' and '.join(parts)} by plan {made.digest}"


def _in_line(reason: Reason) -> str:
    """Return a reason as a part of a line."""
    if isinstance(reason, EarlierRuns | DoneTogether):
        return _headline(reason)
    first, *more = _describe(reason)
    hidden = len(more) - _MOST_IN_A_LINE
    parts = more[:_MOST_IN_A_LINE] + ([f"{hidden} more"] if hidden > 0 else [])
    return f"{first} {'; '.join(parts)}" if parts else first


def _headline(reason: EarlierRuns | DoneTogether) -> str:
    because = "; ".join(map(_in_line, reason.reasons))
    if isinstance(reason, EarlierRuns):
        return f"step {reason.step} runs first: {because}"
    return f"its job does step {reason.step} of well {reason.well} as well, which runs: {because}"


@singledispatch
def _describe(reason: Reason) -> list[str]:
    """Return a line and those that belong below it."""
    raise TypeError(f"no text for {type(reason).__name__}")


@_describe.register
def _(reason: NeverDone) -> list[str]:
    return ["it has not been done yet"]


@_describe.register
def _(reason: Failed) -> list[str]:
    ended = "was stopped" if reason.exit_code == EXIT_STOPPED else f"failed: {reason.message}"
    when = "last time it" if reason.of_this_plan else "with an earlier plan it"
    return [f"{when} {ended} (log {reason.log})"]


@_describe.register
def _(reason: Unfinished) -> list[str]:
    came = "it was started and has left no result: it runs now, was killed or ran out of memory"
    return [f"{came} (log {reason.log})"]


@_describe.register
def _(reason: PlanChanged) -> list[str]:
    if not reason.is_known:
        return ["its plan changed; the plan that its result was made by has not been kept"]
    return ["its plan changed:", *_capped(reason.differences, render_difference)]


def render_difference(one: PlanDifference) -> str:
    """Return in a line what two plans differ in."""
    where = "" if one.where in ("", "installed") else f" ({shorten_origin(one.where)})"
    if one.kind == "source":
        return f"source of {one.function} changed{where}"
    places = [f"{one.group_by} {one.group}" if one.group is not None else None, one.function]
    name = _SETTINGS.get(one.name, one.name)
    path = ", ".join(place for place in places if place)
    if one.kind == "version":
        return f"{f'{path}, ' if path else ''}{name} {_show(one, one.old)} → {_show(one, one.new)}"
    label = f"{path}, {name}" if path else name
    return f"{label}: {_show(one, one.old)} → {_show(one, one.new)}{where}"


def _show(one: PlanDifference, value: JsonValue) -> str:
    if one.kind == "version":
        return str(value)
    if one.kind == "functions":
        refs = value if isinstance(value, list) else []
        return " → ".join(map(str, refs)) if len(refs) == 1 else f"[{', '.join(map(str, refs))}]"
    if one.name == "kept":
        return "not kept" if value is None else FORMATS[Backend(str(value))]
    if one.name == "source":
        return "the plate" if value is None else str(value)
    return render_value(value)


@_describe.register
def _(reason: ImagesChanged) -> list[str]:
    if not reason.is_known:
        return ["the plate's images changed; what they were has not been kept"]
    return [
        "the plate's images changed:",
        *_capped(reason.changed, _image),
        *([f"added: {shortened(reason.added)}"] if reason.added else []),
        *([f"gone: {shortened(reason.removed)}"] if reason.removed else []),
        *(f"channel {channel} has images of another size or type" for channel in reason.channels),
    ]


def _image(change: ImageChange) -> str:
    parts = []
    if change.path != change.old_path:
        parts.append(f"{change.old_path} → {change.path}")
    if change.new_size_bytes != change.old_size_bytes:
        parts.append(f"{_size(change.old_size_bytes)} → {_size(change.new_size_bytes)}")
    if change.new_mtime_ns != change.old_mtime_ns:
        parts.append(f"changed {_time(change.old_mtime_ns)} → {_time(change.new_mtime_ns)}")
    path = f" ({change.path})" if change.path == change.old_path else ""
    return f"{change.name}{path}: {', '.join(parts)}"


def _size(size_bytes: int | None) -> str:
    return "size not recorded" if size_bytes is None else f"{size_bytes} bytes"


def _time(mtime_ns: int | str | None) -> str:
    if mtime_ns is None:
        return "time not recorded"
    if isinstance(mtime_ns, str):
        return f"state {mtime_ns}"
    return datetime.fromtimestamp(mtime_ns / _NS).isoformat(" ", "milliseconds")


@_describe.register
def _(reason: EarlierRuns) -> list[str]:
    return [_headline(reason)]


@_describe.register
def _(reason: DoneTogether) -> list[str]:
    return [_headline(reason)]


@_describe.register
def _(reason: EarlierChanged) -> list[str]:
    changed = (*reason.images, *reason.files)
    if not changed:
        return [f"step {reason.step} has run since; its results are equal, its record is new"]
    return [f"step {reason.step} has run since and gave other results: {shortened(changed)}"]


@_describe.register
def _(reason: OutputsMissing) -> list[str]:
    return [f"missing: {shortened(reason.files)}"]


@_describe.register
def _(reason: InputsNewer) -> list[str]:
    newer = f"newer than its result: {shortened(reason.files)}"
    return [f"{newer}; Snakemake has no record that it was made from them"]


@_describe.register
def _(reason: Interrupted) -> list[str]:
    return [f"Snakemake ended before the job did and takes for torn: {shortened(reason.files)}"]


@_describe.register
def _(reason: RuleChanged) -> list[str]:
    parts = ", ".join(_PARTS[part] for part in reason.parts)
    return [f"its generated rule changed since Snakemake ran it: {parts}"]


def _capped(members: Sequence[T], describe: Callable[[T], str]) -> Iterator[str]:
    yield from map(describe, members[:_MOST])
    if len(members) > _MOST:
        yield f"and {len(members) - _MOST} more"
