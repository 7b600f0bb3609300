"""OME-Zarr plates behind the interface of a storage backend."""

import dataclasses
import shutil
from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.ground.atomic import temporary_name
from openhcs_core.ground.folder_lock import locked_folder
from openhcs_core.planes import PlaneKey
from openhcs_core.storage.base import StorageBackend
from openhcs_core.storage.disk_moving import move_path
from openhcs_core.storage.host_arrays import host_array
from openhcs_core.storage.listing import has_extension, in_natural_order
from openhcs_core.storage.ome_zarr.model import (
    FieldImages,
    ImageMetadata,
    parse_plane,
    split_plane_path,
    well_path,
)
from openhcs_core.storage.ome_zarr.reader import (
    is_well,
    list_field_planes,
    list_labels,
    list_planes,
    list_sites,
    read_batch,
    read_image_metadata,
    read_plane,
    read_zarr_config,
)
from openhcs_core.storage.ome_zarr.writer import write_well

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from openhcs_core.storage.ome_zarr.model import PlaneSource

_DEFAULT_CONFIG = ZarrConfig()


class ZarrStorageBackend(StorageBackend):
    """Image planes in OME-Zarr plates; every path is ``<step>.ome.zarr/<plane name>``.

    A field is a file (or a few), so planes are written a well at a time:
    ``save_batch(…, chunk_name=well)`` writes a whole well in one pass. Saving or deleting
    single planes works too and rewrites their well.
    """

    holds_files: ClassVar[bool] = False
    refused: ClassVar[frozenset[str]] = frozenset({"mirror_directory"})

    def save(self, data: Any, identifier: str | Path, **options: Any) -> None:
        """Add or replace one plane; the rest of its well is rewritten with it."""
        self.save_batch([data], [identifier], **options)

    def save_batch(
        self,
        data_list: Sequence[Any],
        identifiers: Sequence[str | Path],
        *,
        chunk_name: str | None = None,
        zarr_config: ZarrConfig | None = None,
        image_metadata: ImageMetadata | None = None,
        **options: Any,
    ) -> None:
        """Write planes of one plate.

        Parameters
        ----------
        data_list : sequence of ndarray
            ``[Y, X]`` each.
        identifiers : sequence of str or Path
            ``<step>.ome.zarr/<plane name>`` each, all in one store.
        chunk_name : str, optional
            A well. The planes are then the whole well, and whatever else was in it is
            removed. When absent, planes already there stay.
        zarr_config : ZarrConfig, optional
            Chunks, codec, pyramid and version. When absent, those that the well has; a new
            well gets the defaults.
        image_metadata : ImageMetadata, optional
            The plate's axes and scales. When absent, those the well has, widened as needed;
            a new well gets axes that just hold the planes.
        **options
            None are known.

        Raises
        ------
        StorageResolutionError
            Paths of other wells than `chunk_name` or of several stores, or unknown options.
        InputDataError
            See :func:`write_well`.
        """
        by_store = _by_store_and_well(data_list, identifiers)
        _check_batch({well for _, well in by_store}, chunk_name, options)
        for (store, well), planes in by_store.items():
            if chunk_name is not None:
                config = zarr_config or _stored_config(store, well)
                metadata = image_metadata or ImageMetadata.of_planes(planes)
                write_well(store, well, _fields(planes, {}, metadata), metadata, config)
                continue
            with locked_folder(store):  # of two that add planes neither loses the other's
                config = zarr_config or _stored_config(store, well)
                every = {**_stored_planes(store, well), **planes}
                metadata = image_metadata or _widened_metadata(store, well, every)
                _rewrite_well(store, well, every, metadata, config)

    def load(self, file_path: str | Path, **options: Any) -> Any:
        """Read one plane as ``[Y, X]``; with ``label=name`` one of that label image.

        Raises
        ------
        InputDataError
            There is no such plane.
        """
        return self.load_batch([file_path], **options)[0]

    def load_batch(
        self,
        file_paths: Sequence[str | Path],
        *,
        label: str | None = None,
        out: "NDArray[Any] | None" = None,
        **options: Any,
    ) -> list[Any]:
        """Read several planes at once, in parallel, in the order given; see :meth:`load`.

        With ``out=`` an array ``[N, Y, X]`` they are read into it, and its slices returned.
        """
        return read_batch([_store_and_plane(path) for path in file_paths], label, out)

    def list_files(
        self,
        directory: str | Path,
        *,
        extensions: Sequence[str] | None = None,
        recursive: bool = False,
    ) -> list[str]:
        """Return paths of the planes in a store's finished wells, in natural order."""
        names = self.list_dir(directory)
        return [f"{directory}/{name}" for name in names if has_extension(name, extensions)]

    def exists(self, path: str | Path) -> bool:
        """Return whether the store, or the plane in it, is there."""
        store_name, name = split_plane_path(Path(path).as_posix())
        store = Path(store_name)
        if not name or not store.is_dir():
            return store.is_dir()
        key = parse_plane(name, store)
        return key.site in list_sites(store, key.well) and key in list_field_planes(
            store, key.well, key.site
        )

    def list_dir(self, path: str | Path) -> list[str]:
        """Return the names of the planes in a store's finished wells, in natural order."""
        store = _existing_store(path)
        return in_natural_order(key.filename for key in list_planes(store))

    def ensure_directory(self, directory: str | Path) -> None:
        """Create the folder of a store where it is absent."""
        store, _ = split_plane_path(Path(directory).as_posix())
        Path(store).mkdir(parents=True, exist_ok=True)

    def delete(self, path: str | Path) -> None:
        """Remove one plane, rewriting its well, or an empty store.

        Raises
        ------
        InputDataError
            There is no such plane or store.
        StorageResolutionError
            `path` is a store that is not empty.
        """
        if not split_plane_path(Path(path).as_posix())[1]:
            store = _existing_store(path)
            if any(store.iterdir()):
                raise StorageResolutionError(
                    f"{store}: store is not empty; delete its planes first"
                )
            store.rmdir()
            return
        if not self.exists(path):
            raise InputDataError(f"{path}: there is no such plane; nothing was deleted")
        store, key = _store_and_plane(path)
        with locked_folder(store):
            kept = _stored_planes(store, key.well)
            del kept[key]
            metadata = read_image_metadata(store, key.well)
            _rewrite_well(store, key.well, kept, metadata, read_zarr_config(store, key.well))

    def move(
        self, source: str | Path, target: str | Path, *, replace_symlinks: bool = False
    ) -> None:
        """Rename a whole store; see :meth:`StorageBackend.move`.

        Raises
        ------
        StorageResolutionError
            A path is a plane's: planes of a field share files. Load, save and delete it.
        """
        for path in (source, target):
            if split_plane_path(Path(path).as_posix())[1]:
                raise StorageResolutionError(
                    f"{path}: storage backend 'zarr' moves whole stores; load this plane, save it "
                    "where it is to be and delete it here"
                )
        move_path(Path(source), Path(target), replace_symlinks=replace_symlinks)


