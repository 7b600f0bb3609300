"""Arrays of every memory type become numpy arrays before they are written."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.memory import detect_memory_type, get_framework

if TYPE_CHECKING:
    from numpy.typing import NDArray


def host_array(data: Any, path: str | Path) -> "NDArray[Any]":
    """Return an array as one of numpy that can be stored.

    Parameters
    ----------
    data : array
        Of any memory type.
    path : str or Path
        Where it goes, for messages.

    Returns
    -------
    ndarray
        Values and dtype unchanged; may share the memory of `data`.

    Raises
    ------
    StorageResolutionError
        It is no array, or one of objects or with masked values.
    InputDataError
        It is empty.
    """
    kind = detect_memory_type(data)
    if kind is MemoryType.UNKNOWN:
        raise wrong_data(path, "an array", data)
    array = get_framework(kind).to_numpy(data)
    if array.size == 0:
        raise InputDataError(f"{path}: expected an image to save, found an empty array")
    if array.dtype.hasobject:
        raise wrong_data(path, "an array of numbers", data)
    if type(data).__name__ == "MaskedArray":  # what is under the mask would be written as values
        raise wrong_data(path, "an array without a mask", data)
    return array


def wrong_data(path: str | Path, expected: str, data: Any) -> StorageResolutionError:
    """Return the error for data that a file cannot hold."""
    return StorageResolutionError(
        f"{path}: expected {expected} to save, found {type(data).__name__}; convert it first"
    )
