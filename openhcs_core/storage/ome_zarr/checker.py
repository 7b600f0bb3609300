"""Whether a plate is what its jobs wrote: every metadata file, chunk, pyramid and label plane."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrConfig
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
from openhcs_core.storage.ome_zarr.arrays import display_range, level_layouts, plane_extent
from openhcs_core.storage.ome_zarr.groups import Group, encode_json, group_files, read_group
from openhcs_core.storage.ome_zarr.layout import ArrayLayout, Place, read_dtype
from openhcs_core.storage.ome_zarr.metadata import (
    image_group,
    label_group,
    labels_group,
    parse_planes,
    well_group,
)
from openhcs_core.storage.ome_zarr.model import ImageMetadata, PlateLayout, parse_plane, well_path
from openhcs_core.storage.ome_zarr.pyramid import MEAN, NEAREST, Reduction
from openhcs_core.storage.ome_zarr.tensorstore_ import ArrayReader
from openhcs_core.storage.ome_zarr.writer import (
    field_name,
    label_places,
    plane_places,
    plate_files,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Look = Callable[[PlaneKey, NDArray[Any]], bool]


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
        Chunks, codec, pyramid and version.

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
        yield from self._compare("", well_group(paths, self.metadata, self.config))
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

        outer = self._outer_shape(len(self.metadata.channels))
        layouts = level_layouts(outer, form.shape, form.dtype, self.config)
        found = list(_LevelsCheck(self, path, places, look, MEAN).run(layouts))
        yield from found
        if found:  # the field's display ranges come of its planes
            self._know_group(path)
            return
        ranges = {at: display_range(extents[at], form.dtype) for at in sorted(extents)}
        names = {key.filename: list(place) for key, place in places.items()}
        name = field_name(self.written.well, path)
        content = image_group(name, self.metadata, names, ranges, len(layouts))
        yield from self._compare(path, content)

    def _check_labels(self, path: str, shape: tuple[int, int]) -> Iterator[Finding]:
        """Check a field's label images; their planes are those that their metadata name."""
        folder = f"{path}/labels"
        names = [
            name
            for name in sorted(self.written.labels)
            if any(file.startswith(f"{folder}/{name}/") for file in self.present)
        ]
        if names:
            yield from self._compare(folder, labels_group(names))
        for name in names:
            found = list(self._check_label(f"{folder}/{name}", name, shape))
            if found:
                self.labels.damaged.add(name)
            yield from found

    def _check_label(self, path: str, name: str, shape: tuple[int, int]) -> Iterator[Finding]:
        folder = self.folder / path
        belongs = {file for file in self.present if file.startswith(f"{path}/")}
        file = self._know_group(path)
        if file not in self.present:
            self.known |= belongs
            yield Finding(
                "missing", self.folder / file, "metadata of the label image", "no such file"
            )
            return
        try:
            found = parse_planes(read_group(folder), self.folder / file)
            keys = [parse_plane(plane, self.folder / file) for plane in found]
            places = label_places(keys, self.metadata)
            layouts = level_layouts(
                self._outer_shape(1), shape, read_dtype(folder / "0"), self.config
            )
        except (InputDataError, StorageResolutionError) as error:
            self.known |= belongs
            yield _unreadable(folder, error)
            return
        if "int" not in layouts[0].dtype:
            self.known |= belongs
            array_file = folder / "0" / layouts[0].file
            yield Finding("altered", array_file, "whole numbers", f"dtype {layouts[0].dtype}")
            return
        names = {key.filename: list(place) for key, place in places.items()}
        yield from self._compare(path, label_group(name, self.metadata, names, len(layouts)))
        digests = self.labels.planes.setdefault(name, {})

        def look(key: PlaneKey, plane: "NDArray[Any]") -> bool:
            digests[key] = self.written.plane_digest(plane)
            return True

        yield from _LevelsCheck(self, path, places, look, NEAREST).run(layouts)

    def _outer_shape(self, channels: int) -> Place:
        return (len(self.metadata.timepoints), channels, len(self.metadata.z_indices))

    def _compare(self, path: str, group: Group) -> Iterator[Finding]:
        """Compare the files of a group."""
        for name, content in group_files(group, self.config.ome_zarr_version).items():
            file = f"{path}/{name}".removeprefix("/")
            self.known.add(file)
            yield from compare_bytes(self.folder / file, encode_json(content))

    def _know_group(self, path: str) -> str:
        """Note that a group belongs there; return the file of its metadata."""
        files = [f"{path}/{name}" for name in group_files(Group(), self.config.ome_zarr_version)]
        self.known |= set(files)
        return files[-1]

    def _label_place(self, name: str) -> Path:
        """Return the folder of a label image: of the one field that has it, or of all."""
        having = sorted({file.split("/")[0] for file in self.present if f"/labels/{name}/" in file})
        where = having[0] if len(having) == 1 else "*"
        return self.folder / where / "labels" / name


