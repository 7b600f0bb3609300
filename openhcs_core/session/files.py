"""Generated files: written when their content changes, compared otherwise."""

from collections.abc import Mapping
from pathlib import Path

from openhcs_core.storage import replace_file


def write_files(files: Mapping[str, str]) -> list[str]:
    """Write the files whose content changes, each in one step; return their paths."""
    changed = changed_files(files)
    for path in changed:
        with replace_file(path, durable=False) as stream:
            stream.write(files[path].encode())
    return changed


def changed_files(files: Mapping[str, str]) -> list[str]:
    """Return the paths whose content is not what it should be."""
    return [path for path, text in files.items() if not holds(Path(path), text)]


def holds(path: Path, text: str) -> bool:
    """Return whether a file has just this content."""
    try:
        return path.read_bytes() == text.encode()
    except (FileNotFoundError, NotADirectoryError):
        return False
