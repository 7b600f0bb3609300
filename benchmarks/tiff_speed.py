"""Write and read a well of TIFFs, as MB/s and against what disk and codec alone allow.

python benchmarks/tiff_speed.py [--size 1080] [--sites 9 --channels 4 --planes 5] [--repeats 5]

The limit of a file is its bytes: written in one piece, flushed to disk and renamed, or read into
memory that is there already, in as many threads as the product uses; for a codec its compressing
or decompressing the planes is done on the way. Limit and product take turns; the least time of
each counts. All zstd is of level 1, since the level decides how fast it is decompressed; it needs
imagecodecs and is left out without it.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import tifffile

from openhcs_core.planes import PlaneKey
from openhcs_core.storage import open_plate_source, write_tiff_folder
from openhcs_core.storage.backends.tiff_ import run_parallel
from openhcs_core.storage.backends.virtual_workspace import VirtualWorkspaceBackend

Planes = dict[PlaneKey, np.ndarray]
GAIN, READ_NOISE, OFFSET = 2.0, 6.0, 100


def camera_well(sites: int, channels: int, z_planes: int, size: int) -> Planes:
    """Return planes of uint16: a smooth field with photon noise and a camera's read noise."""
    random = np.random.default_rng(1)
    y, x = np.mgrid[:size, :size] / size - 0.5
    planes = {}
    for site in range(1, sites + 1):
        for channel in range(1, channels + 1):
            for z in range(1, z_planes + 1):
                light = 400 * channel * (1.2 - y * y - x * x)
                counts = random.poisson(light) * GAIN + random.normal(0, READ_NOISE, light.shape)
                key = PlaneKey("B02", site, str(channel), z, 1)
                planes[key] = np.clip(counts + OFFSET, 0, 65535).astype(np.uint16)
    return planes


class Codec:
    """How planes become the bytes of a limit, and back."""

    def __init__(self, name: str) -> None:
        self.name = name

    def encode(self, plane: np.ndarray) -> bytes | memoryview:
        if self.name == "none":
            return plane.data
        import imagecodecs

        return imagecodecs.zstd_encode(plane, level=1)

    def read(self, path: Path, out: np.ndarray) -> None:
        if self.name == "none":
            with path.open("rb", buffering=0) as file:
                assert file.readinto(out) == out.nbytes
            return
        import imagecodecs

        imagecodecs.zstd_decode(path.read_bytes(), out=out.reshape(-1).view(np.uint8))


def write_limit(folder: Path, planes: Planes, codec: Codec, threads: int) -> None:
    """Write each plane's bytes with one call, safely, in threads."""

    def write(key: PlaneKey) -> None:
        temporary = folder / f".{key.filename}"
        with temporary.open("wb", buffering=0) as file:
            file.write(codec.encode(planes[key]))
            os.fsync(file.fileno())
        temporary.rename(folder / key.filename)

    folder.mkdir(exist_ok=True)
    run_parallel([partial(write, key) for key in planes], threads)


def read_limit(folder: Path, planes: Planes, codec: Codec, threads: int) -> None:
    """Read each plane's bytes into a stack."""
    first = next(iter(planes.values()))
    stack = np.empty((len(planes), *first.shape), first.dtype)
    tasks = [
        partial(codec.read, folder / key.filename, stack[number])
        for number, key in enumerate(planes)
    ]
    run_parallel(tasks, threads)


def write_foreign(folder: Path, planes: Planes) -> None:
    """Write compressed TIFFs as other programs do."""
    folder.mkdir()
    for key, plane in planes.items():
        path = folder / key.filename
        tifffile.imwrite(path, plane, compression="zstd", compressionargs={"level": 1})


def read_stacks(folder: Path, planes: Planes) -> None:
    """Read the well a site and channel at a time, as jobs do."""
    workspace = VirtualWorkspaceBackend(folder, {key.filename: key.filename for key in planes})
    groups: dict[tuple[int, str], list[str]] = {}
    for key in planes:
        groups.setdefault((key.site, key.channel), []).append(key.filename)
    first = next(iter(planes.values()))
    for names in groups.values():
        workspace.load_stack(names, first.shape, first.dtype.name)


def check(folder: Path, planes: Planes) -> None:
    """Make sure that what is read is what was written."""
    workspace = VirtualWorkspaceBackend(folder, {key.filename: key.filename for key in planes})
    for key, plane in planes.items():
        np.testing.assert_array_equal(workspace.load(key.filename), plane)


def least(works: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Return the least seconds of each, taking turns."""
    seconds = dict.fromkeys(works, float("inf"))
    for _ in range(repeats):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds


def measure(folder: Path, planes: Planes, repeats: int) -> Iterator[tuple[str, dict[str, float]]]:
    threads = open_plate_source(folder).reader_threads
    none, zstd = Codec("none"), Codec("zstd")
    written, bare = folder / "B02", folder / "bare"
    works: dict[str, Callable[[], object]] = {
        "limit": lambda: write_limit(bare, planes, none, threads),
        "product": lambda: write_tiff_folder(written, planes, {}),
    }
    yield "write none", least(works, repeats)
    check(written, planes)
    works = {
        "limit": lambda: read_limit(bare, planes, none, threads),
        "product": lambda: read_stacks(written, planes),
    }
    yield "read none", least(works, repeats)
    if find_spec("imagecodecs") is None:
        return
    foreign, coded = folder / "foreign", folder / "coded"
    write_foreign(foreign, planes)
    write_limit(coded, planes, zstd, threads)
    check(foreign, planes)
    works = {
        "limit": lambda: read_limit(coded, planes, zstd, threads),
        "product": lambda: read_stacks(foreign, planes),
    }
    yield "read zstd", least(works, repeats)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--size", type=int, default=1080)
    parser.add_argument("--sites", type=int, default=9)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--planes", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    planes = camera_well(arguments.sites, arguments.channels, arguments.planes, arguments.size)
    size_mb = sum(plane.nbytes for plane in planes.values()) / 1e6
    print(f"{len(planes)} planes of {arguments.size} x {arguments.size} uint16, {size_mb:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in measure(Path(folder), planes, arguments.repeats):
            product, limit = (size_mb / seconds[key] for key in ("product", "limit"))
            print(f"{name}: {product:.0f} MB/s, {product / limit:.0%} of the limit {limit:.0f}")


if __name__ == "__main__":
    main()
