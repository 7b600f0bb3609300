"""Text, JSON and bytes as files."""

import json
from pathlib import Path
from typing import Any, BinaryIO

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage.backends.tiff_ import unreadable
from openhcs_core.storage.host_arrays import wrong_data


def read_bytes(path: Path) -> bytes:
    """Return a file's content.

    Raises
    ------
    InputDataError
        It is missing or cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from error


def write_bytes(stream: BinaryIO, data: Any, path: Path) -> None:
    """Write bytes as they are."""
    if not isinstance(data, bytes):
        raise wrong_data(path, "bytes", data)
    stream.write(data)


def read_text(path: Path) -> str:
    """Return a text in UTF-8, line ends as they are.

    Raises
    ------
    InputDataError
        It is missing, cannot be read or is not UTF-8.
    """
    try:
        return read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise InputDataError(
            f"{path}: expected text in UTF-8, found byte {error.object[error.start]:#04x} at "
            f"{error.start}; save it as UTF-8"
        ) from error


def write_text(stream: BinaryIO, data: Any, path: Path) -> None:
    """Write a text in UTF-8, line ends as they are."""
    if not isinstance(data, str):
        raise wrong_data(path, "text", data)
    stream.write(data.encode("utf-8"))


def read_json(path: Path) -> Any:
    """Return the data of a JSON file.

    Raises
    ------
    InputDataError
        It is missing or no JSON.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputDataError(
            f"{path}: expected JSON, found {error.msg} at line {error.lineno}; mend or remake it"
        ) from error


def write_json(stream: BinaryIO, data: Any, path: Path) -> None:
    """Write data as JSON for people: indented, in UTF-8; NaN and infinities are refused."""
    try:
        text = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise StorageResolutionError(
            f"{path}: expected data that JSON can hold, found {error}"
        ) from error
    stream.write(f"{text}\n".encode())
