"""What two plans of a step differ in: every field, under the name people know it by."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal

from pydantic import JsonValue

from openhcs_core.config import FrozenModel
from openhcs_core.plan import SOURCE_VERSION, canonical_json

ABSENT = "(absent)"
"""Stands for the value of a field that one of the plans does not have."""

_IMPLIED = {"kept": ["write_backend"], "reads_kept": ["read_backend", "read_sub_dir"]}
"""Difference → fields that only follow it."""

Kind = Literal["setting", "functions", "function", "parameter", "version", "source"]
Data = Mapping[str, Any]


class PlanDifference(FrozenModel):
    """One field that differs.

    Attributes
    ----------
    kind : str
        ``setting``: of the step; ``functions``: a chain has other functions; ``function``: how
        one is called; ``parameter``; ``version``: of a library; ``source``: digest of code.
    name : str
        Setting or parameter (dots lead into mappings: ``store.zarr.compressor``), or library.
    group_by, group : str or None
        Component and value whose chain it is in; None for the whole step or the only chain.
    function : str or None
        Reference of the function; None also for a library that several functions use.
    number : int or None
        Position of the function in today's chain, from 0.
    old, new : JSON value
        Before and now; None also where there is none.
    where : str
        The place that the new value comes from, as far as it is known.
    """

    kind: Kind
    name: str
    group_by: str | None = None
    group: str | None = None
    function: str | None = None
    number: int | None = None
    old: JsonValue = None
    new: JsonValue = None
    where: str = ""


def find_differences(old: Data, new: Data) -> tuple[PlanDifference, ...]:
    """Return what differs between two step plans, nothing if and only if they are equal.

    Parameters
    ----------
    old, new : mapping
        Step plans as plan files have them; `old` may be of another version of this software.

    Returns
    -------
    tuple of PlanDifference
        Settings of the step, then its chains in order, then versions of libraries.
    """
    found = [*_settings(old, new), *_groups(old, new)]
    named = {difference.name for difference in found}
    implied = {name for cause, names in _IMPLIED.items() if cause in named for name in names}
    versions = [one for one in found if one.kind == "version"]
    others = [one for one in found if one.kind != "version" and one.name not in implied]
    return (*others, *_merge(versions))


def _settings(old: Data, new: Data) -> Iterator[PlanDifference]:
    apart = {"groups", "store"}
    plain_old, plain_new = _without(old, apart), _without(new, apart)
    for name, before, now in _leaves(plain_old, plain_new):
        yield PlanDifference(kind="setting", name=name, old=before, new=now)
    stores = old.get("store"), new.get("store")
    backends = [store["backend"] if store else None for store in stores]
    if backends[0] != backends[1]:
        yield PlanDifference(kind="setting", name="kept", old=backends[0], new=backends[1])
    if all(stores):
        before_all, now_all = (_without(store or {}, {"backend"}) for store in stores)
        for name, before, now in _leaves(before_all, now_all):
            yield PlanDifference(kind="setting", name=f"store.{name}", old=before, new=now)


def _groups(old: Data, new: Data) -> Iterator[PlanDifference]:
    chains_old = {group["value"]: group["functions"] for group in old["groups"]}
    chains_new = {group["value"]: group["functions"] for group in new["groups"]}
    for value in dict.fromkeys([*chains_old, *chains_new]):
        group_by = None if value is None else (new if value in chains_new else old)["group_by"]
        place = {"group_by": group_by, "group": value}
        for one in _chain(chains_old.get(value), chains_new.get(value)):
            yield one.model_copy(update=place)
    if list(chains_old) != list(chains_new) and set(chains_old) == set(chains_new):
        yield PlanDifference(
            kind="setting", name="groups", old=list(chains_old), new=list(chains_new)
        )


def _chain(old: Sequence[Data] | None, new: Sequence[Data] | None) -> Iterator[PlanDifference]:
    """Yield the differences of a chain; functions are told by reference and order."""
    refs_old, refs_new = _refs(old), _refs(new)
    if refs_old != refs_new:
        yield PlanDifference(kind="functions", name="functions", old=refs_old, new=refs_new)
    if old is None or new is None:
        return
    matcher = SequenceMatcher(a=refs_old, b=refs_new, autojunk=False)
    for start_old, start_new, length in matcher.get_matching_blocks():
        for step in range(length):
            number = start_new + step
            for one in _function(old[start_old + step], new[number]):
                yield one.model_copy(update={"function": new[number]["ref"], "number": number})


def _refs(chain: Sequence[Data] | None) -> Any:
    return None if chain is None else [function["ref"] for function in chain]


def _function(old: Data, new: Data) -> Iterator[PlanDifference]:
    for name, before, now in _entries(old["parameters"], new["parameters"]):
        yield PlanDifference(kind="parameter", name=name, old=before, new=now)
    for name, before, now in _entries(old["versions"], new["versions"]):
        kind: Kind = "source" if name == SOURCE_VERSION else "version"
        yield PlanDifference(kind=kind, name=name, old=before, new=now)
    apart = {"parameters", "versions", "ref"}
    for name, before, now in _leaves(_without(old, apart), _without(new, apart)):
        yield PlanDifference(kind="function", name=name, old=before, new=now)


def _merge(versions: Sequence[PlanDifference]) -> Iterator[PlanDifference]:
    """Yield each library's change once, without a function where several use it."""
    same: dict[tuple[str, JsonValue, JsonValue], list[PlanDifference]] = {}
    for one in versions:
        same.setdefault((one.name, one.old, one.new), []).append(one)
    for members in same.values():
        nowhere = {"function": None, "number": None, "group": None, "group_by": None}
        yield members[0] if len(members) == 1 else members[0].model_copy(update=nowhere)


def _leaves(old: Data, new: Data, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield name, old and new of what differs, inside mappings by itself."""
    for name, before, now in _entries(old, new):
        if isinstance(before, Mapping) and isinstance(now, Mapping):
            yield from _leaves(before, now, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", before, now


def _entries(old: Data, new: Data) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*old, *new]):
        before, now = old.get(name, ABSENT), new.get(name, ABSENT)
        # as digests see them: 1, 1.0 and True are equal in Python, and other plans
        if canonical_json(before) != canonical_json(now):
            yield name, before, now


def _without(data: Data, names: set[str]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name not in names}
