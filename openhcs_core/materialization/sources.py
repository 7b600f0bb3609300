"""What a function returned, taken apart: the part to write, its images, its kind in words."""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import StepFunctionError
from openhcs_core.memory import detect_memory_type, get_framework
from openhcs_core.planes import PlaneKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

COMPONENTS = PlaneKey._fields
"""What stands in front of every row and entry: well, site, channel, z_index, timepoint."""

_SHOWN_NAMES = 8


@dataclass(frozen=True)
class Later:
    """An array that is read when it is needed, each time anew.

    Attributes
    ----------
    read : callable
        Given a number it returns that slice of the array, given None all of it.
    """

    read: "Callable[[int | None], NDArray[Any]]"


@dataclass(frozen=True)
class Entry:
    """What one call of a function gave for an output.

    Attributes
    ----------
    keys : tuple of PlaneKey
        The images it belongs to; tables and records are named after the first.
    value : object
        As the function returned it, or the part of it that `source` names; or :class:`Later`.
    over : frozenset of str
        Components that the value is of all of, such as the wells of a plate.
    """

    keys: tuple[PlaneKey, ...]
    value: Any
    over: frozenset[str] = frozenset()

    @property
    def components(self) -> dict[str, Any]:
        """Well, site, channel, z and time: the function does not know them."""
        parts = self.keys[0]._asdict() if self.keys else {}
        return {name: part for name, part in parts.items() if name not in self.over}

    @property
    def name(self) -> str:
        """The first image's name within its well, e.g. ``s001_w1_z001_t001``."""
        return self.name_of(self.keys[0]) if self.keys else "plate"

    def name_of(self, key: PlaneKey) -> str:
        """Return the name of one of its images, without what the value is of all of."""
        parts = zip(COMPONENTS, key.filename.removesuffix(".tif").split("_"), strict=True)
        return "_".join(part for name, part in parts if name not in self.over | {"well"}) or "plate"


def plane_name(key: PlaneKey) -> str:
    """Return the name of an image within its well, e.g. ``s001_w1_z001_t001``."""
    return Entry((key,), None).name


def select(value: Any, source: str | None) -> Any:
    """Return the part of a value that `source` names, the value itself without one.

    A value that is to be read (:class:`Later`) is read.

    Raises
    ------
    StepFunctionError
        There is no such part; the message has those there are.
    """
    if isinstance(value, Later):
        value = value.read(None)
    rest = source
    while rest is not None:
        parts = _parts(value)
        if parts is None:
            raise StepFunctionError(
                f"source {source!r}: nothing can be chosen from {describe(value)}; it takes a "
                "dict, a dataclass, a list or a tuple"
            )
        # a key may have dots in it
        first, _, after = (rest, "", "") if rest in parts else rest.partition(".")
        if first not in parts:
            known = ", ".join(list(parts)[:_SHOWN_NAMES]) or "nothing"
            raise StepFunctionError(f"source {source!r}: no {first!r} in {known}")
        value, rest = parts[first], after or None
    return value


def _parts(value: Any) -> dict[str, Any] | None:
    if isinstance(value, list | tuple):
        return {str(number): item for number, item in enumerate(value)}
    return as_mapping(value)


def as_mapping(value: Any) -> dict[str, Any] | None:
    """Return a dict or a dataclass instance as a dict with text keys, None for all else.

    Raises
    ------
    StepFunctionError
        Two keys read the same as text.
    """
    if is_roi(value):  # a dataclass, of bytes and offsets
        return None
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if not isinstance(value, Mapping):
        return None
    named = {str(key): item for key, item in value.items()}
    if len(named) < len(value):
        raise StepFunctionError(f"has two keys that read the same: {', '.join(map(str, value))}")
    return named


def is_roi(value: Any) -> bool:
    """Return whether a value is a ROI of roifile."""
    roifile = sys.modules.get("roifile")
    return roifile is not None and isinstance(value, roifile.ImagejRoi)


def is_frame(value: Any) -> bool:
    """Return whether a value is a pandas DataFrame."""
    # A DataFrame exists only where pandas has been imported.
    pandas = sys.modules.get("pandas")
    return pandas is not None and isinstance(value, pandas.DataFrame)


def as_array(value: Any) -> "NDArray[Any] | None":
    """Return an array of any memory type as numpy's, None for what is no array."""
    kind = detect_memory_type(value)
    if kind is MemoryType.UNKNOWN:
        return None
    array: NDArray[Any] = get_framework(kind).to_numpy(value)
    return array


def image_planes(entry: Entry) -> "list[tuple[PlaneKey, NDArray[Any]]]":
    """Return the 2-D images of an array, each with its key.

    Parameters
    ----------
    entry : Entry
        Its value is ``[Z, Y, X]``, a slice an image or one in all, or ``[Y, X]``.

    Raises
    ------
    StepFunctionError
        Not an array of that shape.
    """
    array = as_array(entry.value)
    if array is None or array.ndim not in (2, 3) or array.size == 0:
        raise StepFunctionError(
            f"is {describe(entry.value)}; expected an image [Y, X] or [Z, Y, X]"
        )
    planes = list(array) if array.ndim == 3 else [array]
    keys = entry.keys if len(planes) == len(entry.keys) else entry.keys[:1]
    if len(planes) != len(keys):
        raise StepFunctionError(
            f"has {len(planes)} slices for {len(entry.keys)} images; "
            "expected one an image, or one in all"
        )
    return list(zip(keys, planes, strict=True))


def describe(value: Any) -> str:
    """Return in words what a value is, for messages."""
    array = as_array(value)
    if array is not None:
        return f"{type(value).__name__} {array.dtype} {list(array.shape)}"
    if isinstance(value, list | tuple):
        kind = type(value).__name__
        return (
            f"{kind} of {len(value)}, the first {describe(value[0])}" if value else f"empty {kind}"
        )
    if isinstance(value, Mapping):
        names = [str(name) for name in value]
        more = ", …" if len(names) > _SHOWN_NAMES else ""
        return f"dict with {', '.join(names[:_SHOWN_NAMES]) or 'nothing'}{more}"
    return type(value).__name__
