"""Files made to harm who reads them: refused by name, in bounded time and memory."""

import json
import os
import resource
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tifffile
from click.testing import CliRunner

from openhcs_core.cli.commands import cli
from openhcs_core.config import load_yaml
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.microscopes import METADATA_FILENAME, get_handler, open_workspace
from openhcs_core.microscopes.tiff_header import read_tiff_header
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import (
    FieldImages,
    ImageMetadata,
    get_backend_instance,
    open_plate_source,
    read_plane,
    write_well,
)
from openhcs_core.testing.harmony_plates import list_planes, write_images, write_list
from openhcs_core.testing.plates import image_path, write_imagexpress_plate
from openhcs_core.testing.zarr_plates import write_foreign_plate

ROOT = Path(__file__).parents[2]


@pytest.fixture
def plate(tmp_path):
    folder = tmp_path / "plate"
    write_imagexpress_plate(folder, (1,), (32, 32))
    return folder


@pytest.fixture(autouse=True)
def bounded():
    """Every refusal here takes less than 10 s of CPU and 400 MB."""
    memory, cpu = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    yield
    assert time.process_time() - cpu < 10
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - memory < 400 * 1024


def index(plate):
    return get_handler("auto", plate).index(plate)


# -- TIFF ---------------------------------------------------------------------


def declare(path, width, height, compression="zlib"):
    """Write a TIFF of a few hundred bytes that declares an image of any size."""
    tifffile.imwrite(path, np.zeros((8, 8), np.uint16), compression=compression)
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for tag, value in ((256, width), (257, height), (278, height)):
            entry = tif.pages.first.tags.get(tag)
            struct.pack_into("<HHII", raw, entry.offset, tag, 4, 1, value)
    path.write_bytes(raw)


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31, 2**31), (1, 2**31 - 1)])
def test_a_tiff_that_declares_more_than_the_limit(plate, size):
    path = image_path(plate, "A01", 1)
    declare(path, *size)
    with pytest.raises(InputDataError, match="declares"):
        read_tiff_header(path)
    with pytest.raises(InputDataError, match="declares"):
        get_backend_instance("disk").load(path)


def test_many_pages_of_one_strip_declare_more_than_memory(tmp_path):
    path = tmp_path / "stack.tif"
    tifffile.imwrite(path, np.zeros((64, 16, 16), np.uint16), compression="zlib")
    raw = bytearray(path.read_bytes())
    with tifffile.TiffFile(path) as tif:
        for page in tif.pages:
            for tag in (256, 257, 278):
                struct.pack_into("<HHII", raw, page.tags.get(tag).offset, tag, 4, 1, 16_000)
    path.write_bytes(raw)  # 64 times 512 MB
    with pytest.raises(InputDataError, match="declares"):
        get_backend_instance("disk").load(path)


def test_a_plate_of_tiffs_that_declare_too_much_is_refused_by_name(plate):
    for site in (1, 2):
        declare(image_path(plate, "A01", site), 2**30, 2**30)
    with pytest.raises(InputDataError, match=r"P_A01_s1_w1\.TIF declares"):
        index(plate)


# -- YAML and JSON ------------------------------------------------------------

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 10)}]\n" for n in range(9)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "over 100000 values"),
        ("{a: " * 50_000, "nested too deeply"),
        ("plates: {p: {path: x}}\npipeline: 2001-99-99\n", "not valid YAML"),
        ("plates: \x07\n", "not valid YAML"),
        ("# " + "x" * 5_000_000, "over 4194304 bytes"),
    ],
    ids=["aliases", "nesting", "date", "control", "size"],
)
def test_yaml(tmp_path, text, said):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=said):
        load_yaml(path)


@pytest.mark.parametrize("path", ["a\0b.yaml", "\ud800.yaml"])
def test_yaml_paths_that_no_file_has(path):
    with pytest.raises(ConfigError, match="expected the path of a YAML file"):
        load_yaml(path)


def test_workspace_metadata_nested_deeply(plate):
    (plate / METADATA_FILENAME).write_text('{"subdirectories": ' + '{"a":' * 10**6)
    with pytest.raises(InputDataError, match="nested over 100 deep"):
        open_workspace(plate)


@pytest.mark.parametrize(
    "path",
    ["../secret.tif", "/etc/passwd", "a/../../x.tif", "https://example.org/x.tif", "a\0b.tif", ""],
)
def test_workspace_metadata_that_lead_out_of_the_plate(plate, path):
    (plate / METADATA_FILENAME).write_text(
        json.dumps({"subdirectories": {".": {"workspace_mapping": {"x.tif": path}}}})
    )
    with pytest.raises(InputDataError, match="not a path inside the plate"):
        open_workspace(plate)


def test_a_mapping_to_a_name_that_no_file_can_have(plate):
    entry = {
        "workspace_mapping": {"x.tif": "x" * 5000 + ".tif"},
        "available_backends": {"virtual_workspace": True},
    }
    workspace = open_workspace(plate, {"subdirectories": {".": entry}})
    with pytest.raises(InputDataError, match="File name too long"):
        workspace.load("x.tif")
    assert not workspace.exists("x.tif")


