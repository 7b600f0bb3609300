"""Special outputs as files between jobs: a zip of JSON and NPY, never a pickle.

``values.json`` has the planes each value belongs to and the value itself; arrays are members
of their own. Equal values give equal bytes, and what is read back has the type and value of
what was written: a type that this cannot promise of is refused.
"""

import io
import json
import math
import sys
import zipfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import InputDataError, StepFunctionError
from openhcs_core.materialization import describe
from openhcs_core.pipeline.travel import WHAT_TRAVELS
from openhcs_core.planes import PlaneKey

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_HEADER = "values.json"
_FORMAT = 1
_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o644 << 16
_NPY_VERSION = (3, 0)
"""The one that takes every name of a field."""
_DEEPEST = 100
_LONGEST = 10_000
"""Bits of an integer: JSON readers refuse numbers of some thousand digits."""


def encode_values(values: Iterable[tuple[tuple[PlaneKey, ...], Any]], who: str) -> bytes:
    """Return the bytes of a file that holds values and the planes they belong to.

    Parameters
    ----------
    values : iterable of (tuple of PlaneKey, object)
        In call order.
    who : str
        Step, well and output, for messages.

    Raises
    ------
    StepFunctionError
        A value is of a type that does not travel; the message names it and those that do.
    """
    encoder = _Encoder(who)
    header = {
        "format": _FORMAT,
        "values": [
            {
                "planes": [key.filename for key in keys],
                "value": encoder.encode(value, f"value {number}", 0),
            }
            for number, (keys, value) in enumerate(values, start=1)
        ],
    }
    text = json.dumps(header, allow_nan=False, separators=(",", ":"))
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(_member(_HEADER), text.encode())
        for name in list(encoder.arrays):  # none of them is in memory twice
            archive.writestr(_member(name), encoder.arrays.pop(name))
    return stream.getvalue()


@dataclass(frozen=True)
class StoredValue:
    """A value in a file.

    Attributes
    ----------
    keys : tuple of PlaneKey
        The planes it belongs to.
    make : callable
        Gives the value, a new one each time: a function may change what it is given.
    """

    keys: tuple[PlaneKey, ...]
    make: Callable[[], Any]


def read_values(path: Path) -> list[StoredValue]:
    """Return the values of a file that :func:`encode_values` made, in the same order.

    The file is open as long as they are in use: each is read when it is made.
    """
    archive = zipfile.ZipFile(path)
    header = json.loads(archive.read(_HEADER))
    return [
        StoredValue(
            tuple(PlaneKey.parse(name) for name in entry["planes"]),
            partial(_make, entry["value"], archive),
        )
        for entry in header["values"]
    ]


def _make(node: Any, archive: zipfile.ZipFile) -> Any:
    try:
        return _decode(node, archive)
    except zipfile.BadZipFile as error:
        raise InputDataError(
            f"{archive.filename} was altered while a job read it ({error}); run snakemake again"
        ) from error


def _member(name: str) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _DATE)
    member.create_system, member.external_attr = _UNIX, _MODE
    return member


