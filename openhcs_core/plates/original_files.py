"""The plate's own metadata files, kept beside its pixels."""

from collections.abc import Iterator
from pathlib import Path

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import PlateIndex
from openhcs_core.storage import PlateSource, is_folder, replace_file

ORIGINAL_FOLDER = "original_metadata"
_FILES = "files"
_ZARR_FILES = ("zarr.json", ".zattrs", ".zgroup")
"""Of a plate that is a zarr store only these are copied: the rest is pixels, or read from it."""

_IMAGE_ENDINGS = (".tif", ".tiff", ".png", ".jpg", ".jpeg", ".jp2", ".bmp", ".stk", ".nd2", ".czi")
_MOST_BYTES = 64 * 2**20
_MOST_FILES = 10_000


def copy_metadata_files(
    source: PlateSource, index: PlateIndex, out: Path
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Copy what is no image from a plate's folder into its conversion.

    Parameters
    ----------
    source : PlateSource
        The plate.
    index : PlateIndex
        Says which images are planes.
    out : Path
        The conversion; files get ``original_metadata/files/<path in the plate>``.

    Returns
    -------
    files : tuple of str
        What was copied, relative to the plate.
    left_out : tuple of str
        What is not in the conversion, for people.

    Raises
    ------
    InputDataError
        A file cannot be read, or there are too many.
    """
    planes = {image.path for image in index.images}
    copied: list[str] = []
    large: list[str] = []
    images = 0
    for path, size_bytes in _walk(source):
        if path.lower().endswith(_IMAGE_ENDINGS):
            images += path not in planes
        elif size_bytes is None or size_bytes > _MOST_BYTES:
            large.append(path)
        else:
            if len(copied) == _MOST_FILES:
                raise InputDataError(
                    f"{source.name} has over {_MOST_FILES} files beside its images; move what is "
                    "no metadata of the plate elsewhere"
                )
            copied.append(path)
    for path in copied:
        _copy(source, path, out / ORIGINAL_FOLDER / _FILES / path)
    left_out = []
    if images:
        left_out.append(
            f"{images} images that are no planes: projections, copies, thumbnails, calibration"
        )
    left_out += [f"{path}, over {_MOST_BYTES} bytes" for path in large]
    return tuple(sorted(copied)), tuple(left_out)


def _walk(source: PlateSource) -> Iterator[tuple[str, int | None]]:
    """Yield path and size of each file; hidden ones are passed over, links are walked once."""
    is_zarr = any(source.exists(name) for name in _ZARR_FILES)
    pending, visited = [""], {source.folder_identity("")}
    while pending:
        folder = pending.pop()
        for entry in sorted(source.list_folder(folder), key=lambda entry: entry.name):
            path = f"{folder}{entry.name}"
            if entry.name.startswith(".") and entry.name not in _ZARR_FILES:
                continue
            if not is_folder(entry):
                if source.exists(path):
                    yield path, entry.stat().st_size
                continue
            identity = source.folder_identity(path)
            if identity not in visited and not is_zarr:
                visited.add(identity)
                pending.append(f"{path}/")


def _copy(source: PlateSource, path: str, place: Path) -> None:
    content = source.read(path, _MOST_BYTES + 1)
    if place.is_file() and place.read_bytes() == content:
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(place) as out:
        out.write(content)
