"""Reading planes back from the OME-Zarr plates that :mod:`.writer` made."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage.listing import in_natural_order
from openhcs_core.storage.ome_zarr.arrays import open_array
from openhcs_core.storage.ome_zarr.metadata import (
    GROUP_FILE,
    parse_fields,
    parse_image_metadata,
    parse_labels,
    parse_planes,
    read_json,
    well_file,
)
from openhcs_core.storage.ome_zarr.model import LABEL_NAME, ImageMetadata, parse_plane

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SHOWN = 6  # planes that a message lists


def read_plane(store: Path, key: PlaneKey, label: str | None = None) -> "NDArray[Any]":
    """Read one plane, or one plane of a label image.

    Parameters
    ----------
    store : Path
        ``<step>.ome.zarr``.
    key : PlaneKey
        Which plane.
    label : str, optional
        Name of a label image; the image itself when absent.

    Returns
    -------
    ndarray
        ``[Y, X]``, dtype as stored in native byte order, owned by the caller.

    Raises
    ------
    InputDataError
        There is no such plane, or its files are damaged.
    """
    return read_planes(store, [key], label)[0]


def read_planes(
    store: Path, keys: Sequence[PlaneKey], label: str | None = None
) -> "list[NDArray[Any]]":
    """Read several planes in the order given, opening each field once; see :func:`read_plane`."""
    wanted: dict[tuple[str, int], list[int]] = {}
    for position, key in enumerate(keys):
        wanted.setdefault((key.well, key.site), []).append(position)
    images: dict[int, NDArray[Any]] = {}
    for (well, site), positions in wanted.items():
        folder = _image_folder(store, well, site, label)
        places = parse_planes(read_json(folder / GROUP_FILE), folder)
        read = open_array(folder / "0")
        for position in positions:
            name = keys[position].filename
            if name not in places:
                raise _no_plane(store, name, list(places))
            images[position] = read(places[name])
    return [images[position] for position in range(len(keys))]


def list_planes(store: Path) -> list[PlaneKey]:
    """Return the planes of all finished wells, in natural order of their names."""
    names: list[str] = []
    for file in store.glob(f"[!.]*/[!.]*/{GROUP_FILE}"):
        for field in parse_fields(read_json(file), file).values():
            folder = file.parent / field
            names.extend(parse_planes(read_json(folder / GROUP_FILE), folder))
    return [parse_plane(name, store) for name in in_natural_order(names)]


def list_labels(store: Path, well: str, site: int) -> dict[str, list[PlaneKey]]:
    """Return the planes of each label image of a field, by the image's name."""
    labels = _image_folder(store, well, site, None) / "labels"
    if not labels.is_dir():
        return {}
    found = {}
    for name in parse_labels(read_json(labels / GROUP_FILE), labels):
        folder = labels / name
        planes = parse_planes(read_json(folder / GROUP_FILE), folder)
        found[name] = [parse_plane(plane, folder) for plane in planes]
    return found


def list_sites(store: Path, well: str) -> list[int]:
    """Return the sites of a finished well, ascending; none of one that is not there."""
    file = well_file(store, well)
    return sorted(parse_fields(read_json(file), file)) if file.is_file() else []


def read_image_metadata(store: Path, well: str) -> ImageMetadata:
    """Return the axes and scales a well was written with.

    Raises
    ------
    InputDataError
        The well is not finished, or other software wrote it.
    """
    file = well_file(store, well)
    return parse_image_metadata(read_json(file), file)


def list_field_planes(store: Path, well: str, site: int) -> list[PlaneKey]:
    """Return the planes of one field."""
    folder = _image_folder(store, well, site, None)
    return [
        parse_plane(name, folder) for name in parse_planes(read_json(folder / GROUP_FILE), folder)
    ]


def _image_folder(store: Path, well: str, site: int, label: str | None) -> Path:
    file = well_file(store, well)
    if not file.is_file():
        raise InputDataError(
            f"{store}: well {well} is not there ({file} is missing); the step that writes it has "
            "to run first"
        )
    fields = parse_fields(read_json(file), file)
    if site not in fields:
        raise InputDataError(
            f"{store}: well {well} has no site {site}, only {', '.join(map(str, sorted(fields)))}"
        )
    folder = file.parent / fields[site]
    if label is None:
        return folder
    if not LABEL_NAME.fullmatch(label) or not (folder / "labels" / label / GROUP_FILE).is_file():
        raise InputDataError(f"{folder}: there is no label image {label!r}")
    return folder / "labels" / label


def _no_plane(store: Path, name: str, present: list[str]) -> InputDataError:
    listed = ", ".join(present[:_SHOWN]) + (", …" if len(present) > _SHOWN else "")
    return InputDataError(
        f"{store}/{name}: there is no such plane; its field has {len(present)}: {listed}"
    )