def test_array_metadata_nested_deeply(tmp_path):
    """The library that reads arrays uses up its stack and dies."""
    key = PlaneKey("A01", 1, "1", 1, 1)
    planes = {key: np.ones((8, 8), np.uint16)}
    write_well(tmp_path, "A01", [FieldImages(1, "0", planes)], ImageMetadata.of_planes(planes))
    file = tmp_path / "A/01/0/0/zarr.json"
    file.write_text('{"attributes": ' + "[" * 100_000 + "]" * 100_000 + "}")
    with pytest.raises(InputDataError, match="nested over 100 deep"):
        read_plane(tmp_path, key)


# -- XML ----------------------------------------------------------------------

PHENIX = ROOT / "tests/data/phenix/BR00121482"
CELLVOYAGER = ROOT / "tests/data/cv8000"
LAUGHS = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
DECLARATIONS = {
    "bomb": f'<!DOCTYPE x [<!ENTITY a0 "ha">{LAUGHS}]>',
    "file": '<!DOCTYPE x [<!ENTITY a9 SYSTEM "file:///etc/passwd">]>',
    "server": '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">',
    "parameter": '<!DOCTYPE x [<!ENTITY % a SYSTEM "file:///etc/passwd"> %a;]>',
}
LISTS = {
    "phenix": (PHENIX, "Images/Index.idx.xml"),
    "cellvoyager": (CELLVOYAGER, "MeasurementData.mlf"),
    "cellvoyager detail": (CELLVOYAGER, "MeasurementDetail.mrf"),
}


def declaring(text, declaration):
    """Put a declaration before the root element, and an entity into the first text there is."""
    head, _, rest = text.partition("?>")
    root, end, inner = rest.partition(">")
    return f"{head}?>{declaration}{root}{end}&a9;{inner}"


@pytest.mark.parametrize("declaration", DECLARATIONS.values(), ids=DECLARATIONS)
@pytest.mark.parametrize("instrument", LISTS)
def test_xml_that_declares_entities(tmp_path, instrument, declaration):
    folder, name = LISTS[instrument]
    plate = shutil.copytree(folder, tmp_path / "plate")
    text = (plate / name).read_text(encoding="utf-8-sig")
    (plate / name).write_text(declaring(text, declaration), encoding="utf-8")
    with pytest.raises(InputDataError, match=r"declares|not whole XML"):
        index(plate)


@pytest.mark.parametrize("url", ["../../secret.tiff", "/etc/passwd", "a/../../b.tiff", "x\n.tiff"])
def test_lists_of_images_that_lead_out_of_the_plate(tmp_path, url):
    plate = shutil.copytree(PHENIX, tmp_path / "plate")
    (tmp_path / "secret.tiff").write_bytes(b"secret")
    path = plate / "Images/Index.idx.xml"
    text = path.read_text(encoding="utf-8-sig")
    path.write_text(text.replace("r01c01f01p01-ch1sk1fk1fl1.tiff", url), encoding="utf-8")
    try:
        images = index(plate).images
    except InputDataError:
        return
    source = open_plate_source(plate)
    for image in images:  # what is left lies in the plate
        source.locate(image.path)


def test_endless_elements_of_xml(tmp_path):
    plate = shutil.copytree(PHENIX, tmp_path / "plate")
    path = plate / "Images/Index.idx.xml"
    text = path.read_text(encoding="utf-8-sig")
    deep = "<a>" * 200_000
    path.write_text(text.replace("<Images>", f"<Images>{deep}"), encoding="utf-8")
    with pytest.raises(InputDataError):
        index(plate)


# -- folders ------------------------------------------------------------------


def test_links_that_form_a_ring_are_walked_once(plate):
    (plate / "TimePoint_1" / "again").symlink_to(plate, target_is_directory=True)
    (plate / "self").symlink_to("self")
    for number in range(20):  # 2^20 paths
        folder = plate / f"d{number}"
        folder.mkdir()
        for name in "ab":
            (folder / name).symlink_to(f"../d{(number + 1) % 20}", target_is_directory=True)
    assert len(index(plate).images) == 2


@pytest.mark.parametrize("target", ["/", "..", "/usr"])
def test_a_link_out_of_the_plate_is_not_followed(plate, target):
    (plate / "out").symlink_to(target, target_is_directory=True)
    with pytest.raises(InputDataError, match=r"out is a link to .*, outside of the plate"):
        index(plate)


def test_images_that_are_links_out_of_the_plate_are_named_before_any_job(plate, tmp_path):
    path = image_path(plate, "A01", 1)
    (plate / "store").mkdir()
    path.rename(plate / "store/real.tif_")
    path.symlink_to("../store/real.tif_")
    assert len(index(plate).images) == 2  # a link in the plate is as good as its file
    (plate / "store").rename(tmp_path / "store")
    path.unlink()
    path.symlink_to(tmp_path / "store/real.tif_")
    with pytest.raises(InputDataError, match=rf"{path.name} is a link to .* leaves the plate"):
        index(plate)


