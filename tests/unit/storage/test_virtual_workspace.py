"""Virtual names lead to the real files of a plate and nowhere else."""

from pathlib import Path

import pytest
import tifffile

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage import get_backend_instance
from openhcs_core.testing.storage import assert_same_array

PLATE = Path(__file__).parents[3] / "data/demo/9987_Plate_3434"
VIRTUAL = "images/B02_s001_w1_z001_t001.tif"
REAL = "TimePoint_1/ZStep_1/9987_B02_s1_w1.TIF"


def workspace(root, mapping):
    return get_backend_instance("virtual_workspace", plate_root=root, mapping=mapping)


def test_virtual_path_and_bare_name_read_the_real_file():
    plate = workspace(PLATE, {VIRTUAL: REAL})
    expected = tifffile.imread(PLATE / REAL)
    for path in (VIRTUAL, Path(VIRTUAL), VIRTUAL.removeprefix("images/")):
        assert_same_array(plate.load(path), expected)
        assert plate.exists(path)
    assert len(plate.load_batch([VIRTUAL, VIRTUAL])) == 2


def test_listing_comes_from_the_mapping():
    names = [f"images/B02_s{site}_w1_z001_t001.tif" for site in (10, 2)]
    plate = workspace(PLATE, dict.fromkeys(names, REAL))
    assert plate.list_files("images") == [names[1], names[0]]
    assert plate.list_files(".") == []
    assert plate.list_files(".", recursive=True) == [names[1], names[0]]
    assert plate.list_files("images", extensions=[".png"]) == []


def test_a_missing_file_is_named_by_both_names(tmp_path):
    plate = workspace(tmp_path, {VIRTUAL: "sub/gone.tif"})
    with pytest.raises(InputDataError, match=rf"{VIRTUAL}: .*{tmp_path}/sub/gone\.tif is missing"):
        plate.load(VIRTUAL)
    assert not plate.exists(VIRTUAL)


def test_a_damaged_file_is_named_by_both_names(tmp_path):
    (tmp_path / "bad.tif").write_bytes(b"")
    with pytest.raises(InputDataError, match=r"bad\.tif: .*empty file") as caught:
        workspace(tmp_path, {VIRTUAL: "bad.tif"}).load(VIRTUAL)
    assert VIRTUAL in caught.value.__notes__[0]


def test_an_unknown_image_is_an_error(tmp_path):
    plate = workspace(tmp_path, {VIRTUAL: "a.tif"})
    with pytest.raises(InputDataError, match=r"images/C03\.tif: the plate .* has no such image"):
        plate.load("images/C03.tif")
    assert not plate.exists("images/C03.tif")


@pytest.mark.parametrize("real", ["../secret.tif", "sub/../../secret.tif", "link.tif", "ABSOLUTE"])
def test_nothing_outside_the_plate_is_read(tmp_path, real):
    secret = tmp_path / "secret.tif"
    secret.write_bytes((PLATE / REAL).read_bytes())
    root = tmp_path / "plate"
    (root / "sub").mkdir(parents=True)
    (root / "link.tif").symlink_to(secret)
    plate = workspace(root, {VIRTUAL: str(secret) if real == "ABSOLUTE" else real})
    with pytest.raises(InputDataError, match=rf"{VIRTUAL}: .* leaves the plate folder"):
        plate.load(VIRTUAL)


def test_links_inside_the_plate_and_a_linked_plate_are_fine(tmp_path):
    root = tmp_path / "plate"
    root.mkdir()
    (root / "real.tif").write_bytes((PLATE / REAL).read_bytes())
    (root / "link.tif").symlink_to("real.tif")
    (tmp_path / "alias").symlink_to(root)
    assert workspace(tmp_path / "alias", {VIRTUAL: "link.tif"}).load(VIRTUAL).shape == (256, 256)


def test_a_bare_name_that_two_folders_share_is_ambiguous():
    plate = workspace(PLATE, {"a/x.tif": REAL, "b/x.tif": REAL})
    with pytest.raises(StorageResolutionError, match=r"a/x\.tif, b/x\.tif"):
        plate.load("x.tif")
    assert plate.load("a/x.tif").shape == (256, 256)
