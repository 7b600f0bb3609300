"""Whatever ends a writer, what is under a final name is whole, and errors name the path."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

from openhcs_core.config import ZarrConfig
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    FieldImages,
    ImageMetadata,
    PlateLayout,
    get_backend_instance,
    list_planes,
    read_plane,
    write_plate_metadata,
    write_well,
)

# What writers write: the same in this process and in those that are killed.
WRITER = """
import sys
from pathlib import Path
import numpy as np
from openhcs_core.config import ZarrConfig
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import get_backend_instance

KEYS = [PlaneKey("A01", s, c, z, 1) for s in (1, 2, 3) for c in "12" for z in (1, 2)]

def write(store, version, strategy, seed):
    noise = np.random.default_rng(seed)
    planes = [noise.poisson(300, (300, 280)).astype("uint16") for _ in KEYS]
    config = ZarrConfig(ome_zarr_version=version, chunk_strategy=strategy)
    paths = [Path(store) / key.filename for key in KEYS]
    get_backend_instance("zarr").save_batch(planes, paths, chunk_name="A01", zarr_config=config)
"""

# One process, that never writes itself, forks the writers: imports would take most of the time.
KILLS = (
    WRITER
    + """
import json, os, random, signal, time
import tensorstore
from openhcs_core.storage.ome_zarr import writer, tensorstore_
from openhcs_core.storage.backends import zarr_

store, version, strategy, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
FINISHED = {"0.5": "zarr.json", "0.4": ".zattrs"}[version]

def spawn(seed):
    child = os.fork()
    if child == 0:
        write(store, version, strategy, seed)
        os._exit(0)
    return child

def found():
    well = Path(store, "A/01")
    return {
        path.relative_to(well).as_posix(): path.read_bytes()
        for path in sorted(well.rglob("*"))
        if path.is_file() and ".tmp-" not in str(path)
    }

def whole(seed):
    os.waitpid(spawn(seed), 0)
    return found()

times = []
for seed in (1, 2):
    start = time.perf_counter()
    wanted = whole(seed)
    times.append(time.perf_counter() - start)
    if seed == 1:
        first = wanted
second = wanted
assert set(first) == set(second) and first != second and FINISHED in first
chance = random.Random(7)
outcomes = {"before": 0, "between": 0, "after": 0}
for number in range(count):
    seed = 1 + number % 2
    before, after = (second, first) if seed == 1 else (first, second)
    assert found() == before
    child = spawn(seed)
    time.sleep(chance.uniform(0, 1.1) * min(times))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    now = found()
    for name, content in now.items():
        assert content in (before[name], after[name]), f"{name} is torn"
    if FINISHED in now:  # a finished well is of one writer and has all its fields
        assert now in (before, after), sorted(now)
    outcomes["after" if now == after else "before" if now == before else "between"] += 1
    if now != after:
        assert whole(seed) == after
assert not list(Path(store, "A/01").glob(".tmp-*"))
print(json.dumps(outcomes))
"""
)


KILLS_EACH = int(os.environ.get("OPENHCS_KILLS", "10"))


@pytest.mark.parametrize(("version", "strategy"), [("0.5", "WELL"), ("0.4", "FILE")])
def test_killed_at_random_moments_no_file_is_torn_and_no_well_half_done(
    tmp_path, version, strategy
):
    command = [sys.executable, "-c", KILLS, str(tmp_path / "a.ome.zarr"), version, strategy]
    run = subprocess.run([*command, str(KILLS_EACH)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    outcomes = json.loads(run.stdout)
    assert sum(outcomes.values()) == KILLS_EACH
    assert outcomes["before"] > 0, "no writer was killed while it worked"


TOGETHER = (
    WRITER
    + """
import time
store, version, strategy, seed, start = *sys.argv[1:4], int(sys.argv[4]), float(sys.argv[5])
time.sleep(max(0, start - time.time()))
for _ in range(3):
    write(store, version, strategy, seed)
