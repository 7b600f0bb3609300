"""Speed of ``openhcs-core verify`` beside reading and hashing the same files, and its memory.

    python benchmarks/verify_speed.py [--wells 8] [--size 2048]

Each of OME-Zarr (a shard a field; a chunk a plane) and TIFF. Best of three, files in
the page cache; CPU of all threads, so that a busy machine does not count.
"""

import argparse
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import xxhash

from openhcs_core.registry import RegistryService
from openhcs_core.runtime import Job, execute_step, write_store_metadata
from openhcs_core.session import compile_workflow, write_files
from openhcs_core.session.verification import VerifyOptions, verify_results
from openhcs_core.testing.plates import write_imagexpress_plate

PIPELINE = """steps:
  - {name: smooth, func: {openhcs:max_projection: {}}, variable_components: [z_index]}
"""
STORAGE = {
    "zarr, shards": "",
    "zarr, chunks": "storage: {zarr: {chunk_strategy: FILE}}\n",
    "tiff": "storage: {materialization: disk}\n",
}


def _make(folder: Path, storage: str, wells: int, size: int) -> None:
    write_imagexpress_plate(folder / "plate", range(1, wells + 1), (size, size))
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(f"{storage}plates:\n  demo: {{path: plate}}\n")
    (folder / "config/pipeline.yaml").write_text(PIPELINE)
    os.chdir(folder)
    compilation = compile_workflow("config/config.yaml")
    write_files(compilation.files)
    job = Job(Path("results/demo"), "smooth")
    for well in compilation.compiled.plates[0].wells:
        execute_step(job, well, RegistryService().load)
    if compilation.compiled.plates[0].stores:
        write_store_metadata(job)


def _best(do: Callable[[], object]) -> float:
    """Return the least CPU time in s, of child processes too."""
    times = []
    for _ in range(3):
        start = sum(os.times()[:4])
        do()
        times.append(sum(os.times()[:4]) - start)
    return max(min(times), 0.01)


def _hash(files: Sequence[Path]) -> None:
    for path in files:
        xxhash.xxh3_128(path.read_bytes()).digest()


def _verify() -> None:
    found = verify_results(Path("results"), VerifyOptions(), lambda *_: None)
    assert not found.problems, found.problems[:3]


def _cat(files: Sequence[Path]) -> None:
    subprocess.run(["cat", *files], stdout=subprocess.DEVNULL, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--wells", type=int, default=8)
    parser.add_argument("--size", type=int, default=2048)
    given = parser.parse_args()
    for name, storage in STORAGE.items():
        with tempfile.TemporaryDirectory() as folder:
            _make(Path(folder), storage, given.wells, given.size)
            files = [path for path in Path("results").rglob("*") if path.is_file()]
            size_mb = sum(path.stat().st_size for path in files) / 1e6
            cat_s, hash_s = _best(partial(_cat, files)), _best(partial(_hash, files))
            verify_s = _best(_verify)
            os.chdir("/")
        print(
            f"{name:<13} {size_mb:6.0f} MB   a CPU second: cat {size_mb / cat_s:6.0f} MB   hash "
            f"{size_mb / hash_s:6.0f} MB   verify {size_mb / verify_s:6.0f} MB   "
            f"({verify_s / hash_s:.1f} x hashing)"
        )
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak memory {peak_mb:.0f} MB (an image: {given.size**2 * 2 / 1e6:.0f} MB)")


if __name__ == "__main__":
    main()
