"""Raw plates as OME-Zarr: the same pixels, all metadata, valid, and resumed when killed."""

import gzip
import json
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import tifffile
import xxhash
import zarr
from click.testing import CliRunner

from openhcs_core.cli.convert_command import convert_command
from openhcs_core.errors import ErrorGroup, OpenHCSError, render_error
from openhcs_core.microscopes import get_handler
from openhcs_core.plates import inspect_plate
from openhcs_core.storage import open_plate_source
from openhcs_core.testing.harmony_plates import list_planes, write_images, write_list
from openhcs_core.testing.plates import image_path, write_imagexpress_plate

ROOT = Path(__file__).parents[3]
DEMO = ROOT / "data/demo/9987_Plate_3434"
MIX = ROOT / "tests/data/projection_mix/Projection-Mix"


@dataclass
class Command:
    """What came of a command."""

    returncode: int
    stdout: str
    stderr: str


def convert(*arguments):
    run = CliRunner().invoke(convert_command, [str(argument) for argument in arguments])
    error = run.exception
    if isinstance(error, OpenHCSError | ErrorGroup):
        return Command(error.exit_code, run.stdout, run.stderr + render_error(error))
    assert error is None or isinstance(error, SystemExit), run.exc_info
    return Command(run.exit_code, run.stdout, run.stderr)


def converted(plate, out, *arguments):
    run = convert(plate, out, *arguments, "--json")
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def digest(array):
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    return f"{array.dtype.name} {array.shape} {xxhash.xxh3_128(array.tobytes()).hexdigest()}"


def planes_of(store):
    """Every plane of an OME-Zarr plate by zarr-python, as the plate's own metadata lead to them."""
    root = zarr.open_group(store, mode="r")
    plate = root.attrs.get("ome", root.attrs)["plate"]
    for well in plate["wells"]:
        group = root[well["path"]]
        for image in group.attrs.get("ome", group.attrs)["well"]["images"]:
            field = group[image["path"]]
            pixels = field["0"]
            for name, (t, c, z) in field.attrs["openhcs"]["planes"].items():
                yield name, pixels[t, c, z]


def files_below(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture(scope="module", params=["0.5", "0.4"])
def demo(request, tmp_path_factory):
    out = tmp_path_factory.mktemp("converted") / "demo.ome.zarr"
    return out, converted(DEMO, out, "--ome-zarr-version", request.param), request.param


def test_every_plane_has_the_digest_of_its_file(demo):
    out, report, _ = demo
    index = get_handler("auto", DEMO).index(DEMO)
    expected = {
        image.key.filename: digest(tifffile.imread(DEMO / image.path)) for image in index.images
    }
    assert {name: digest(plane) for name, plane in planes_of(out)} == expected
    assert report["planes"] == len(expected) == 16
    assert report["checked_by"] == "zarr-python"


MODELS = """
import sys, zarr
from importlib import import_module
HCS = import_module("ome_zarr_models.v" + sys.argv[2].replace(".", "")).HCS
plate = HCS.from_zarr(zarr.open_group(sys.argv[1], mode="r"))
attributes = [well.attributes for well in plate.well_groups]
wells = [(own.ome if sys.argv[2] == "0.5" else own).well for own in attributes]
print(sum(len(list(well.images)) for well in wells))
"""


def test_validators_are_content(demo):
    import yaozarrs

    out, _, version = demo
    yaozarrs.validate_zarr_store(str(out))
    # in a process of its own: it finds 0.4 plates wrong where ngio is imported
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MODELS, str(out), version],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stdout) == (0, "4\n"), run.stderr


@pytest.mark.filterwarnings("ignore:Plate-wide operations still read one item")
def test_ngio_opens_it_with_names_and_scale(demo):
    from ngio import open_ome_zarr_plate

    out, _, _ = demo
    plate = open_ome_zarr_plate(str(out), mode="r")
    assert plate.wells_paths() == ["B/02", "B/03"]
    image = plate.get_images()["B/02/0"].get_image()
    assert image.channel_labels == ["DAPI", "FITC", "Texas Red"]
    assert image.pixel_size.x == pytest.approx(1.3672)