def test_a_folder_of_listed_images_that_is_a_link_out_of_the_plate(tmp_path):
    listed = list_planes([(2, 3)], (1,), 1, 1)
    write_list(tmp_path / "elsewhere/Index.xml", "V7", listed)
    write_images(tmp_path / "elsewhere", listed)
    (tmp_path / "plate").mkdir()
    (tmp_path / "plate/Images").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    with pytest.raises(InputDataError, match=r"leaves the plate folder .*, and 1 others too"):
        index(tmp_path / "plate")


@pytest.mark.parametrize("name", ["TimePoint_1/P_A01_s1_w1.TIF", "P.HTD"])
def test_a_pipe_is_not_waited_for(plate, name):
    (plate / name).unlink()
    os.mkfifo(plate / name)
    with pytest.raises(OSError, match="no regular file"):
        open_plate_source(plate).open(name)
    if name.endswith("HTD"):
        with pytest.raises(InputDataError, match="no regular file"):
            index(plate)
    else:
        assert "no regular file" in " ".join(index(plate).warnings)


def test_a_device_is_not_read(plate):
    path = image_path(plate, "A01", 1)
    path.unlink()
    path.symlink_to("/dev/zero")
    with pytest.raises(InputDataError, match="is a link to /dev/zero"):
        index(plate)
    with pytest.raises(OSError, match="no regular file"):
        open_plate_source(plate).open("TimePoint_1/P_A01_s1_w1.TIF")
    with pytest.raises(InputDataError, match="leaves the plate folder"):
        open_plate_source(plate).locate("TimePoint_1/P_A01_s1_w1.TIF")


def test_names_that_are_not_utf_8_are_refused_before_any_job(plate):
    """As old file servers have them."""
    path = image_path(plate, "A01", 1)
    path.rename(path.with_name(os.fsdecode(b"Pl\xe4te_A01_s1_w1.TIF")))
    with pytest.raises(InputDataError, match=r"b'TimePoint_1/Pl\\xe4te_A01_\S+ is not UTF-8"):
        index(plate)


@pytest.mark.parametrize(
    ("group", "old", "new", "said"),
    [
        ("A/1/0", "DAPI, 405", "\\ud800", "channel 1 is no text but half a character"),
        ("A/1", '"path": "1"', '"path": "\\ud800"', "which is not in the plate"),
    ],
)
def test_half_a_character_in_the_json_of_a_plate(tmp_path, group, old, new, said):
    write_foreign_plate(tmp_path / "plate.zarr", "0.4")
    file = tmp_path / "plate.zarr" / group / ".zattrs"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(InputDataError, match=said):
        index(tmp_path / "plate.zarr")


def test_newlines_in_names(plate):
    folder = plate / "TimePoint_1"
    (folder / "P_A01_s1_w1.TIF").rename(folder / "P\n\r_A01_s1_w1.TIF")
    (plate / "a\nb").mkdir()
    (plate / "a\nb" / "c\n.TIF").touch()
    images = index(plate).images
    assert images[0].path == "TimePoint_1/P\n\r_A01_s1_w1.TIF"


@pytest.mark.parametrize("arguments", [("index",), ("init", "--force"), ("compile",)])
def test_names_do_not_command_a_terminal(plate, monkeypatch, arguments):
    monkeypatch.chdir(plate.parent)
    htd = plate / "P.HTD"
    htd.write_text(htd.read_text().replace("DAPI", "\x1b[31mred\x1b]0;x\x07"))
    shutil.copy(image_path(plate, "A01", 1), plate / "odd\x1b[2J.tif")
    Path("config").mkdir()
    Path("config/config.yaml").write_text(f"plates: {{p: {{path: {plate}}}}}\n")
    Path("config/pipeline.yaml").write_text(
        "steps: [{name: count, func: openhcs:count_cells_single_channel}]\n"
    )
    where = [] if arguments == ("compile",) else [str(plate)]
    run = CliRunner().invoke(cli, [*arguments, *where])
    assert run.exception is None, run.exception
    assert "\\x1b[2J" in run.stderr
    assert not {"\x1b", "\x07"} & set(run.output)


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["note{}.txt", "{}.tif"])
def test_a_folder_of_100_000_files_that_are_no_plate(tmp_path, name):
    for number in range(100_000):
        os.close(os.open(tmp_path / name.format(number), os.O_CREAT | os.O_WRONLY))
    with pytest.raises(InputDataError, match="is no plate of a known microscope"):
        index(tmp_path)
    with pytest.raises(InputDataError, match="has no ImageXpress images"):
        get_handler("imagexpress", tmp_path).index(tmp_path)


# -- what fuzzing found -------------------------------------------------------


def fuzz(*arguments):
    command = [sys.executable, "benchmarks/fuzz_metadata.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_damaged_files_that_once_were_neither_read_nor_refused():
    run = fuzz("--replay", "tests/data/fuzz")
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.thorough
def test_some_more_damaged_files(tmp_path):
    run = fuzz("--minutes", "1", "--cases", "100", "--out", str(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr
