"""Time to index a plate of many files, against a bare walk that looks at each file once.

python benchmarks/index_speed.py [--files 1000 69120] [--repeats 7]

Files are TIFFs of 4 x 6 px in five ZStep folders, so that indexing costs names, sizes and times.
CPU seconds (user + system) tell more than wall time on a machine with other work.
"""

import argparse
import io
import os
import tempfile
import time
from collections.abc import Callable
from itertools import islice, product
from pathlib import Path

import numpy as np
import tifffile

from openhcs_core.microscopes import get_handler

Z_PLANES, CHANNELS, SITES = 5, 4, 9


def write_plate(folder: Path, count: int) -> None:
    """Write an export of `count` images, well after well."""
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, np.zeros((4, 6), np.uint16), metadata=None)
    wells = [f"{chr(65 + row)}{column:02d}" for row in range(16) for column in range(1, 25)]
    sites, channels, planes = (range(1, n + 1) for n in (SITES, CHANNELS, Z_PLANES))
    for z in planes:
        (folder / "TimePoint_1" / f"ZStep_{z}").mkdir(parents=True)
    for well, site, channel, z in islice(product(wells, sites, channels, planes), count):
        name = f"TimePoint_1/ZStep_{z}/P_{well}_s{site}_w{channel}.TIF"
        (folder / name).write_bytes(buffer.getvalue())


def walk(folder: str) -> int:
    """Ask for size and time of every file: what any index must do."""
    count = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir():
                count += walk(entry.path)
            else:
                entry.stat()
                count += 1
    return count


def least(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Return the least wall and CPU seconds of several runs."""
    wall, cpu = [], []
    for _ in range(repeats):
        start, start_cpu = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - start_cpu)
    return min(wall), min(cpu)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, nargs="+", default=[1000, 69120])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    for count in arguments.files:
        with tempfile.TemporaryDirectory() as folder:
            plate = Path(folder, "plate")
            write_plate(plate, count)
            handler = get_handler("imagexpress", plate)
            assert len(handler.index(plate).images) == walk(str(plate)) == count
            wall, cpu = least(lambda plate=plate: walk(str(plate)), arguments.repeats)
            index_wall, index_cpu = least(
                lambda plate=plate, handler=handler: handler.index(plate), arguments.repeats
            )
        print(
            f"{count} files: indexed in {index_wall * 1e3:.1f} ms ({index_cpu * 1e3:.1f} ms CPU), "
            f"bare walk {wall * 1e3:.1f} ms ({cpu * 1e3:.1f} ms CPU), {index_cpu / cpu:.1f} x"
        )


if __name__ == "__main__":
    main()