def test_metadata_are_kept(demo):
    out, report, _ = demo
    field = zarr.open_group(out / "B/02/0", mode="r").attrs["openhcs"]
    plane = field["acquisitions"]["B02_s001_w1_z001_t001.tif"]
    with tifffile.TiffFile(DEMO / plane["file"]) as tif:
        said = tif.pages.first.description
    assert plane["as_written"]["acquired"] in said
    assert (
        f'id="stage-position-x" type="float" value="{plane["as_written"]["stage_x_um"]:g}' in said
    )
    assert [channel["name"] for channel in field["channels"]] == ["DAPI", "FITC", "Texas Red"]
    originals = out / "original_metadata"
    kept = files_below(originals / "files")
    assert kept == {path: content for path, content in files_below(DEMO).items() if "HTD" in path}
    assert sorted(kept) == report["metadata_files"]
    texts = json.loads(gzip.decompress((originals / "image_descriptions/B02.json.gz").read_bytes()))
    assert texts["B02_s001_w1_z001_t001.tif"].strip() == said.strip()
    assert report["left_out"] == [
        "20 images that are no planes: projections, copies, thumbnails, calibration"
    ]


def test_a_converted_plate_knows_what_its_instrument_said(tmp_path):
    """Wavelengths, places, times, grid: as the list that it was converted from."""
    listed = list_planes([(2, 3), (2, 4)], plane_count=2, times=1)
    write_list(tmp_path / "plate/Index.xml", "V7", listed)
    write_images(tmp_path / "plate", listed)
    before = get_handler("auto", tmp_path / "plate").index(tmp_path / "plate")
    assert (len(before.acquisitions), len(before.site_grid)) == (len(listed), 3)
    out = tmp_path / "out.ome.zarr"
    converted(tmp_path / "plate", out)
    after = get_handler("auto", out).index(out)
    for name in ("channels", "acquisitions", "site_grid", "grid_dimensions", "z_step_um"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.pixel_size_um == pytest.approx(before.pixel_size_um)


def test_a_converted_plate_knows_where_the_stage_was(demo):
    """As every image of MetaXpress says."""
    out, _, _ = demo
    deep = inspect_plate(get_handler("auto", DEMO).index(DEMO), open_plate_source(DEMO), 2).index
    assert get_handler("auto", out).index(out).acquisitions == deep.acquisitions


def test_a_database_plate_of_stacks_and_single_planes(tmp_path):
    out = tmp_path / "mix.ome.zarr"
    converted(MIX, out)
    index = get_handler("auto", MIX).index(MIX)
    expected = {
        image.key.filename: digest(tifffile.imread(MIX / image.path)) for image in index.images
    }
    assert {name: digest(plane) for name, plane in planes_of(out)} == expected


@pytest.mark.parametrize("dtype", ["uint8", ">u2", "<i4", "float32"])
def test_pixels_of_any_type_and_byte_order(tmp_path, dtype):
    plate = tmp_path / "plate"
    write_imagexpress_plate(plate, (1,), (40, 30))
    images = {}
    for site in (1, 2):
        random = np.random.default_rng(site)
        images[site] = random.integers(0, 250, (40, 30)).astype(dtype)
        path = image_path(plate, "A01", site)
        order = dtype[0] if dtype[0] in "<>" else "<"
        tifffile.imwrite(path, images[site], byteorder=order, compression="zlib")
    converted(plate, tmp_path / "p.ome.zarr")
    found = dict(planes_of(tmp_path / "p.ome.zarr"))
    assert digest(found["A01_s001_w1_z001_t001.tif"]) == digest(images[1])
    assert digest(found["A01_s002_w1_z001_t001.tif"]) == digest(images[2])


def test_a_killed_conversion_goes_on(tmp_path):
    plate, out, whole = tmp_path / "plate", tmp_path / "a.ome.zarr", tmp_path / "b.ome.zarr"
    write_imagexpress_plate(plate, range(1, 13), (512, 512))
    command = [sys.executable, "-m", "openhcs_core", "convert", str(plate), str(out)]
    with subprocess.Popen([*command, "--workers", "1"], stdout=subprocess.DEVNULL) as process:
        records = out / "original_metadata/wells"
        while process.poll() is None and not (
            records.is_dir() and len(list(records.glob("*.json"))) > 2
        ):
            time.sleep(0.002)
        process.kill()
    done = {path.stem: path.stat().st_ino for path in records.glob("*.json")}
    assert 2 < len(done) < 12
    assert not (out / "zarr.json").exists()  # half a plate is no plate to anybody
    report = converted(plate, out)
    assert set(done) <= set(report["already_there"])
    assert {well: (records / f"{well}.json").stat().st_ino for well in done} == done
    converted(plate, whole)
    assert files_below(out) == files_below(whole)


def test_a_damaged_image_is_named_and_the_other_wells_are_converted(tmp_path):
    plate, out = tmp_path / "plate", tmp_path / "a.ome.zarr"
    write_imagexpress_plate(plate, (1, 2, 3))
    damaged = image_path(plate, "A02", 1)
    good = damaged.read_bytes()
    damaged.write_bytes(good[: len(good) // 2])
    run = convert(plate, out)
    assert run.returncode == 3
    assert damaged.name in run.stderr
    assert "2 of 3 wells are converted" in run.stderr
    assert not (out / "zarr.json").exists()
    damaged.write_bytes(good)
    assert converted(plate, out)["already_there"] == ["A01", "A03"]
    assert (out / "zarr.json").exists()


def test_a_changed_image_is_converted_again(tmp_path):
    plate, out = tmp_path / "plate", tmp_path / "a.ome.zarr"
    write_imagexpress_plate(plate, (1, 2))
    converted(plate, out)
    tifffile.imwrite(image_path(plate, "A02", 2), np.full((64, 64), 7, np.uint16))
    assert converted(plate, out)["already_there"] == ["A01"]
    assert dict(planes_of(out))["A02_s002_w1_z001_t001.tif"].max() == 7


def test_missing_images_are_an_error_or_holes(tmp_path):
    plate, out = tmp_path / "plate", tmp_path / "a.ome.zarr"
    write_imagexpress_plate(plate, (1, 2))
    image_path(plate, "A02", 2).unlink()
    run = convert(plate, out)
    assert run.returncode == 3
    assert "A02_s002_w1_z001_t001.tif" in run.stderr
    converted(plate, out, "--allow-missing")
    assert "A02_s002_w1_z001_t001.tif" not in dict(planes_of(out))


def test_channels_of_different_size_are_converted_apart(tmp_path):
    plate = tmp_path / "plate"
    write_imagexpress_plate(plate, (1,))
    for site in (1, 2):
        path = image_path(plate, "A01", site)
        tifffile.imwrite(str(path).replace("_w1", "_w2"), np.ones((8, 8), np.uint8))
    run = convert(plate, tmp_path / "a.ome.zarr")
    assert run.returncode == 3
    assert "64 x 64 uint16" in run.stderr
    assert "8 x 8 uint8" in run.stderr
    for channel, shape in (("1", (64, 64)), ("2", (8, 8))):
        out = tmp_path / f"{channel}.ome.zarr"
        converted(plate, out, "--channel", channel)
        assert {plane.shape for _, plane in planes_of(out)} == {shape}


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("plate/a.ome.zarr", "where nothing is written"),
        ("a", "ends in .ome.zarr"),
        ("taken.ome.zarr", "no conversion made it"),
    ],
)
def test_places_that_are_refused(tmp_path, out, said):
    write_imagexpress_plate(tmp_path / "plate", (1,))
    (tmp_path / "taken.ome.zarr").mkdir()
    (tmp_path / "taken.ome.zarr/precious").touch()
    before = files_below(tmp_path)
    run = convert(tmp_path / "plate", tmp_path / out)
    assert run.returncode == 2
    assert said in run.stderr
    assert files_below(tmp_path) == before


def test_a_read_only_plate_is_only_read(tmp_path):
    plate = tmp_path / "plate"
    shutil.copytree(DEMO, plate)
    before = files_below(plate)
    converted(plate, tmp_path / "a.ome.zarr")
    assert files_below(plate) == before


def test_images_of_any_instrument_by_a_pattern_of_their_names(tmp_path):
    images = ROOT / "tests/data/generic/sbs_translocation"  # big-endian, 8 bit
    out = tmp_path / "a.ome.zarr"
    report = converted(images, out, "--pattern", "Channel{channel}-{_}-{row}-{column}.tif")
    found = {name: digest(plane) for name, plane in planes_of(out)}
    assert report["wells"] == ["A01", "A02", "B01", "B12"]
    assert found["B12_s001_w2_z001_t001.tif"] == digest(
        tifffile.imread(images / "Channel2-24-B-12.tif")
    )
