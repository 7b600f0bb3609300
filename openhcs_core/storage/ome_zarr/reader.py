"""Reading planes back from the OME-Zarr plates that :mod:`.writer` made, of either version."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage.listing import in_natural_order
from openhcs_core.storage.ome_zarr.groups import group_file, is_group, read_group
from openhcs_core.storage.ome_zarr.layout import Place
from openhcs_core.storage.ome_zarr.metadata import (
    parse_fields,
    parse_image_metadata,
    parse_labels,
    parse_planes,
    parse_zarr_config,
)
from openhcs_core.storage.ome_zarr.model import LABEL_NAME, ImageMetadata, parse_plane, well_path
from openhcs_core.storage.ome_zarr.tensorstore_ import ArrayReader, Pending

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
    """Read several planes of one plate in the order given; see :func:`read_batch`."""
    return read_batch([(store, key) for key in keys], label)


def read_batch(
    planes: Sequence[tuple[Path, PlaneKey]],
    label: str | None = None,
    out: "NDArray[Any] | None" = None,
) -> "list[NDArray[Any]]":
    """Read several planes at once, in parallel, into one piece of memory.

    Parameters
    ----------
    planes : sequence of (Path, PlaneKey)
        Which planes of which ``<step>.ome.zarr``; each field is opened once.
    label : str, optional
        Name of a label image; the images themselves when absent.
    out : ndarray, optional
        ``[N, Y, X]`` of the planes' dtype, contiguous: it is filled.

    Returns
    -------
    list of ndarray
        ``[Y, X]`` in the order of `planes`: the slices of `out`, or of a new ``[N, Y, X]``
        where all are of one shape and dtype, so that a stack of them needs no further copy.

    Raises
    ------
    InputDataError
        There is no such plane, its files are damaged, or `out` has not the planes' form.
    """
    found = _find_planes(planes, label)
    images = _destinations(planes, [array for array, _ in found], out)
    pending: list[tuple[ArrayReader, Place, Pending]] = [
        (array, place, array.start(place, image))
        for (array, place), image in zip(found, images, strict=True)
    ]
    for array, place, work in pending:
        array.finish(place, work)
    return images


def _find_planes(
    planes: Sequence[tuple[Path, PlaneKey]], label: str | None
) -> list[tuple[ArrayReader, Place]]:
    """Return the array and the place in it of each plane."""
    fields: dict[tuple[Path, str, int], tuple[ArrayReader, dict[str, Place]]] = {}
    found = []
    for store, key in planes:
        field = (store, key.well, key.site)
        if field not in fields:
            folder = _image_folder(*field, label)
            fields[field] = (ArrayReader(folder / "0"), _plane_places(folder))
        array, places = fields[field]
        if key.filename not in places:
            raise _no_plane(store, key.filename, list(places))
        found.append((array, places[key.filename]))
    return found


def _destinations(
    planes: Sequence[tuple[Path, PlaneKey]],
    arrays: Sequence[ArrayReader],
    out: "NDArray[Any] | None",
) -> "list[NDArray[Any]]":
    """Return the memory that each plane goes to."""
    import numpy as np

    forms = [(array.plane_shape, array.dtype) for array in arrays]
    if out is None:
        if len(set(forms)) != 1:
            return [np.empty(shape, dtype) for shape, dtype in forms]
        shape, dtype = forms[0]
        return list(np.empty((len(planes), *shape), dtype))
    for (store, key), (shape, dtype) in zip(planes, forms, strict=True):
        expected = (len(planes), *shape)
        if (out.shape, out.dtype) != (expected, dtype) or not out.flags.c_contiguous:
            raise InputDataError(
                f"{store}/{key.filename}: expected contiguous memory {expected} {dtype} to read "
                f"it and the others into, found {out.shape} {out.dtype}"
            )
    return list(out)


def list_planes(store: Path) -> list[PlaneKey]:
    """Return the planes of all finished wells, in natural order of their names."""
    names: list[str] = []
    for well in store.glob("[!.]*/[!.]*"):
        if is_group(well):
            for field in parse_fields(read_group(well), group_file(well)).values():
                names.extend(_plane_places(well / field))
    return [parse_plane(name, store) for name in in_natural_order(names)]


def list_labels(store: Path, well: str, site: int) -> dict[str, list[PlaneKey]]:
    """Return the planes of each label image of a field, by the image's name."""
    labels = _image_folder(store, well, site, None) / "labels"
    if not labels.is_dir():
        return {}
    return {
        name: [parse_plane(plane, labels / name) for plane in _plane_places(labels / name)]
        for name in parse_labels(read_group(labels), labels)
    }


def lacks_fields(well: Path) -> bool:
    """Return whether a well's metadata list a field that is not there, or are damaged.

    Only whether a field is there is looked at, not what is in it.

    Parameters
    ----------
    well : Path
        Its folder; False where it is no well yet.
    """
    if not is_group(well):
        return False
    try:
        fields = [str(image["path"]) for image in read_group(well).ome["well"]["images"]]
    except (InputDataError, LookupError, TypeError):
        return True
    return not all(is_group(well / field) for field in fields)


def is_well(store: Path, well: str) -> bool:
    """Return whether a well is finished."""
    return is_group(store / well_path(well))


def list_sites(store: Path, well: str) -> list[int]:
    """Return the sites of a finished well, ascending; none of one that is not there."""
    folder = store / well_path(well)
    return sorted(parse_fields(read_group(folder), group_file(folder))) if is_group(folder) else []


def read_image_metadata(store: Path, well: str) -> ImageMetadata:
    """Return the axes and scales a well was written with.

    Raises
    ------
    InputDataError
        The well is not finished, or other software wrote it.
    """
    folder = store / well_path(well)
    return parse_image_metadata(read_group(folder), group_file(folder))


def read_zarr_config(store: Path, well: str) -> ZarrConfig:
    """Return chunks, codec, pyramid and version that a well was written with.

    Raises
    ------
    InputDataError
        The well is not finished, or other software wrote it.
    """
    folder = store / well_path(well)
    return parse_zarr_config(read_group(folder), group_file(folder))


def list_field_planes(store: Path, well: str, site: int) -> list[PlaneKey]:
    """Return the planes of one field."""
    folder = _image_folder(store, well, site, None)
    return [parse_plane(name, folder) for name in _plane_places(folder)]


def _plane_places(folder: Path) -> dict[str, Place]:
    return parse_planes(read_group(folder), group_file(folder))


def _image_folder(store: Path, well: str, site: int, label: str | None) -> Path:
    place = store / well_path(well)
    if not is_group(place):
        raise InputDataError(
            f"{store}: well {well} is not there ({group_file(place)} is missing); the step that "
            "writes it has to run first"
        )
    fields = parse_fields(read_group(place), group_file(place))
    if site not in fields:
        raise InputDataError(
            f"{store}: well {well} has no site {site}, only {', '.join(map(str, sorted(fields)))}"
        )
    folder = place / fields[site]
    if label is None:
        return folder
    if not LABEL_NAME.fullmatch(label) or not is_group(folder / "labels" / label):
        raise InputDataError(f"{folder}: there is no label image {label!r}")
    return folder / "labels" / label


def _no_plane(store: Path, name: str, present: list[str]) -> InputDataError:
    listed = ", ".join(present[:_SHOWN]) + (", …" if len(present) > _SHOWN else "")
    return InputDataError(
        f"{store}/{name}: there is no such plane; its field has {len(present)}: {listed}"
    )
