"""One well of a plate converted: read, written, read back, and recorded when it is right."""

import gzip
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.config import ZarrConfig
from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import Acquisition, ImageFile, PlateIndex, virtual_mapping
from openhcs_core.microscopes.imagexpress.metaseries import NO_METADATA, parse_metaseries
from openhcs_core.microscopes.tiff_header import parse_tiff_header
from openhcs_core.plates.original_files import ORIGINAL_FOLDER
from openhcs_core.plates.readers import choose_reader
from openhcs_core.runtime import plane_digest
from openhcs_core.storage import (
    FieldImages,
    ImageMetadata,
    PlateSource,
    is_well,
    parse_json,
    replace_file,
    write_well,
)
from openhcs_core.storage.backends.virtual_workspace import VirtualWorkspaceBackend

if TYPE_CHECKING:
    from numpy.typing import NDArray

_RECORDS = "wells"
_VERSION = 1
_TIFF_ENDINGS = (".tif", ".tiff")


@dataclass(frozen=True, slots=True)
class PlateForm:
    """What all wells of a conversion share.

    Attributes
    ----------
    index, source : PlateIndex, PlateSource
        The plate.
    metadata : ImageMetadata
        Axes and scales.
    zarr : ZarrConfig
        Chunks, codec, pyramid and version.
    is_checked : bool
        Planes are read back.
    """

    index: PlateIndex
    source: PlateSource
    metadata: ImageMetadata
    zarr: ZarrConfig
    is_checked: bool


@dataclass(frozen=True, slots=True)
class WellDone:
    """A converted well: whether it was converted now, its planes and bytes of pixels."""

    is_new: bool
    planes: int = 0
    pixel_bytes: int = 0


@dataclass
class _Seen:
    """What was read of the plate while a well was written: digests, descriptions, bytes."""

    digests: dict[str, str] = field(default_factory=dict)
    descriptions: dict[str, str] = field(default_factory=dict)
    pixel_bytes: int = 0