"""
)


def test_of_two_writers_of_one_well_one_is_last_and_the_well_is_all_its_own(tmp_path):
    import time

    def tree(store):
        well = store / "A/01"
        return {
            path.relative_to(well): path.read_bytes() for path in well.rglob("*") if path.is_file()
        }

    expected = []
    for seed in (1, 2):
        store = tmp_path / f"{seed}.ome.zarr"
        command = [sys.executable, "-c", WRITER + f"write({str(store)!r}, '0.5', 'FILE', {seed})"]
        subprocess.run(command, check=True)
        expected.append(tree(store))
    store, start = tmp_path / "a.ome.zarr", time.time() + 2
    command = [sys.executable, "-c", TOGETHER, str(store), "0.5", "FILE"]
    writers = [subprocess.Popen([*command, seed, str(start)]) for seed in "12"]
    assert [writer.wait(60) for writer in writers] == [0, 0]
    assert tree(store) in expected


def test_planes_added_at_once_are_all_there(tmp_path):
    store, zarr_ = tmp_path / "a.ome.zarr", get_backend_instance("zarr")
    keys = [PlaneKey("A01", 1, "1", z, 1) for z in range(1, 9)]
    together = Barrier(len(keys))

    def save(key):
        together.wait()
        zarr_.save(np.full((4, 5), key.z_index, "uint8"), store / key.filename)

    with ThreadPoolExecutor(len(keys)) as pool:
        list(pool.map(save, keys))
    assert list_planes(store) == keys
    assert all((read_plane(store, key) == key.z_index).all() for key in keys)


@pytest.mark.parametrize("version", ["0.5", "0.4"])
def test_24_wells_and_the_plate_are_written_at_once(tmp_path, version):
    store, config = tmp_path / "a.ome.zarr", ZarrConfig(ome_zarr_version=version)
    wells = tuple(f"{row}{column:02d}" for row in "ABCD" for column in range(1, 7))
    keys = {well: PlaneKey(well, 1, "1", 1, 1) for well in wells}
    metadata = ImageMetadata.of_planes(keys.values(), pixel_size_um=0.5)
    layout = PlateLayout("demo", wells, 1, version)
    together = Barrier(len(wells) + 1)

    def write(number, well):
        images = FieldImages(1, "0", {keys[well]: np.full((30, 40), number, "uint16")})
        together.wait()
        write_well(store, well, [images], metadata, config)

    def write_plate():
        together.wait()
        write_plate_metadata(store, layout)

    with ThreadPoolExecutor(len(wells) + 1) as pool:
        jobs = [pool.submit(write, number, well) for number, well in enumerate(wells)]
        for job in [*jobs, pool.submit(write_plate)]:
            job.result()
    import yaozarrs

    yaozarrs.validate_zarr_store(str(store))
    for number, well in enumerate(wells):
        assert (read_plane(store, keys[well]) == number).all()


FULL = """
import sys
from pathlib import Path
import numpy as np
from openhcs_core.config import ZarrConfig
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FieldImages, ImageMetadata, read_plane, write_well

store, how = Path(sys.argv[1]) / "a.ome.zarr", sys.argv[2]
small, large = PlaneKey("A01", 1, "1", 1, 1), PlaneKey("A01", 2, "1", 1, 1)
metadata = ImageMetadata.of_planes([small, large])
fields = [FieldImages(1, "0", {small: np.ones((50, 50), "uint8")})]
if how == "write":
    write_well(store, "A01", fields, metadata)
    sys.exit()
noise = np.random.default_rng(0).integers(0, 255, (2500, 2000), "uint8")
fields.append(FieldImages(2, "1", {large: noise}))
before = {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
for version in ("0.5", "0.4"):
    try:
        write_well(store, "A01", fields, metadata, ZarrConfig(ome_zarr_version=version))
    except OSError as error:
        print(type(error).__name__, error)
    else:
        sys.exit("it was written")
    assert (read_plane(store, small) == 1).all()
    assert before == {path: path.read_bytes() for path in store.rglob("*") if path.is_file()}
"""


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("full", "DiskFullError {}/a.ome.zarr/A/01/.tmp-"),
        ("ro", "OSError [Errno 30] Read-only file system: '{}/a.ome.zarr/A/01/.tmp-"),
    ],
)
def test_a_disk_that_takes_nothing_is_named_and_the_well_stays_as_it_was(tmp_path, how, message):
    script = f"""set -e
mount -t tmpfs -o size=3m none "$1"
"$2" -c "$3" "$1" write
[ {how} = full ] || mount -o remount,ro "$1"
"$2" -c "$3" "$1" {how}
"""
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare")
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces")
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["unshare", "-rm", "bash", "-c", script, "bash", str(folder), sys.executable, FULL]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    lines = run.stdout.splitlines()
    assert len(lines) == 2
    assert all(line.startswith(message.format(folder)) for line in lines), lines
    assert Path(folder).is_dir()
