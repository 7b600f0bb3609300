"""A well's images as a folder of TIFFs: one file a plane, label images in folders of their own.

B02/B02_s001_w1_z001_t001.tif
B02/labels/masks_w1/B02_s001_w1_z001_t001.tif
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openhcs_core.ground.replaced_folder import replacing_folder
from openhcs_core.storage.backends.disk_ import DiskStorageBackend
from openhcs_core.storage.backends.tiff_ import run_parallel

if TYPE_CHECKING:
    from openhcs_core.planes import PlaneKey
    from openhcs_core.storage.ome_zarr.model import PlaneSource

LABELS_FOLDER = "labels"
_WRITER_THREADS = 4


def write_tiff_folder(
    folder: Path,
    planes: "Mapping[PlaneKey, PlaneSource]",
    labels: "Mapping[str, Mapping[PlaneKey, PlaneSource]]",
    *,
    pixel_size_um: float | None = None,
    confirm: Callable[[], None] | None = None,
) -> None:
    """Write a well's planes and labels, replacing the whole folder in one step.

    Everything is built in a temporary folder beside `folder`, which then takes its place: no
    reader sees a part of it, and no image of an earlier run stays. Equal input gives equal
    bytes.

    Parameters
    ----------
    folder : Path
        Named like the well.
    planes : mapping of PlaneKey to ndarray or callable
        ``[Y, X]`` each, of any numeric dtype, or a function that returns one; a function is
        called when its plane is written, in one of a few threads. A plane that is not there is
        a file that is not there.
    labels : mapping of str to mapping of PlaneKey to ndarray or callable
        Label images by name.
    pixel_size_um : float, optional
        Goes into the resolution tags; without it there are none.
    confirm : callable, optional
        Called when all is built, before the first rename; raises to leave `folder` as it was.

    Raises
    ------
    InputDataError
        A plane is empty or the folder cannot be written.
    """
    with replacing_folder(folder, confirm) as stage:
        _write_planes(stage, planes, pixel_size_um)
        for name, drawn in labels.items():
            _write_planes(stage / LABELS_FOLDER / name, drawn, pixel_size_um)


def _write_planes(
    folder: Path, planes: "Mapping[PlaneKey, PlaneSource]", pixel_size_um: float | None
) -> None:
    backend = DiskStorageBackend()
    backend.ensure_directory(folder)

    def write(key: "PlaneKey") -> None:
        source = planes[key]
        plane = source() if callable(source) else source
        backend.save(plane, folder / key.filename, pixel_size_um=pixel_size_um)

    # Each file waits for the disk to have it; several can wait together.
    run_parallel([partial(write, key) for key in sorted(planes)], _WRITER_THREADS)
