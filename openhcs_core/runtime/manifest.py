"""The commit record of one step and well: an output without a matching manifest does not exist."""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from pydantic import ValidationError

from openhcs_core.config import FrozenModel
from openhcs_core.errors import InputDataError
from openhcs_core.ground.atomic import replace_file
from openhcs_core.ground.commit_records import (
    begins_partial,
    encode_manifest_data,
    manifest_beginning,
)
from openhcs_core.plan import manifest_path
from openhcs_core.planes import PlaneKey


class PlaneRecord(FrozenModel):
    """One output image: the name of its plane and the digest of its content."""

    name: str
    digest: str


class StackRecord(FrozenModel):
    """Output images that one call made together.

    Attributes
    ----------
    object : str
        Digest of the stack, its name in the cache.
    dtype : str
        numpy dtype name.
    planes : tuple of PlaneRecord
        In stack order.
    """

    object: str
    dtype: str
    shape: tuple[int, int, int]
    planes: tuple[PlaneRecord, ...]


class FileRecord(FrozenModel):
    """A file written for the well: digest of its bytes, and how many."""

    digest: str
    size_bytes: int


class WellFailure(FrozenModel):
    """Why a well is left out.

    Attributes
    ----------
    step : str
        The step that failed; later ones pass it on.
    exit_code : int
        What its job would have ended with.
    message : str
        For people.
    """

    step: str
    exit_code: int
    message: str


class Manifest(FrozenModel):
    """What one job did: no times, hosts or absolute paths, so equal work gives equal bytes.

    Attributes
    ----------
    digest : str
        Digest of the plan that was carried out. First in the file: see :func:`manifest_digest`.
    failure : WellFailure or None
        The well is left out: its files are empty and it has no images.
    left_out : dict
        Of a step over the plate: wells that its result is without. This and `failure` stand in
        the file where there are any, next to the digest: see :func:`is_partial`.
    inputs : dict
        Plane name to content digest, as read.
    functions : dict
        Function reference to versions.
    images : tuple of StackRecord
        Output images.
    labels : dict
        Label image name to the digest of its planes.
    files : dict
        Path relative to the plate's results to record.
    special : dict
        Path of each special output of an earlier step that was taken, to its digest.
    """

    digest: str
    failure: WellFailure | None = None
    left_out: dict[str, WellFailure] = {}
    step: str
    well: str
    inputs: dict[str, str]
    functions: dict[str, dict[str, str]]
    images: tuple[StackRecord, ...]
    labels: dict[str, str] = {}
    files: dict[str, FileRecord] = {}
    special: dict[str, str] = {}

    def find_planes(self) -> dict[PlaneKey, tuple[StackRecord, int]]:
        """Return where each output plane is: its stack and its position there."""
        return {
            PlaneKey.parse(plane.name): (stack, number)
            for stack in self.images
            for number, plane in enumerate(stack.planes)
        }

    def plane_digests(self) -> dict[str, str]:
        """Return the digest of each output plane by its name."""
        return {plane.name: plane.digest for stack in self.images for plane in stack.planes}


def write_manifest(manifest: Manifest, plate_dir: Path) -> None:
    """Write a manifest under its final name, in one step."""
    path = plate_dir / manifest_path(manifest.step, manifest.well)
    with replace_file(path) as stream:
        stream.write(encode_manifest(manifest))


def encode_manifest(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest's file."""
    return encode_manifest_data(manifest.model_dump(mode="json"))


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises
    ------
    InputDataError
        It is damaged.
    """
    try:
        return Manifest.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise InputDataError(
            f"{path} is not a manifest of this version; delete it and run again"
        ) from error


def manifest_digest(path: Path) -> str | None:
    """Return the plan digest that a manifest records, None when there is none to be read.

    Only the head of the file is read: compiling looks at the manifest of every job.
    """
    return manifest_head(path).digest


class ManifestHead(NamedTuple):
    """What the beginning of a manifest says, see :func:`manifest_digest` and :func:`is_partial`."""

    digest: str | None
    is_partial: bool


def manifest_head(path: Path) -> ManifestHead:
    """Return the plan digest of a manifest, None where there is none, and whether it is partial."""
    head = manifest_beginning(path)
    return ManifestHead(_digest_in(head), begins_partial(head))


def is_partial(path: Path) -> bool:
    """Return whether a manifest is of a well that failed, or of a plate without such wells."""
    return begins_partial(manifest_beginning(path))


def _digest_in(head: str) -> str | None:
    key, _, rest = head.partition('"digest": "')
    return rest[:32] if key.strip() == "{" else None


def find_failure(manifests: Iterable[Path]) -> WellFailure | None:
    """Return why a well is left out, None where no manifest says so."""
    for path in manifests:
        if is_partial(path) and (failure := read_manifest(path).failure) is not None:
            return failure
    return None


def find_failed(plate_dir: Path, step: str, wells: Iterable[str]) -> dict[str, WellFailure]:
    """Return the wells that a step has left out, and why."""
    found = {well: find_failure([plate_dir / manifest_path(step, well)]) for well in wells}
    return {well: failure for well, failure in found.items() if failure is not None}
