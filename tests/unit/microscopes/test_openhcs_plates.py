"""Plates that OpenHCS itself wrote: their metadata, and images from zarr, workspace and disk."""

import json
import shutil
from pathlib import Path

import pytest
import tifffile

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.microscopes import (
    get_available_backends,
    get_image_files,
    get_primary_backend,
    open_workspace,
    read_workspace_metadata,
)
from openhcs_core.storage import FileManager
from openhcs_core.testing.storage import assert_same_array

PLATE = Path(__file__).parents[2] / "data/openhcs_plate"
DISK_METADATA = PLATE / "openhcs_metadata_disk.json"


@pytest.fixture
def plate(tmp_path):
    """A copy that a test may damage."""
    return Path(shutil.copytree(PLATE, tmp_path / "plate"))


def _edit(plate, change):
    path = plate / "openhcs_metadata.json"
    metadata = json.loads(path.read_text())
    change(metadata["subdirectories"])
    path.write_text(json.dumps(metadata))


def _original(virtual):
    """Read the TIFF that OpenHCS read, found by its name and not through any metadata."""
    well, site, channel, z, _ = Path(virtual).stem.split("_")
    name = f"TimePoint_1/ZStep_{int(z.removeprefix('z'))}/{well}_{site}_{channel}.tif"
    return tifffile.imread(PLATE / name)


@pytest.mark.parametrize(
    ("metadata", "backends"),
    [(None, ("zarr",)), (DISK_METADATA, ("virtual_workspace", "disk"))],
)
def test_images_come_from_the_best_backend_of_the_main_subdirectory(metadata, backends):
    described = metadata or PLATE
    assert get_available_backends(described) == backends
    assert get_primary_backend(described) == backends[0]
    names = get_image_files(described)
    assert len(names) == 8
    workspace = open_workspace(PLATE, metadata)
    files = FileManager({"virtual_workspace": workspace})
    for name in names:
        assert_same_array(files.load_image(name, "virtual_workspace"), _original(name))
        assert workspace.exists(name)
    stack = workspace.load_stack(names, (32, 32), "uint16")
    assert_same_array(stack[-1].copy(), _original(names[-1]))
    assert len(workspace.load_batch(names)) == 8
    assert len(workspace.list_files(".", recursive=True)) == 8


def test_what_a_zarr_store_has_not_is_an_error(plate):
    workspace = open_workspace(plate)
    assert not workspace.exists("zarr/B07_s001_w1_z001_t001.tif")
    _edit(plate, lambda entries: entries["zarr"]["image_files"].append("zarr/A01_s009_w1.tif"))
    assert not open_workspace(plate).exists("zarr/A01_s009_w1.tif")
    with pytest.raises(InputDataError, match=r"A01_s009_w1\.tif: .* well A/01 has 8"):
        open_workspace(plate).load("zarr/A01_s009_w1.tif")


def test_a_missing_chunk_is_no_black_image(plate):
    chunk = plate / "zarr/A/01/0/0/0/0/0/0/0"
    chunk.unlink()
    name = "zarr/A01_s001_w1_z001_t001.tif"
    with pytest.raises(InputDataError, match=rf"{chunk} is missing") as caught:
        open_workspace(plate).load(name)
    assert name in caught.value.__notes__[0]
    assert open_workspace(plate).load("zarr/A01_s002_w1_z001_t001.tif").shape == (32, 32)


@pytest.mark.parametrize("damage", [b"", b"not zlib"])
def test_a_damaged_chunk_is_named(plate, damage):
    (plate / "zarr/A/01/0/0/0/0/0/0/0").write_bytes(damage)
    with pytest.raises(InputDataError, match=r"A01_s001_w1_z001_t001\.tif cannot be read"):
        open_workspace(plate).load("zarr/A01_s001_w1_z001_t001.tif")


def test_links_out_of_the_plate_are_not_followed(plate, tmp_path):
    field = plate / "zarr/A/01/0"
    shutil.copytree(field, tmp_path / "elsewhere")
    shutil.rmtree(field)
    field.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(InputDataError, match="leaves the plate folder"):
        open_workspace(plate).load("zarr/A01_s001_w1_z001_t001.tif")


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"backend_address": "../x.tif"}, "leaves the plate"),
        ({"backend_address": "/etc/x.tif"}, "leaves the plate"),
        ({"backend_address": "s3://b/x.tif"}, "leaves the plate"),
        ({"backend_address": "a.tif", "backend": "napari"}, "expected one of disk, zarr"),
        ({"backend_address": "a.tif", "source_axis_indices": ["1"]}, "expected a path"),
        ({"backend_address": "a.tif", "source_axis_indices": [-1]}, "expected a path"),
        ({"path": "a.tif"}, "expected a path"),
        (None, "expected a path"),
    ],
)
def test_real_paths_of_another_form_are_refused(plate, entry, said):
    _edit(plate, lambda entries: entries["."]["workspace_mapping"].update({"a.tif": entry}))
    with pytest.raises(InputDataError, match=said):
        read_workspace_metadata(plate)


@pytest.mark.parametrize("name", ["../secret.tif", "/secret.tif", "", 3])
def test_image_files_outside_the_plate_are_refused(plate, name):
    _edit(plate, lambda entries: entries["zarr"]["image_files"].append(name))
    with pytest.raises(InputDataError, match=r"zarr\.image_files: .* inside the plate"):
        read_workspace_metadata(plate)


def test_one_plane_of_a_file_of_several(plate):
    planes = tifffile.imread(PLATE / "TimePoint_1/ZStep_1/A01_s001_w1.tif")[None].repeat(3, 0)
    planes[2] += 1
    tifffile.imwrite(plate / "stack.tif", planes, photometric="minisblack")
    entry = {"backend": "disk", "backend_address": "stack.tif", "source_axis_indices": [2]}

    def change(entries):
        entries["."] |= {"workspace_mapping": {"a.tif": entry}, "main": True}
        del entries["zarr"]

    _edit(plate, change)
    workspace = open_workspace(plate)
    assert_same_array(workspace.load("a.tif"), planes[2].copy())
    assert_same_array(workspace.load_stack(["a.tif"], (32, 32), "uint16")[0].copy(), planes[2])
    entry["source_axis_indices"] = [3]
    _edit(plate, lambda entries: entries["."]["workspace_mapping"].update({"a.tif": entry}))
    with pytest.raises(InputDataError, match=r"expected an image with planes \[3\]"):
        open_workspace(plate).load("a.tif")


def test_zarr_stores_are_read_where_they_are(plate):
    metadata = read_workspace_metadata(plate)
    remote = open_workspace("memory://plate", metadata)
    with pytest.raises(StorageResolutionError, match="copy the plate"):
        remote.load("zarr/A01_s001_w1_z001_t001.tif")
