"""Speed of OME-Zarr wells by strategy, codec and library, beside what codec and disk allow.

    python benchmarks/zarr_speed.py [--small] [--repeats 3] [--codecs ZSTD LZ4 NONE]

A well of 9 fields x 4 channels x 5 z of 1080 x 1080 uint16 with the noise of a camera (420 MB).
The limit is the same codec on the same planes, by numcodecs and as many threads as cores, into
(or out of) plain files, one a field (WELL) or a plane (FILE); files are brought to disk (fsync)
before the clock stops, and are read from the page cache. Every repeat runs the limit and all
libraries in turn, and of each the least time counts. All libraries read and write the same
layout, and read what openhcs wrote. Beside wall time there is CPU of all threads, which a busy
machine disturbs less.

``openhcs`` is ``write_well`` and ``read_batch``, so without a pyramid (``pyramid_levels: 1``) it
does the same work as the libraries; the pyramid's cost and the memory of a well larger than
memory should be come last. zarrs and tensorstore are left out where they are not installed.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np
import zarr
from numcodecs import blosc

from openhcs_core.config import ZarrChunkStrategy, ZarrCompressor, ZarrConfig
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FieldImages, ImageMetadata, read_batch, read_plane, write_well
from openhcs_core.storage.ome_zarr.arrays import level_layouts
from openhcs_core.storage.ome_zarr.groups import write_json

CORES = len(os.sched_getaffinity(0))
_BITSHUFFLE = blosc.Blosc.BITSHUFFLE
_PIPELINES = {
    "zarr-python": "zarr.core.codec_pipeline.BatchedCodecPipeline",
    "zarrs": "zarrs.ZarrsCodecPipeline",
}


class Spent(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def make_well(shape: tuple[int, ...]) -> np.ndarray:
    """Return ``[field, c, z, y, x]``: cells on a background, shot noise and read noise."""
    random = np.random.default_rng(0)
    y, x = np.mgrid[: shape[3], : shape[4]]
    well = np.empty(shape, np.uint16)
    for field, channel, z in np.ndindex(*shape[:3]):
        signal = 300 + 200 * np.sin(y / 37 + field) * np.cos(x / 53 + channel + z / 9)
        noisy = random.poisson(signal) + random.normal(100, 3, signal.shape)
        well[field, channel, z] = np.clip(noisy, 0, 65535)
    return well


def spend(work: Callable[[], object]) -> Spent:
    start, before = time.perf_counter(), time.process_time()
    work()
    return Spent(time.perf_counter() - start, time.process_time() - before)


class Limit:
    """The codec by numcodecs and plain files, as many as the layout has: one a field or a plane."""

    def __init__(self, folder: Path, well: np.ndarray, config: ZarrConfig) -> None:
        self.folder, self.well = folder, well
        self.codec = None
        if config.compressor is not ZarrCompressor.NONE:
            name = config.compressor.lower()
            self.codec = blosc.Blosc(name, config.compression_level, _BITSHUFFLE)
        planes = well.reshape(-1, *well.shape[3:])
        is_shared = config.chunk_strategy is ZarrChunkStrategy.WELL
        self.planes_a_file = len(planes) // len(well) if is_shared else 1
        self.files = planes.reshape(-1, self.planes_a_file, *well.shape[3:])
        self.sizes: list[list[int]] = []

    def write(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        with ThreadPoolExecutor(CORES) as pool:
            if self.planes_a_file == 1:
                self.sizes = list(pool.map(self._write_file, range(len(self.files))))
                return
            self.sizes = [self._write_file(number, pool.map) for number in range(len(self.files))]

    def _write_file(self, number: int, each: Callable[..., Iterable] = map) -> list[int]:
        planes = list(self.files[number])
        encoded = each(self.codec.encode, planes) if self.codec else planes
        with (self.folder / str(number)).open("wb", buffering=0) as stream:
            sizes = [stream.write(memoryview(data)) for data in encoded]
            os.fsync(stream.fileno())
        return sizes

    def read(self) -> None:
        a_field = len(self.files) // len(self.well)
        with ThreadPoolExecutor(CORES) as pool:
            for first in range(0, len(self.files), a_field):
                numbers = range(first, first + a_field)
                self._read_field(pool, numbers)

    def _read_field(self, pool: ThreadPoolExecutor, numbers: range) -> None:
        """Read the files of one field into memory of its own."""
        out = np.empty((len(numbers), *self.files.shape[1:]), np.uint16)
        jobs = []
        with ExitStack() as files:
            for number, planes in zip(numbers, out, strict=True):
                data = files.enter_context((self.folder / str(number)).open("rb"))
                ends = np.cumsum(self.sizes[number])
                jobs += [
                    pool.submit(self._read_plane, data.fileno(), int(end) - size, size, plane)
                    for end, size, plane in zip(ends, self.sizes[number], planes, strict=True)
                ]
            for job in jobs:
                job.result()

    def _read_plane(self, descriptor: int, at: int, size: int, out: np.ndarray) -> None:
        if self.codec is None:
            os.preadv(descriptor, [out], at)
        else:
            self.codec.decode(os.pread(descriptor, size, at), out)

    def size(self) -> tuple[int, int]:
        return len(self.sizes), sum(map(sum, self.sizes))


class OpenHCS:
    """This software."""

    def __init__(self, folder: Path, well: np.ndarray, config: ZarrConfig) -> None:
        self.store, self.well = folder.with_suffix(".ome.zarr"), well
        self.config = config
        self.keys = [
            PlaneKey("A01", field + 1, str(channel + 1), z + 1, 1)
            for field, channel, z in np.ndindex(*well.shape[:3])
        ]
        self.metadata = ImageMetadata.of_planes(self.keys)

    def write(self) -> None:
        shutil.rmtree(self.store, ignore_errors=True)
        write_well(self.store, "A01", self._fields(), self.metadata, self.config)

    def _fields(self):
        for number, field in enumerate(self.well):
            planes = {
                PlaneKey("A01", number + 1, str(channel + 1), z + 1, 1): field[channel, z]
                for channel, z in np.ndindex(*field.shape[:2])
            }
            yield FieldImages(number + 1, str(number), planes)

    def read(self) -> None:
        for number in range(len(self.well)):
            keys = [key for key in self.keys if key.site == number + 1]
            read_batch([(self.store, key) for key in keys])

    def check(self) -> None:
        for key in self.keys[:: max(1, len(self.keys) // 7)]:
            expected = self.well[key.site - 1, int(key.channel) - 1, key.z_index - 1]
            assert np.array_equal(read_plane(self.store, key), expected)

    def read_some_planes(self) -> None:
        for key in self.keys[:: max(1, len(self.keys) // 20)]:
            read_plane(self.store, key)

    def size(self) -> tuple[int, int]:
        files = [path for path in self.store.rglob("*") if path.is_file()]
        return len(files), sum(path.stat().st_size for path in files)


class Library:
    """Arrays of the same layout by a library; it reads those that openhcs wrote."""

    def __init__(self, name: str, folder: Path, ours: OpenHCS) -> None:
        self.name, self.folder, self.ours, self.well = name, folder, ours, ours.well
        outer = (1, *self.well.shape[1:3])
        (self.layout,) = level_layouts(outer, self.well.shape[3:], "uint16", ours.config)

    def write(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for number, field in enumerate(self.well):
            array = self.folder / str(number)
            write_json(array / self.layout.file, self.layout.metadata())
            self._open(array, "r+")[...] = field[None]
            if self.name in _PIPELINES:  # tensorstore does that by itself
                for path in array.rglob("*"):
                    if path.is_file():
                        with path.open("rb") as stream:
                            os.fsync(stream.fileno())

    def read(self) -> None:
        for number in range(len(self.well)):
            array = self._open(self.ours.store / "A/01" / str(number) / "0", "r")
            np.asarray(array[...] if self.name in _PIPELINES else array.read().result())

    def _open(self, folder: Path, mode: str):
        if self.name in _PIPELINES:
            zarr.config.set({"codec_pipeline.path": _PIPELINES[self.name]})
            return zarr.open_array(folder, mode=mode)
        import tensorstore

        driver = "zarr3" if self.layout.file == "zarr.json" else "zarr"
        store = {"driver": driver, "kvstore": {"driver": "file", "path": str(folder)}}
        return tensorstore.open(store, open=True).result()

    def size(self) -> tuple[int, int]:
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return len(files), sum(path.stat().st_size for path in files)


def libraries(config: ZarrConfig) -> list[str]:
    names = ["zarr-python", "zarrs", "tensorstore"]
    if config.ome_zarr_version == "0.4":
        names.remove("zarrs")  # falls back to zarr-python's own there
    return [name for name in names if name == "zarr-python" or find_spec(name)]


def compare(folder: Path, well: np.ndarray, config: ZarrConfig, repeats: int) -> None:
    limit, ours = Limit(folder / "limit", well, config), OpenHCS(folder / "ours", well, config)
    contenders = {"limit": limit, "openhcs": ours}
    for name in libraries(config):
        contenders[name] = Library(name, folder / name, ours)
    times: dict[tuple[str, str], list[Spent]] = {}
    for _ in range(repeats):
        for name, contender in contenders.items():
            for what in ("write", "read"):
                times.setdefault((name, what), []).append(spend(getattr(contender, what)))
    ours.check()
    for name, contender in contenders.items():
        files, size = contender.size()
        layout = f"{config.ome_zarr_version} {config.chunk_strategy:<4} {config.compressor:<4}"
        text = f"{layout} {name:<11}"
        for what in ("write", "read"):
            text += _rates(what, well.nbytes, times[name, what], times["limit", what])
        print(f"{text}  {files:4d} files {size / 1e6:6.1f} MB", flush=True)
    for contender in (limit.folder, *(folder / name for name in libraries(config))):
        shutil.rmtree(contender, ignore_errors=True)


def _rates(what: str, size: int, spent: list[Spent], limit: list[Spent]) -> str:
    text = f"  {what}"
    for kind, unit in (("wall", "MB/s"), ("cpu", "MB/CPU s")):
        least = min(max(getattr(one, kind), 1e-3) for one in spent)
        best = min(max(getattr(one, kind), 1e-3) for one in limit)
        text += f" {size / 1e6 / least:5.0f} {unit} {best / least:4.0%}"
    return text


def compare_planes(folder: Path, well: np.ndarray, repeats: int) -> None:
    stores = {}
    for strategy in ZarrChunkStrategy:
        config = ZarrConfig(chunk_strategy=strategy, pyramid_levels=1)
        stores[strategy] = OpenHCS(folder / f"planes{strategy}", well, config)
        stores[strategy].write()
    times: dict[ZarrChunkStrategy, list[Spent]] = {}
    for _ in range(max(repeats, 5)):
        for strategy, ours in stores.items():
            times.setdefault(strategy, []).append(spend(ours.read_some_planes))
    count = len(range(0, len(ours.keys), max(1, len(ours.keys) // 20)))
    least = {strategy: min(one.wall for one in spent) for strategy, spent in times.items()}
    ratio = least[ZarrChunkStrategy.WELL] / least[ZarrChunkStrategy.FILE]
    each = ", ".join(f"{strategy} {1e3 * s / count:.1f} ms" for strategy, s in least.items())
    print(f"one plane, field opened anew: {each}: {ratio:.2f} x")


def compare_pyramid(folder: Path, well: np.ndarray, repeats: int) -> None:
    plain = OpenHCS(folder / "plain", well, ZarrConfig(pyramid_levels=1))
    pyramid = OpenHCS(folder / "pyramid", well, ZarrConfig())
    times: dict[str, list[Spent]] = {}
    for _ in range(repeats):
        times.setdefault("plain", []).append(spend(plain.write))
        times.setdefault("pyramid", []).append(spend(pyramid.write))
    (files, size), (more_files, more) = plain.size(), pyramid.size()
    ratios = [
        min(getattr(one, kind) for one in times["pyramid"])
        / max(min(getattr(one, kind) for one in times["plain"]), 1e-3)
        for kind in ("wall", "cpu")
    ]
    print(
        f"with its pyramid: {ratios[0]:.2f} x wall, {ratios[1]:.2f} x CPU, {more / size:.2f} x "
        f"bytes, {more_files} files for {files}"
    )


def report_memory(planes: int, size: int) -> None:
    """Write a well of one field in a process of its own, its planes made as they are asked for."""
    run = subprocess.run(
        [sys.executable, __file__, "--memory", str(planes), str(size)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(run.stdout)
    well_mb = 4 * planes * size * size * 2 / 1e6
    print(
        f"memory to write a field of 4 x {planes} x {size} x {size} uint16, {well_mb:.0f} MB: "
        f"{found['peak_mb'] - found['before_mb']:.0f} MB (limit of a file: "
        f"{ZarrConfig().max_shard_mb} MB; {found['files']} files)"
    )


def _write_large(planes: int, size: int) -> None:
    random = np.random.default_rng(0)
    keys = [PlaneKey("A01", 1, str(c), z, 1) for c in range(1, 5) for z in range(1, planes + 1)]

    def make() -> np.ndarray:
        return random.integers(300, 600, (size, size), np.uint16)

    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / "large.ome.zarr"
        field = FieldImages(1, "0", dict.fromkeys(keys[:1], make))
        write_well(store, "A01", [field], ImageMetadata.of_planes(keys[:1]))  # imports are done
        before = _resident_mb("VmRSS")
        field = FieldImages(1, "0", dict.fromkeys(keys, make))
        write_well(store, "A01", [field], ImageMetadata.of_planes(keys))
        files = sum(path.is_file() for path in store.rglob("*"))
        print(json.dumps({"before_mb": before, "peak_mb": _resident_mb("VmHWM"), "files": files}))


def _resident_mb(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(name))
    return int(line.split()[1]) / 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--small", action="store_true", help="a well of 0.5 MB, once")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--codecs", nargs="+", default=list(ZarrCompressor))
    parser.add_argument("--memory", nargs=2, type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.memory:
        _write_large(*given.memory)
        return
    well = make_well((2, 2, 2, 180, 180) if given.small else (9, 4, 5, 1080, 1080))
    repeats = 1 if given.small else given.repeats
    print(f"{well.nbytes / 1e6:.1f} MB a well, {CORES} cores, least of {repeats}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for codec in given.codecs:
            for strategy in ZarrChunkStrategy:
                config = ZarrConfig(chunk_strategy=strategy, compressor=codec, pyramid_levels=1)
                compare(folder, well, config, repeats)
        old = ZarrConfig(
            chunk_strategy=ZarrChunkStrategy.FILE, ome_zarr_version="0.4", pyramid_levels=1
        )
        compare(folder, well, old, repeats)
        compare_planes(folder, well, repeats)
        compare_pyramid(folder, well, repeats)
    report_memory(*((2, 256) if given.small else (40, 2160)))


if __name__ == "__main__":
    main()
