"""Whether a plate is what its jobs wrote: every metadata file, chunk and label plane."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrChunkStrategy, ZarrConfig
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage.checking import (
    Finding,
    LabelDigests,
    PlaneForm,
    WrittenImages,
    compare_bytes,
    list_files,
    stray_files,
)
from openhcs_core.storage.ome_zarr.arrays import (
    Place,
    array_metadata,
    chunk_file,
    display_range,
    open_array,
    plane_extent,
    read_array_metadata,
)
from openhcs_core.storage.ome_zarr.metadata import (
    GROUP_FILE,
    encode_json,
    image_group,
    label_group,
    labels_group,
    parse_planes,
    read_json,
    well_group,
)
from openhcs_core.storage.ome_zarr.model import ImageMetadata, PlateLayout, parse_plane, well_path
from openhcs_core.storage.ome_zarr.writer import (
    field_name,
    label_places,
    plane_places,
    plate_files,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ARRAY = "0"


def check_plate_metadata(store: Path, layout: PlateLayout) -> Iterator[Finding]:
    """Yield the plate's and rows' metadata files that are missing or altered."""
    for path, content in plate_files(layout).items():
        yield from compare_bytes(store / path, encode_json(content))


def check_well(
    store: Path, written: WrittenImages, metadata: ImageMetadata, config: ZarrConfig
) -> tuple[list[Finding], int]:
    """Check a well that :func:`~.writer.write_well` made; one plane at a time is in memory.

    Parameters
    ----------
    store : Path
        ``<step>.ome.zarr``.
    written : WrittenImages
        What was written.
    metadata : ImageMetadata
        The axes it was written with.
    config : ZarrConfig
        Chunks and codec.

    Returns
    -------
    list of Finding
        What is missing or altered, each file once.
    int
        Bytes there are.
    """
    check = _WellCheck(store / well_path(written.well), written, metadata, config)
    findings = list(check.run())
    return findings, sum(check.present.values())


@dataclass
class _WellCheck:
    """The check of one well: `known` gathers the files that belong there."""

    folder: Path
    written: WrittenImages
    metadata: ImageMetadata
    config: ZarrConfig
    known: set[str] = field(default_factory=set)
    labels: LabelDigests = field(default_factory=LabelDigests)

    def __post_init__(self) -> None:
        """Look once at what files there are."""
        self.present = list_files(self.folder)

    def run(self) -> Iterator[Finding]:
        """Yield what is wrong."""
        fields: dict[int, dict[PlaneKey, PlaneForm]] = {}
        for key in sorted(self.written.planes):
            fields.setdefault(key.site, {})[key] = self.written.planes[key]
        paths = {site: self.metadata.field_path(site) for site in fields}
        yield from self._compare(GROUP_FILE, well_group(paths, self.metadata))
        for site, planes in fields.items():
            yield from self._check_field(paths[site], planes)
            yield from self._check_labels(paths[site], next(iter(planes.values())).shape)
        yield from self.labels.compare(self.written, self._label_place)
        yield from stray_files(self.folder, self.present, self.known)

    def _check_field(self, path: str, planes: Mapping[PlaneKey, PlaneForm]) -> Iterator[Finding]:
        places = plane_places(planes, self.metadata)
        form = next(iter(planes.values()))
        extents: dict[int, list[tuple[float, float] | None]] = {}

        def look(key: PlaneKey, plane: "NDArray[Any]") -> bool:
            extents.setdefault(places[key][1], []).append(plane_extent(plane))
            return self.written.plane_digest(plane) == planes[key].digest

        outer = (*self._outer_shape(len(self.metadata.channels)), *form.shape)
        array = _ArrayCheck(self, f"{path}/{_ARRAY}", places, look)
        found = list(array.run(array_metadata(outer, form.dtype, self.config)))
        yield from found
        if found:  # the field's display ranges come of its planes
            self.known.add(f"{path}/{GROUP_FILE}")
            return
        ranges = {at: display_range(extents[at], form.dtype) for at in sorted(extents)}
        names = {key.filename: list(place) for key, place in places.items()}
        name = field_name(self.written.well, path)
        content = image_group(name, self.metadata, names, ranges)
        yield from self._compare(f"{path}/{GROUP_FILE}", content)

    def _check_labels(self, path: str, shape: tuple[int, int]) -> Iterator[Finding]:
        """Check a field's label images; their planes are those that their metadata name."""
        folder = f"{path}/labels"
        names = [
            name
            for name in sorted(self.written.labels)
            if any(file.startswith(f"{folder}/{name}/") for file in self.present)
        ]
        if names:
            yield from self._compare(f"{folder}/{GROUP_FILE}", labels_group(names))
        for name in names:
            found = list(self._check_label(f"{folder}/{name}", name, shape))
            if found:
                self.labels.damaged.add(name)
            yield from found

    def _check_label(self, path: str, name: str, shape: tuple[int, int]) -> Iterator[Finding]:
        file = self.folder / path / GROUP_FILE
        self.known |= {f"{path}/{GROUP_FILE}", f"{path}/{_ARRAY}/{GROUP_FILE}"}
        self.known |= {file for file in self.present if file.startswith(f"{path}/{_ARRAY}/c/")}
        if f"{path}/{GROUP_FILE}" not in self.present:
            yield Finding("missing", file, "metadata of the label image", "no such file")
            return
        try:
            keys = [parse_plane(plane, file) for plane in parse_planes(read_json(file), file)]
            places = label_places(keys, self.metadata)
            dtype = read_array_metadata(self.folder / path / _ARRAY)["data_type"]
        except (InputDataError, StorageResolutionError) as error:
            yield _unreadable(self.folder / path, error)
            return
        if not isinstance(dtype, str) or "int" not in dtype:
            array_file = self.folder / path / _ARRAY / GROUP_FILE
            yield Finding("altered", array_file, "whole numbers", f"data_type {dtype}")
            return
        content = label_group(name, self.metadata, {k.filename: list(p) for k, p in places.items()})
        yield from self._compare(f"{path}/{GROUP_FILE}", content)
        self.known -= {file for file in self.known if file.startswith(f"{path}/{_ARRAY}/c/")}
        digests = self.labels.planes.setdefault(name, {})

        def look(key: PlaneKey, plane: "NDArray[Any]") -> bool:
            digests[key] = self.written.plane_digest(plane)
            return True

        array = _ArrayCheck(self, f"{path}/{_ARRAY}", places, look)
        yield from array.run(array_metadata((*self._outer_shape(1), *shape), dtype, self.config))

    def _outer_shape(self, channels: int) -> Place:
        return (len(self.metadata.timepoints), channels, len(self.metadata.z_indices))

    def _compare(self, name: str, content: Mapping[str, Any]) -> Iterator[Finding]:
        self.known.add(name)
        yield from compare_bytes(self.folder / name, encode_json(content))

    def _label_place(self, name: str) -> Path:
        """Return the folder of a label image: of the one field that has it, or of all."""
        having = sorted(
            file.split("/")[0]
            for file in self.present
            if file.endswith(f"/labels/{name}/zarr.json")
        )
        where = having[0] if len(having) == 1 else "*"
        return self.folder / where / "labels" / name