class WellConverter:
    """Converts wells of one plate; many at once.

    Parameters
    ----------
    form : PlateForm
        What they share.
    out : Path
        ``<name>.ome.zarr``.

    Attributes
    ----------
    reader_name : str
        What reads the planes back.
    """

    def __init__(self, form: PlateForm, out: Path) -> None:
        self._form, self.out = form, out
        self._plate = VirtualWorkspaceBackend(form.source, virtual_mapping(form.index))
        self._expected = {
            channel.id: (channel.shape, channel.dtype) for channel in form.index.channels
        }
        self._images: dict[str, list[ImageFile]] = {}
        for image in form.index.images:
            self._images.setdefault(image.key.well, []).append(image)
        self._read_back = choose_reader()

    @property
    def reader_name(self) -> str:
        """See the class."""
        return self._read_back.name

    def convert(self, well: str, progress: Callable[[int], None]) -> WellDone:
        """Convert a well, unless a finished conversion of the same images is there.

        Raises
        ------
        InputDataError
            An image is damaged, or what was written reads back as something else.
        """
        images = self._images[well]
        sought = self._sources(images)
        if is_well(self.out, well) and self._recorded(well) == sought:
            progress(len(images))
            return WellDone(is_new=False)
        seen = _Seen()
        self._record_place(well).unlink(missing_ok=True)
        fields = self._fields(images, seen, progress)
        write_well(self.out, well, fields, self._form.metadata, self._form.zarr)
        if self._form.is_checked:
            self._check(well, images, seen)
        self._write_descriptions(well, seen)
        self._write_record(well, sought, seen)
        return WellDone(is_new=True, planes=len(images), pixel_bytes=seen.pixel_bytes)

    def _fields(
        self, images: Sequence[ImageFile], seen: _Seen, progress: Callable[[int], None]
    ) -> Iterator[FieldImages]:
        for site in sorted({image.key.site for image in images}):
            own = [image for image in images if image.key.site == site]
            yield FieldImages(
                site=site,
                path=self._form.metadata.field_path(site),
                planes={image.key: partial(self._load, image, seen, progress) for image in own},
                attributes={
                    "channels": [
                        {
                            "id": channel.id,
                            "name": channel.name,
                            "excitation_nm": channel.excitation_nm,
                            "emission_nm": channel.emission_nm,
                        }
                        for channel in self._form.index.channels
                    ],
                    "acquisitions": {
                        image.key.filename: self._acquisition(image, seen) for image in own
                    },
                },
            )

    def _load(
        self, image: ImageFile, seen: _Seen, progress: Callable[[int], None]
    ) -> "NDArray[Any]":
        name = image.key.filename
        stack = self._plate.load_stack([f"images/{name}"], *self._expected[image.key.channel])
        plane: NDArray[Any] = stack[0]
        self._check_unchanged(image)
        seen.digests[name] = plane_digest(plane)
        seen.pixel_bytes += plane.nbytes
        progress(1)
        return plane

    def _check_unchanged(self, image: ImageFile) -> None:
        if image.size_bytes is None and image.mtime_ns is None:
            return
        try:
            found = self._form.source.status(image.path)
        except OSError as error:
            raise InputDataError(
                f"{self._form.source.where(image.path)}: {error.strerror or error}"
            ) from error
        if (found.st_size, found.st_mtime_ns) != (image.size_bytes, image.mtime_ns):
            raise InputDataError(
                f"{self._form.source.where(image.path)} changed since the plate was indexed; "
                "convert again when the plate is no longer written"
            )

    def _acquisition(self, image: ImageFile, seen: _Seen) -> dict[str, Any]:
        """Return where and when a plane was taken, and its file; its description goes to `seen`."""
        known = self._form.index.acquisitions.get(image.key, Acquisition())
        found: dict[str, Any] = {"file": image.path, **known._asdict()}
        if image.path.lower().endswith(_TIFF_ENDINGS):
            where = self._form.source.where(image.path)
            try:
                with self._form.source.open(image.path) as file:
                    description = parse_tiff_header(file, where).description
            except OSError as error:
                raise InputDataError(f"{where}: {error.strerror or error}") from error
            if description:
                seen.descriptions[image.key.filename] = description
                found |= _as_written(description, where)
        return found

    def _check(self, well: str, images: Sequence[ImageFile], seen: _Seen) -> None:
        """Read a well as others will, and compare every plane."""
        keys = [image.key for image in images]
        for key, plane in self._read_back.read(self.out, self._form.metadata, keys):
            if plane_digest(plane) != seen.digests[key.filename]:
                raise InputDataError(
                    f"{self.out}: {key.filename} reads back as other pixels than were written; "
                    "check the disk, and convert again"
                )

    def _sources(self, images: Sequence[ImageFile]) -> dict[str, Any]:
        """Return what a well is made from, as JSON would give it back."""
        content = {
            "version": _VERSION,
            "images": {
                image.key.filename: [image.path, image.size_bytes, image.mtime_ns]
                for image in images
            },
            "zarr": self._form.zarr.model_dump(mode="json"),
            "channels": self._form.index.channel_names,
            "scale": [self._form.metadata.pixel_size_um, self._form.metadata.z_step_um],
            "sites": list(self._form.metadata.sites),
            "z_indices": list(self._form.metadata.z_indices),
            "timepoints": list(self._form.metadata.timepoints),
        }
        same: dict[str, Any] = json.loads(json.dumps(content))
        return same

    def _record_place(self, well: str) -> Path:
        return self.out / ORIGINAL_FOLDER / _RECORDS / f"{well}.json"

    def _recorded(self, well: str) -> Any:
        """Return what a finished well was made from, None where no record says so."""
        try:
            record = parse_json(self._record_place(well).read_bytes())
        except (FileNotFoundError, ValueError):
            return None
        return record.get("made_from") if isinstance(record, dict) else None

    def _write_record(self, well: str, sought: Mapping[str, Any], seen: _Seen) -> None:
        record = {"made_from": sought, "digests": dict(sorted(seen.digests.items()))}
        _write(self._record_place(well), json.dumps(record, indent=1).encode())

    def _write_descriptions(self, well: str, seen: _Seen) -> None:
        """Keep what each image says of itself: a few kB each, much the same."""
        if seen.descriptions:
            text = json.dumps(dict(sorted(seen.descriptions.items())), indent=1)
            place = self.out / ORIGINAL_FOLDER / "image_descriptions" / f"{well}.json.gz"
            _write(place, gzip.compress(text.encode(), mtime=0))


def _as_written(description: str, where: str) -> dict[str, Any]:
    """Return what MetaXpress says of an image, in the directions of its stage."""
    said = parse_metaseries(description, where)
    if said == NO_METADATA:
        return {}
    names = ("stage_x_um", "stage_y_um", "stage_z_um", "acquired", "projection")
    return {"as_written": {name: getattr(said, name) for name in names}}


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path) as file:
        file.write(content)
