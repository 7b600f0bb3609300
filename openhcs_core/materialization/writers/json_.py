"""Records as JSON: the same text for the same values, on every machine."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization.columns import as_rows
from openhcs_core.materialization.sources import COMPONENTS, Entry, as_array, as_mapping, describe
from openhcs_core.materialization.spec import JsonOptions
from openhcs_core.materialization.values import is_single, single

_TAKEN = (
    "single values, dicts, dataclasses, lists and 1-D arrays of these, DataFrames and structured "
    "arrays (write images with TiffOptions or ROIOptions)"
)


def json_bytes(entries: Sequence[Entry], options: JsonOptions) -> bytes:
    """Return a JSON list of objects: well, site, channel, z and time, then what was found.

    A dict or dataclass is one object, its keys beside the components; a list of these, a
    DataFrame and a structured array are an object a row, so none for an empty one. Anything
    else stands under ``value``. Keys keep the given order, floats have as few digits as give
    the same float64 back, NaN is null.

    Raises
    ------
    StepFunctionError
        An image, an infinite number, a key of `fields` that is not there, or a value that
        JSON has no form for.
    """
    objects = [made for entry in entries for made in _objects(entry, options.fields)]
    text = json.dumps(objects, indent=1, ensure_ascii=False, allow_nan=False)
    return f"{text}\n".encode()


def _objects(entry: Entry, fields: Sequence[str] | None) -> list[dict[str, Any]]:
    mapping = as_mapping(entry.value)
    records = [mapping] if mapping is not None else as_rows(entry.value)
    if records is None:
        array = as_array(entry.value)
        if array is not None and array.ndim > 1:
            raise StepFunctionError(f"is {describe(entry.value)}; JSON takes {_TAKEN}")
        records = [{"value": entry.value}]
    return [{**entry.components, **_plain(_chosen(record, fields), "")} for record in records]


def _chosen(record: Mapping[str, Any], fields: Sequence[str] | None) -> Mapping[str, Any]:
    if fields is None:
        return record
    missing = [name for name in fields if name not in record and name not in COMPONENTS]
    if missing:
        raise StepFunctionError(
            f"entry has no key {missing[0]!r}; it has {', '.join(record)}: "
            "correct the `fields` of its options or the function"
        )
    # a key of the function that is named like a component takes its place, as in tables
    kept = [name for name in record if name in COMPONENTS]
    chosen = [*kept, *(name for name in fields if name not in COMPONENTS)]
    return {name: record[name] for name in chosen}


def _plain(value: Any, at: str) -> Any:
    """Return a value as what the json module takes; `at` is where it stands, for messages."""
    if is_single(value):
        return _finite(single(value), at)
    mapping = as_mapping(value)
    if mapping is not None:
        return {name: _plain(item, f"{at}.{name}") for name, item in mapping.items()}
    rows = as_rows(value)
    array = as_array(value)
    items = rows if rows is not None else value if array is None else list(array)
    if isinstance(items, list | tuple):
        return [_plain(item, f"{at}.{number}") for number, item in enumerate(items)]
    where = f"{at[1:]!r} " if at else ""
    raise StepFunctionError(f"{where}is {describe(value)}; JSON takes {_TAKEN}")


def _finite(value: Any, at: str) -> Any:
    if isinstance(value, float) and math.isinf(value):
        raise StepFunctionError(
            f"{at[1:]!r} is {value}, which JSON has no form for; give None or a finite number, or "
            "write it with CsvOptions"
        )
    return value
