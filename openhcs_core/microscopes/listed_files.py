"""Image files that a list of the instrument names, looked up in the folders it names."""

from collections.abc import Collection, Mapping

from openhcs_core.errors import InputDataError
from openhcs_core.storage import Entry, PlateSource, is_folder
from openhcs_core.storage.plate_source import FileStatus, is_inside

TIFF_ENDINGS = (".tif", ".tiff")
_LAST_LETTERS = {ending[-4:] for ending in TIFF_ENDINGS}
_MOST_FOLDERS = 200


class ListedFiles:
    """The files beside a list, and in the folders that it names.

    Each folder is scanned once.

    Parameters
    ----------
    source : PlateSource
        The plate.
    path : str
        The list, relative to it.

    Attributes
    ----------
    folder : str
        The list's folder with a trailing ``/``; empty for the plate's own.
    warnings : list of str
        Links to nothing.
    """

    def __init__(self, source: PlateSource, path: str) -> None:
        self._source = source
        self._where = source.where(path)
        self.folder = path[: path.rfind("/") + 1]
        self._entries: dict[str, Mapping[str, Entry]] = {}
        self.warnings: list[str] = []

    def find(self, name: str) -> FileStatus | None:
        """Return size and time of a file, None when it is not there or a link to nothing.

        Raises
        ------
        InputDataError
            The list names a file outside of its folder.
        """
        below = name[: name.rfind("/") + 1]
        entries = self._entries.get(below)
        if entries is None:
            if not is_inside(name):
                raise InputDataError(
                    f"{self._where} names the image {name!r}, which is not in the plate's folder; "
                    "the file is not to be trusted"
                )
            entries = self._entries[below] = self._list(below)
        entry = entries.get(name[len(below) :])
        if entry is None:
            return None
        try:
            return entry.stat()
        except OSError:
            self.warnings.append(f"{self.folder}{name} is a link to nothing")
            return None

    def surplus(self, listed: Collection[str]) -> tuple[str, ...]:
        """Return the TIFFs of these folders, relative to the plate, that are not `listed`."""
        return tuple(
            sorted(
                self.folder + below + name
                for below, entries in self._entries.items()
                for name in entries
                if name.lower().endswith(TIFF_ENDINGS)
                and not name.startswith(".")
                and below + name not in listed
            )
        )

    def _list(self, below: str) -> dict[str, Entry]:
        folder = self.folder
        for part in below.split("/")[:-1]:
            if not any(entry.name == part for entry in self._source.list_folder(folder)):
                return {}
            folder += f"{part}/"
        return {entry.name: entry for entry in self._source.list_folder(folder)}


def find_lists(source: PlateSource, names: Collection[str], depth: int = 3) -> list[str]:
    """Return files of these names (lower case), of the nearest level that has any.

    Looks at a few hundred folders at most, so that asking is cheap for any folder.
    """
    level, seen = [""], 0
    for _ in range(depth):
        found: list[str] = []
        below: list[str] = []
        for folder in level:
            seen += 1
            if seen > _MOST_FOLDERS:
                break
            entries = [
                entry
                for entry in source.list_folder(folder)  # 1e6 of them are images
                if entry.name[-4:].lower() not in _LAST_LETTERS
            ]
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.name.lower() in names:
                    found.append(folder + entry.name)
                elif is_folder(entry):
                    below.append(f"{folder}{entry.name}/")
        if found:
            return found
        level = below
    return []
