"""Every image opened: what is unreadable, blank, or a copy of another z plane."""

import io
import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from openhcs_core.microscopes import get_handler
from openhcs_core.plates import inspect_plate
from openhcs_core.storage import open_plate_source
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "data/demo/9987_Plate_3434"


def inspect(plate):
    return inspect_plate(get_handler("auto", plate).index(plate), open_plate_source(plate), 2)


def index_deep(plate, *arguments, stderr=subprocess.PIPE):
    return subprocess.run(
        [sys.executable, "-m", "openhcs_core", "index", str(plate), "--deep", *arguments],
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
    )


@pytest.fixture
def plate(tmp_path):
    folder = tmp_path / "plate"
    write_imagexpress_plate(folder, (1, 2))
    return folder


def write_stack(folder, images):
    """Write a plate without metadata, an image by (well, site, z)."""
    for (well, site, z), pixels in images.items():
        path = folder / f"ZStep_{z}" / f"P_{well}_s{site}_w1.tif"
        path.parent.mkdir(parents=True, exist_ok=True)
        tifffile.imwrite(path, pixels)


def tifffile_bytes(dtype="uint16"):
    stream = io.BytesIO()
    tifffile.imwrite(stream, np.ones((64, 64), dtype))
    return stream.getvalue()


def image(number):
    return np.random.default_rng(number).integers(1, 1000, (16, 16)).astype(np.uint16)


def test_the_real_plate_is_all_right():
    found = inspect(DEMO)
    assert (found.problems, found.blank) == ((), ())
    assert found.size_bytes == 16 * 256 * 256 * 2
    assert found.index.copies == 16  # known from metadata already


def test_where_and_when_each_image_was_taken_stands_in_the_image():
    """As its tags say, read plainly."""
    index = inspect(DEMO).index
    assert get_handler("auto", DEMO).index(DEMO).acquisitions == {}
    assert index.acquisitions.keys() == {image.key for image in index.images}
    for key, path, *_ in index.images:
        with tifffile.TiffFile(DEMO / path) as tiff:
            tags = dict(re.findall(r'id="([^"]+)"[^>]*value="([^"]*)"', tiff.pages[0].description))
        taken = index.acquisitions[key]
        assert taken.acquired == tags["acquisition-time-local"]
        places = [
            float(tags[name]) for name in ("stage-position-x", "stage-position-y", "z-position")
        ]
        assert [taken.x_um, taken.y_um, taken.stage_z_um] == places
        assert tags["stage-label"] == f"{key.well} : Site {key.site}"


def test_each_image_that_cannot_be_used_is_named(plate):
    paths = [image_path(plate, well, site) for well in ("A01", "A02") for site in (1, 2)]
    good = paths[0].read_bytes()
    paths[0].write_bytes(good[: len(good) * 6 // 10])
    paths[1].write_bytes(good[:4096] + bytes(100))
    tifffile.imwrite(paths[2], np.ones((64, 32), np.uint16))
    found = inspect(plate)
    assert [Path(problem.path) for problem in found.problems] == [
        path.relative_to(plate) for path in paths[:3]
    ]
    assert "expected 64x64 uint16, found 64x32 uint16" in found.problems[2].reason


DAMAGE = {
    "empty": b"",
    "zero tail": tifffile_bytes()[:400] + bytes(7000),
    "git-LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "float": tifffile_bytes("float32"),
    "other format": b"\x89PNG\r\n",
}


@pytest.mark.parametrize("content", DAMAGE.values(), ids=DAMAGE)
def test_kinds_of_damage(plate, content):
    path = image_path(plate, "A01", 1)
    path.write_bytes(content)
    assert [problem.path for problem in inspect(plate).problems] == [f"TimePoint_1/{path.name}"]


def test_images_without_a_count_are_a_warning(plate):
    tifffile.imwrite(image_path(plate, "A02", 1), np.zeros((64, 64), np.uint16))
    found = inspect(plate)
    assert found.blank == ("A02_s001_w1_z001_t001.tif",)
    assert "1 images are zero in every pixel: A02_s001_w1_z001_t001.tif" in found.index.warnings
    assert found.problems == ()


def test_one_image_in_every_z_counts_once(tmp_path):
    fields = [("A01", 1), ("A01", 2), ("B02", 1), ("B02", 2)]
    numbered = list(enumerate(fields))
    write_stack(tmp_path, {(*field, z): image(n) for n, field in numbered for z in (1, 2, 3)})
    index = get_handler("auto", tmp_path).index(tmp_path)
    assert len(index.images) == 12  # no metadata tell
    found = inspect(tmp_path).index
    assert [image.key.z_index for image in found.images] == [1, 1, 1, 1]
    assert (found.copies, found.missing) == (8, ())
    assert any("its z planes are one plane, copied" in warning for warning in found.warnings)


def test_a_copy_that_is_damaged_leaves_the_others(tmp_path):
    write_stack(tmp_path, {("A01", 1, z): image(1) for z in (1, 2, 3)})
    (tmp_path / "ZStep_1/P_A01_s1_w1.tif").write_bytes(b"II*\0 damaged")
    found = inspect(tmp_path)
    assert [image.path for image in found.index.images] == ["ZStep_2/P_A01_s1_w1.tif"]
    assert [problem.path for problem in found.problems] == ["ZStep_1/P_A01_s1_w1.tif"]


def test_some_fields_of_copies_among_stacks_stay_and_are_named(tmp_path):
    images = {("A01", 1, z): image(1) for z in (1, 2)}
    images |= {("A01", 2, z): image(z) for z in (1, 2)}
    write_stack(tmp_path, images)
    found = inspect(tmp_path).index
    assert len(found.images) == 4
    assert any("in 1 of 2 fields all z planes are the same" in text for text in found.warnings)


def test_blank_planes_are_no_copies(tmp_path):
    blank = np.zeros((16, 16), np.uint16)
    images = {("A01", 1, z): blank for z in (1, 2)}
    images |= {("A01", 2, 1): blank, ("A01", 2, 2): image(1)}
    write_stack(tmp_path, images)
    assert len(inspect(tmp_path).index.images) == 4


def test_the_command_names_what_is_wrong_and_ends_in_3(plate):
    path = image_path(plate, "A01", 2)
    path.write_bytes(path.read_bytes()[:3000])
    run = index_deep(plate)
    assert run.returncode == 3
    assert f"unusable  TimePoint_1/{path.name}" in run.stdout
    assert "usable    3 of 4 planes" in run.stdout
    assert run.stderr == ""  # no bar where nobody looks
    data = json.loads(index_deep(plate, "--json").stdout)
    assert [problem["path"] for problem in data["unusable"]] == [f"TimePoint_1/{path.name}"]


def test_a_terminal_gets_a_bar_and_stdout_stays_clean(plate):
    leader, follower = pty.openpty()
    run = index_deep(plate, "--json", stderr=follower)
    assert json.loads(run.stdout)["planes"] == 4
    assert "opening" in os.read(leader, 65536).decode()
