"""Most memory and time of joining the tables of a plate's wells, by the number of rows.

python benchmarks/memory_of_tables.py [--wells 1536] [--rows 100000 5000000] [--plate-map]

Tables have well, site, channel, z and time, and seven columns of an object, as those of
``count_cells_single_channel``. It has to stay the same memory.
"""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from openhcs_core.plan import TablePlan, digest_bytes, encode_plan, readable_json
from openhcs_core.runtime import Location

_COLUMNS = "label,area_px,centroid_y,centroid_x,mean_intensity,max_intensity,eccentricity"
_STEP, _FILE = "count", "cells.csv"


def well_names(count: int) -> list[str]:
    """Return names of wells in rows of 48."""
    rows = [chr(ord("A") + row % 26) * (1 + row // 26) for row in range(-(-count // 48))]
    return [f"{row}{column:02d}" for row in rows for column in range(1, 49)][:count]


def write_tables(folder: Path, wells: list[str], rows: int, *, has_map: bool) -> int:
    """Write the tables, what says where they are, and the plan; return their bytes."""
    line = random.Random(0)
    written = 0
    (folder / "tables" / _STEP).mkdir(parents=True)
    for number, well in enumerate(wells):
        count = rows * (number + 1) // len(wells) - rows * number // len(wells)
        text = [f"well,site,channel,z_index,timepoint,{_COLUMNS}\n"]
        for label in range(1, count + 1):
            cells = ",".join(str(line.uniform(0, 1000)) for _ in range(5))
            text.append(f"{well},1,1,1,1,{label},{line.randint(1, 999)},{cells}\n")
        content = "".join(text).encode()
        (folder / f"tables/{_STEP}/{well}.{_FILE}").write_bytes(content)
        written += len(content)
    location = Location(plate_path="plate", cache_dir="cache")
    digest = None
    if has_map:
        text = "".join(f"{well},{number},drug {number % 9}\n" for number, well in enumerate(wells))
        (folder / "map.csv").write_text(f"well,dose,treatment\n{text}")
        digest = digest_bytes((folder / "map.csv").read_bytes())
        location = location.model_copy(update={"plate_map": str(folder / "map.csv")})
    plan = TablePlan(
        step_name=_STEP,
        output="cells",
        suffix=".csv",
        groups=(None,),
        wells=tuple(wells),
        plate_map=digest,
    )
    for name, content in (
        ("workspace/location.json", readable_json(location.model_dump())),
        (f"plan/{_STEP}/{_FILE}.json", encode_plan(plan)),
    ):
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text(content)
    return written


def join(folder: Path) -> tuple[float, float]:
    """Do the job; return its MB and its CPU seconds."""
    command = [sys.executable, "-m", "openhcs_core", "run-step", "--plate-dir", str(folder)]
    process = subprocess.Popen([*command, "--step", _STEP, "--table", _FILE])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit("the job failed")
    return usage.ru_maxrss / 2**10, usage.ru_utime + usage.ru_stime


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wells", type=int, default=1536)
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 5_000_000])
    parser.add_argument("--plate-map", action="store_true", help="join a plate map")
    given = parser.parse_args()
    print("| wells | rows | MB of tables | measured MB | CPU s | wall s |")
    print("|---|---|---|---|---|---|")
    for rows in given.rows:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary, "results/p")
            wells = well_names(given.wells)
            size = write_tables(folder, wells, rows, has_map=given.plate_map)
            began = time.perf_counter()
            peak, cpu_s = join(folder)
            wall_s = time.perf_counter() - began
            figures = f"{size / 1e6:.0f} | {peak:.0f} | {cpu_s:.1f} | {wall_s:.1f}"
            print(f"| {given.wells} | {rows} | {figures} |", flush=True)


if __name__ == "__main__":
    main()