def _check_batch(wells: set[str], chunk_name: str | None, options: Mapping[str, Any]) -> None:
    if options:
        raise StorageResolutionError(
            f"storage backend 'zarr' knows no option {', '.join(sorted(options))}"
        )
    if chunk_name is not None and wells - {chunk_name}:
        raise StorageResolutionError(
            f"chunk_name {chunk_name!r}: expected planes of this well only, found "
            f"{', '.join(in_natural_order(wells))}"
        )


def _store_and_plane(path: str | Path) -> tuple[Path, PlaneKey]:
    store, name = split_plane_path(Path(path).as_posix())
    return Path(store), parse_plane(name, store)


def _existing_store(path: str | Path) -> Path:
    store, rest = split_plane_path(Path(path).as_posix())
    if rest or not Path(store).is_dir():
        raise InputDataError(f"{path}: no such OME-Zarr store; check the path")
    return Path(store)


def _by_store_and_well(
    data_list: Sequence[Any], identifiers: Sequence[str | Path]
) -> dict[tuple[Path, str], dict[PlaneKey, Any]]:
    grouped: dict[tuple[Path, str], dict[PlaneKey, Any]] = {}
    for data, path in zip(data_list, identifiers, strict=True):
        store, key = _store_and_plane(path)
        planes = grouped.setdefault((store, key.well), {})
        if key in planes:
            raise StorageResolutionError(f"{path}: is given twice in one batch")
        planes[key] = host_array(data, path)
    return grouped


def _stored_config(store: Path, well: str) -> ZarrConfig:
    """Return how a well is stored, or is to be when it is new."""
    return read_zarr_config(store, well) if is_well(store, well) else _DEFAULT_CONFIG


def _stored_planes(store: Path, well: str) -> "dict[PlaneKey, PlaneSource]":
    """Return a loader for each plane of a well."""
    return {
        key: partial(read_plane, store, key)
        for site in list_sites(store, well)
        for key in list_field_planes(store, well, site)
    }


def _stored_labels(store: Path, well: str) -> "dict[int, dict[str, dict[PlaneKey, PlaneSource]]]":
    return {
        site: {
            name: {key: partial(read_plane, store, key, name) for key in keys}
            for name, keys in list_labels(store, well, site).items()
        }
        for site in list_sites(store, well)
    }


def _fields(
    planes: "Mapping[PlaneKey, PlaneSource]",
    labels: "Mapping[int, Mapping[str, Mapping[PlaneKey, PlaneSource]]]",
    metadata: ImageMetadata,
) -> list[FieldImages]:
    by_site: dict[int, dict[PlaneKey, PlaneSource]] = {}
    for key, source in planes.items():
        by_site.setdefault(key.site, {})[key] = source
    return [
        FieldImages(site, metadata.field_path(site), by_site[site], labels.get(site, {}))
        for site in sorted(by_site)
    ]


def _rewrite_well(
    store: Path,
    well: str,
    planes: "Mapping[PlaneKey, PlaneSource]",
    metadata: ImageMetadata,
    config: ZarrConfig,
) -> None:
    """Write a well anew beside the old one, from which planes and labels are read, and swap."""
    temporary = store / temporary_name()
    try:
        fields = _fields(planes, _stored_labels(store, well), metadata)
        write_well(temporary, well, fields, metadata, config)
        final = store / well_path(well)
        with locked_folder(final):
            final.rename(temporary / "replaced")
            (temporary / well_path(well)).rename(final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _widened_metadata(store: Path, well: str, keys: Iterable[PlaneKey]) -> ImageMetadata:
    """Return the axes of a well with room for `keys`; those that just hold them for a new one."""
    needed = ImageMetadata.of_planes(keys)
    if not is_well(store, well):
        return needed
    known = read_image_metadata(store, well)
    names = {channel.id: channel for channel in (*needed.channels, *known.channels)}
    return dataclasses.replace(
        known,
        channels=tuple(names[name] for name in in_natural_order(names)),
        z_indices=tuple(sorted({*known.z_indices, *needed.z_indices})),
        timepoints=tuple(sorted({*known.timepoints, *needed.timepoints})),
        sites=tuple(sorted({*known.sites, *needed.sites})),
    )
