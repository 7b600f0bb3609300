import json

import pytest

from openhcs_core.errors import InputDataError
from openhcs_core.microscopes import (
    build_workspace_metadata,
    dump,
    get_available_backends,
    get_image_files,
    get_primary_backend,
    read_workspace_metadata,
)


def _document(**backends):
    return {"subdirectories": {".": {"available_backends": backends}}}


def test_real_plate_under_virtual_names(demo_plate, read_index):
    metadata = build_workspace_metadata(read_index(demo_plate))
    plate = metadata["subdirectories"]["."]
    mapping = plate["workspace_mapping"]
    assert len(mapping) == 16
    assert mapping["images/B02_s001_w1_z002_t001.tif"] == "TimePoint_1/ZStep_2/9987_B02_s1_w1.TIF"
    assert all((demo_plate / real).is_file() for real in mapping.values())
    assert plate["available_backends"] == {"disk": True, "virtual_workspace": True}
    assert plate["main"] is True
    assert plate["microscope_handler_name"] == "imagexpress"
    assert plate["source_filename_parser_name"] == "ImageXpressFilenameParser"
    assert plate["grid_dimensions"] == [1, 2]
    assert plate["pixel_size"] == 1.3672
    assert plate["channels"] == {"1": "DAPI", "2": "FITC", "3": "Texas Red"}
    assert get_image_files(metadata) == tuple(mapping)
    assert get_primary_backend(metadata) == "virtual_workspace"


def test_written_text_is_read_back_and_the_same_each_time(demo_plate, read_index, tmp_path):
    metadata = build_workspace_metadata(read_index(demo_plate))
    text = dump(metadata)
    assert text == dump(json.loads(text))
    path = tmp_path / "workspace" / "openhcs_metadata.json"
    path.parent.mkdir()
    path.write_text(text)
    assert read_workspace_metadata(path) == metadata
    assert read_workspace_metadata(path.parent) == metadata


@pytest.mark.parametrize(
    ("backends", "expected"),
    [
        ({"zarr": True, "virtual_workspace": True, "disk": True}, "zarr"),
        ({"disk": True, "virtual_workspace": True}, "virtual_workspace"),
        ({"disk": True, "zarr": False}, "disk"),
    ],
)
def test_preference_of_backends(backends, expected):
    assert get_primary_backend(_document(**backends)) == expected


def test_no_backend_is_an_error():
    assert get_available_backends(_document(zarr=False)) == ()
    with pytest.raises(InputDataError, match="expected one of zarr"):
        get_primary_backend(_document(zarr=False))


def test_the_main_subdirectory_counts():
    metadata = {
        "subdirectories": {
            ".": {"image_files": ["a"], "available_backends": {"disk": True}, "main": False},
            "zarr": {"image_files": ["b"], "available_backends": {"zarr": True}, "main": True},
        }
    }
    assert get_image_files(metadata) == ("b",)
    assert get_primary_backend(metadata) == "zarr"
    metadata["subdirectories"]["zarr"]["main"] = False
    with pytest.raises(InputDataError, match="main: true"):
        get_image_files(metadata)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "not JSON"),
        ("[]", "subdirectories"),
        ("{}", "subdirectories"),
        ('{"subdirectories": {}}', "subdirectories"),
        ('{"subdirectories": {".": 1}}', r"subdirectories\.\.: expected an object"),
        ('{"subdirectories": {".": {"image_files": {}}}}', "image_files"),
        ('{"subdirectories": {".": {"workspace_mapping": {"a": "../b"}}}}', "inside the plate"),
        ('{"subdirectories": {".": {"workspace_mapping": {"a": "/b"}}}}', "inside the plate"),
        ('{"subdirectories": {".": {"workspace_mapping": {"a": 1}}}}', "inside the plate"),
    ],
)
def test_documents_of_another_form_are_refused_by_name_and_key(tmp_path, text, said):
    path = tmp_path / "openhcs_metadata.json"
    path.write_text(text)
    with pytest.raises(InputDataError, match=said) as caught:
        read_workspace_metadata(path)
    assert str(path) in str(caught.value)


def test_missing_document(tmp_path):
    with pytest.raises(InputDataError, match="cannot be read"):
        read_workspace_metadata(tmp_path / "none.json")