@dataclass
class _ArrayCheck:
    """The check of one array: `look` says of each plane whether it is the one written."""

    well: _WellCheck
    path: str
    places: Mapping[PlaneKey, Place]
    look: Any

    def run(self, expected: Mapping[str, Any]) -> Iterator[Finding]:
        """Yield what is wrong: the metadata, else each chunk or shard that is."""
        well, folder = self.well, self.well.folder / self.path
        is_sharded = well.config.chunk_strategy is ZarrChunkStrategy.WELL
        files: dict[str, list[tuple[PlaneKey | None, Place]]] = {}
        keys = {place: key for key, place in self.places.items()}
        times, channels, slices = expected["shape"][:3]
        for place in itertools.product(range(times), range(channels), range(slices)):
            if place in keys or is_sharded:  # with a chunk a plane there is none for a hole
                files.setdefault(chunk_file(place, well.config), []).append(
                    (keys.get(place), place)
                )
        well.known |= {f"{self.path}/{file}" for file in (GROUP_FILE, *files)}
        wrong = list(self._check_metadata(folder, expected))
        yield from wrong
        if not wrong:
            read = open_array(folder)
            for file, planes in files.items():
                yield from self._check_file(file, planes, read)

    def _check_metadata(self, folder: Path, expected: Mapping[str, Any]) -> Iterator[Finding]:
        # compared by meaning: another version of zarr may write the same in other words
        file = folder / GROUP_FILE
        if not file.is_file():
            yield Finding("missing", file, "metadata of the array", "no such file")
            return
        try:
            found = read_array_metadata(folder)
        except InputDataError as error:
            yield _unreadable(file, error)
            return
        # zarr passes over keys that it does not know, as of a misspelt "configuration"
        unknown = sorted(_keys(read_json(file)) - _keys(expected))
        if unknown:
            yield Finding("altered", file, "metadata of the array", f"key {unknown[0]!r}")
        elif found != expected:
            key = next(
                key for key in sorted({*expected, *found}) if expected.get(key) != found.get(key)
            )
            yield Finding("altered", file, f"{key} {expected.get(key)}", f"{key} {found.get(key)}")

    def _check_file(
        self, file: str, planes: list[tuple[PlaneKey | None, Place]], read: Any
    ) -> Iterator[Finding]:
        """Yield one finding for a chunk or shard, whatever is wrong with its planes."""
        path = self.well.folder / self.path / file
        if f"{self.path}/{file}" not in self.well.present:
            yield Finding("missing", path, f"pixels of {_few(planes)}", "no such file")
            return
        wrong = []
        for key, place in planes:
            try:
                plane = read(place)
            except InputDataError as error:
                yield _unreadable(path, error)
                return
            is_right = not plane.any() if key is None else self.look(key, plane)
            if not is_right:
                wrong.append((key, place))
        if wrong:
            yield Finding("altered", path, "pixels as recorded", f"others in {_few(wrong)}")


def _keys(value: Any) -> set[str]:
    """Return the keys of a JSON value and of all values in it."""
    if isinstance(value, Mapping):
        return {*value, *(key for inner in value.values() for key in _keys(inner))}
    if isinstance(value, (list, tuple)):
        return {key for inner in value for key in _keys(inner)}
    return set()


def _few(planes: list[tuple[PlaneKey | None, Place]]) -> str:
    key, place = planes[0]
    first = f"the hole at [t, c, z] = {list(place)}" if key is None else key.filename
    return first if len(planes) == 1 else f"{first} and {len(planes) - 1} more"


def _unreadable(path: Path, error: Exception) -> Finding:
    return Finding("altered", path, "what its job wrote", f"damaged ({error})")