@dataclass
class _LevelsCheck:
    """The check of one image, level by level.

    `look` says of each plane whether it is the one written. What the planes give on the further
    levels is remembered by digest, so that one plane at a time is in memory.
    """

    well: _WellCheck
    path: str
    places: Mapping[PlaneKey, Place]
    look: "Look"
    reduction: Reduction
    level_count: int = 1
    reduced: dict[tuple[int, PlaneKey], str] = field(default_factory=dict)

    def run(self, layouts: Sequence[ArrayLayout]) -> Iterator[Finding]:
        """Yield what is wrong; further levels are compared with the first, where it is right."""
        self.level_count = len(layouts)
        whole = list(self._check_array(0, layouts[0], self._look_at_plane))
        yield from whole
        for number, layout in enumerate(layouts[1:], start=1):
            if whole:
                self.well.known |= {
                    f"{self.path}/{number}/{file}" for file in (layout.file, *self._files(layout))
                }
            else:
                yield from self._check_array(number, layout, self._look_at_level(number))

    def _look_at_plane(self, key: PlaneKey, plane: "NDArray[Any]") -> bool:
        is_right = self.look(key, plane)
        for number in range(1, self.level_count):
            plane = self.reduction.halve(plane)
            self.reduced[number, key] = self.well.written.plane_digest(plane)
        return is_right

    def _look_at_level(self, number: int) -> "Look":
        digest = self.well.written.plane_digest
        return lambda key, plane: digest(plane) == self.reduced[number, key]

    def _files(self, layout: ArrayLayout) -> dict[str, list[tuple[PlaneKey | None, Place]]]:
        """Return which planes are in each file of an array; those of holes have no key."""
        keys = {place: key for key, place in self.places.items()}
        files: dict[str, list[tuple[PlaneKey | None, Place]]] = {}
        for place in keys:
            files.setdefault(layout.file_of(place), [])
        times, channels, slices = map(range, layout.shape[:3])
        for place in itertools.product(times, channels, slices):
            if (file := layout.file_of(place)) in files:  # a block of holes has none
                files[file].append((keys.get(place), place))
        return files

    def _check_array(self, number: int, layout: ArrayLayout, look: "Look") -> Iterator[Finding]:
        """Yield what is wrong: the metadata, else each chunk or shard that is."""
        path = f"{self.path}/{number}"
        folder, files = self.well.folder / path, self._files(layout)
        self.well.known |= {f"{path}/{file}" for file in (layout.file, *files)}
        wrong = list(compare_bytes(folder / layout.file, encode_json(layout.metadata())))
        yield from wrong
        if not wrong:
            read = ArrayReader(folder).read
            for file, planes in files.items():
                yield from self._check_file(f"{path}/{file}", planes, read, look)

    def _check_file(
        self,
        file: str,
        planes: list[tuple[PlaneKey | None, Place]],
        read: "Callable[[Place], NDArray[Any]]",
        look: "Look",
    ) -> Iterator[Finding]:
        """Yield one finding for a chunk or shard, whatever is wrong with its planes."""
        path = self.well.folder / file
        if file not in self.well.present:
            yield Finding("missing", path, f"pixels of {_few(planes)}", "no such file")
            return
        wrong = []
        for key, place in planes:
            try:
                plane = read(place)
            except InputDataError as error:
                yield _unreadable(path, error)
                return
            is_right = not plane.any() if key is None else look(key, plane)
            if not is_right:
                wrong.append((key, place))
        if wrong:
            yield Finding("altered", path, "pixels as recorded", f"others in {_few(wrong)}")


def _few(planes: list[tuple[PlaneKey | None, Place]]) -> str:
    key, place = planes[0]
    first = f"the hole at [t, c, z] = {list(place)}" if key is None else key.filename
    return first if len(planes) == 1 else f"{first} and {len(planes) - 1} more"


def _unreadable(path: Path, error: Exception) -> Finding:
    return Finding("altered", path, "what its job wrote", f"damaged ({error})")