class _Encoder:
    """Turns values into JSON and collects their arrays."""

    def __init__(self, who: str) -> None:
        self._who = who
        self.arrays: dict[str, bytes] = {}

    def encode(self, value: Any, at: str, depth: int) -> Any:
        """Return JSON for a value; `at` says where it stands."""
        if depth > _DEEPEST:
            raise StepFunctionError(f"{self._who}: {at} is nested deeper than {_DEEPEST} times")
        kind = type(value)
        # exact types only: a subclass would come back as something else
        if value is None or kind in (bool, str) or (kind is int and _is_short(value)):
            return value
        if kind is float:
            return value if math.isfinite(value) else {"float": str(value)}
        if kind is list:
            return self._items(value, at, depth)
        if kind is tuple:
            return {"tuple": self._items(value, at, depth)}
        if kind is dict:
            return {
                "dict": [
                    [self._key(key, at, depth), self.encode(item, f"{at}[{key!r}]", depth + 1)]
                    for key, item in value.items()
                ]
            }
        return self._library(value, at, depth)

    def _items(self, values: Sequence[Any], at: str, depth: int) -> list[Any]:
        return [
            self.encode(value, f"{at}[{number}]", depth + 1) for number, value in enumerate(values)
        ]

    def _key(self, key: Any, at: str, depth: int) -> Any:
        node = self.encode(key, f"a key of {at}", depth + 1)
        if isinstance(node, dict) and not {"tuple", "float"} & set(node):
            raise self._refusal(key, f"a key of {at}")
        return node

    def _library(self, value: Any, at: str, depth: int) -> Any:
        # a value of a library means that the library has been imported
        numpy, pandas = sys.modules.get("numpy"), sys.modules.get("pandas")
        if numpy is not None and type(value) is numpy.ndarray:
            return {"array": self._array(value, value, at)}
        if numpy is not None and isinstance(value, numpy.generic):
            return {"scalar": self._array(numpy.asarray(value), value, at)}
        if pandas is not None and type(value) is pandas.DataFrame:
            return {"table": self._table(value, at, depth)}
        raise self._refusal(value, at)

    def _array(self, array: "NDArray[Any]", value: Any, at: str) -> str:
        import numpy as np

        stream = io.BytesIO()
        try:
            np.lib.format.write_array(stream, array, _NPY_VERSION, allow_pickle=False)
            content = stream.getvalue()
            read = _load(content)
        except ValueError as error:
            raise self._refusal(value, at) from error
        is_scalar = value is not array
        if read.dtype != array.dtype or (is_scalar and not _is_same(read[()], value)):
            raise self._refusal(value, at)
        name = f"{len(self.arrays)}.npy"
        self.arrays[name] = content
        return name

    def _table(self, table: "pd.DataFrame", at: str, depth: int) -> dict[str, Any]:
        columns = [
            self._column(table.iloc[:, number], f"{at} column {label!r}", depth)
            for number, label in enumerate(table.columns)
        ]
        return {
            "columns": columns,
            "labels": self._index(table.columns, f"{at} columns", depth),
            "index": self._index(table.index, f"{at} index", depth),
            "attrs": self.encode(table.attrs, f"{at} attrs", depth + 1),
        }

    def _index(self, index: "pd.Index[Any]", at: str, depth: int) -> dict[str, Any]:
        import pandas as pd

        name = self.encode(index.name, f"{at} name", depth + 1)
        if type(index) is pd.RangeIndex:
            return {"name": name, "range": [index.start, index.stop, index.step]}
        if type(index) is not pd.Index:
            raise self._refusal(index, at)
        return {"name": name, "values": self._column(index, at, depth)}

    def _column(
        self, column: "pd.Series[Any] | pd.Index[Any]", at: str, depth: int
    ) -> dict[str, Any]:
        """Return JSON for a column: numbers as an array, text and mixed values one by one."""
        import numpy as np
        import pandas as pd

        if isinstance(column.dtype, pd.StringDtype):
            missing = column.isna()
            return {
                "text": [
                    None if is_missing else str(text)
                    for text, is_missing in zip(column, missing, strict=True)
                ],
                "storage": column.dtype.storage,
                "is_nan": column.dtype.na_value is not pd.NA,
            }
        if not isinstance(column.dtype, np.dtype):
            raise self._refusal(column, at, f"a column of {column.dtype}")
        values = column.to_numpy()
        if values.dtype.hasobject:
            return {"objects": self._items(values.tolist(), at, depth)}
        return {"array": self._array(values, values, at)}

    def _refusal(self, value: Any, at: str, found: str | None = None) -> StepFunctionError:
        return StepFunctionError(
            f"{self._who}: {at} is {found or _describe(value)}, which cannot travel to another "
            f"step; what travels: {WHAT_TRAVELS}"
        )


def _describe(value: Any) -> str:
    """Say what a value is; of a subclass, its own name is what tells."""
    return describe(value) if type(value).__name__ == "ndarray" else type(value).__name__


def _is_short(number: int) -> bool:
    return number.bit_length() <= _LONGEST


def _is_same(read: Any, value: Any) -> bool:
    """Return whether a number of numpy is what it was: text loses zeros at its end."""
    return type(read) is type(value) and (read.dtype.kind not in "US" or bool(read == value))


def _decode(node: Any, archive: zipfile.ZipFile) -> Any:
    if isinstance(node, list):
        return [_decode(item, archive) for item in node]
    if not isinstance(node, dict):
        return node
    ((kind, content),) = node.items()
    return _DECODERS[kind](content, archive)


def _decode_dict(content: list[list[Any]], archive: zipfile.ZipFile) -> dict[Any, Any]:
    return {_decode(key, archive): _decode(item, archive) for key, item in content}


def _decode_table(content: dict[str, Any], archive: zipfile.ZipFile) -> "pd.DataFrame":
    import pandas as pd

    index = _decode_index(content["index"], archive)
    columns = {
        number: pd.Series(_decode_column(column, archive), index=index)
        for number, column in enumerate(content["columns"])
    }
    table = pd.DataFrame(columns, index=index)
    table.columns = _decode_index(content["labels"], archive)
    table.attrs = _decode(content["attrs"], archive)
    return table


def _decode_index(content: dict[str, Any], archive: zipfile.ZipFile) -> "pd.Index[Any]":
    import pandas as pd

    name = _decode(content["name"], archive)
    if "range" in content:
        start, stop, step = content["range"]
        return pd.RangeIndex(start, stop, step, name=name)
    values = _decode_column(content["values"], archive)
    index: pd.Index[Any] = pd.Index(values, dtype=values.dtype, name=name)
    return index


def _decode_column(content: dict[str, Any], archive: zipfile.ZipFile) -> Any:
    import numpy as np
    import pandas as pd

    if "text" in content:
        missing = {"na_value": np.nan} if content["is_nan"] else {}
        dtype = pd.StringDtype(content["storage"], **missing)
        return pd.array(content["text"], dtype=dtype)
    if "array" in content:
        return _load(archive.read(content["array"]))
    items = [_decode(item, archive) for item in content["objects"]]
    column: NDArray[Any] = np.empty(len(items), object)
    for number, item in enumerate(items):  # at once, numpy would unpack lists
        column[number] = item
    return column


_DECODERS: dict[str, Callable[[Any, zipfile.ZipFile], Any]] = {
    "float": lambda content, _: float(content),
    "tuple": lambda content, archive: tuple(_decode(content, archive)),
    "dict": _decode_dict,
    "array": lambda content, archive: _load(archive.read(content)),
    "scalar": lambda content, archive: _load(archive.read(content))[()],
    "table": _decode_table,
}


def _load(content: bytes) -> "NDArray[Any]":
    import numpy as np

    array: NDArray[Any] = np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)
    return array
