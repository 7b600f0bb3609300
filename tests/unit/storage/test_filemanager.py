"""One call for every backend, and images are what they should be."""

import pickle

import numpy as np
import pytest

from openhcs_core.constants import Backend
from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.storage import FileManager, create_storage_registry, get_backend_instance
from openhcs_core.testing.storage import assert_same_array, example_plane

NAME = "B02_s001_w1_z001_t001.tif"


@pytest.fixture
def files():
    return FileManager(create_storage_registry())


@pytest.mark.parametrize("backend", [Backend.MEMORY, "disk", Backend.ZARR])
def test_the_same_calls_work_on_every_backend(files, tmp_path, backend):
    folder = tmp_path / "step.ome.zarr"
    planes = [example_plane("uint16", seed=seed) for seed in range(2)]
    paths = [folder / NAME, folder / NAME.replace("s001", "s010")]
    files.ensure_directory(folder, backend)
    files.save_batch(planes, paths, backend)
    assert files.exists(paths[0], backend)
    for found, plane in zip(files.load_batch(paths, backend), planes, strict=True):
        assert_same_array(found, plane)
    image = files.load_image(paths[1], backend, expected_shape=(5, 7), expected_dtype="uint16")
    assert_same_array(image, planes[1])
    files.save_image(planes[0], paths[1], backend)
    assert_same_array(files.load(paths[1], backend), planes[0])
    assert files.list_image_files(folder, backend) == [str(path) for path in paths]
    assert files.list_dir(folder, backend) == [path.name for path in paths]
    files.delete(paths[0], backend)
    assert files.list_image_files(folder, backend) == [str(paths[1])]


def test_only_images_are_listed_as_images(files, tmp_path):
    for name in ("z2.TIF", "z10.tif", "notes.txt", "sub/z1.tiff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    names = [path.removeprefix(f"{tmp_path}/") for path in files.list_image_files(tmp_path, "disk")]
    assert names == ["z2.TIF", "z10.tif"]
    assert len(files.list_image_files(tmp_path, "disk", recursive=True)) == 3
    assert len(files.list_image_files(tmp_path, "disk", [".txt"])) == 1


@pytest.mark.parametrize(
    ("expected", "message"),
    [
        ({"expected_shape": (256, 256)}, "expected 256x256, found 5x7 uint16"),
        ({"expected_dtype": "float32"}, "expected 5x7 float32, found 5x7 uint16"),
        (
            {"expected_shape": (256, 256), "expected_dtype": "uint8"},
            "expected 256x256 uint8, found 5x7 uint16",
        ),
    ],
)
def test_an_image_of_another_shape_or_dtype_is_named(files, tmp_path, expected, message):
    path = tmp_path / "image.tif"
    files.save(example_plane("uint16"), path, "disk")
    with pytest.raises(InputDataError, match=rf"image\.tif: {message}"):
        files.load_image(path, "disk", **expected)


def test_empty_and_other_objects_are_no_images(files):
    files.save(np.empty((0,)), "plate/empty.tif", "memory")
    files.save("text", "plate/text.tif", "memory")
    with pytest.raises(InputDataError, match=r"plate/empty\.tif: .*empty"):
        files.load_image("plate/empty.tif", "memory")
    with pytest.raises(InputDataError, match=r"plate/text\.tif: expected an image, found str"):
        files.load_image("plate/text.tif", "memory")
    with pytest.raises(InputDataError, match=r"plate/new\.tif: .*empty"):
        files.save_image(np.empty((0, 3)), "plate/new.tif", "memory")


def test_unknown_backends_list_those_registered(files):
    with pytest.raises(StorageResolutionError, match=r"'omero'; known: disk, memory, zarr"):
        files.load("x", "omero")


def test_a_virtual_workspace_is_never_written(tmp_path):
    plate = get_backend_instance("virtual_workspace", plate_root=tmp_path, mapping={})
    files = FileManager({"virtual_workspace": plate})
    for call in (
        lambda: files.save(1, "a", Backend.VIRTUAL_WORKSPACE),
        lambda: files.save_batch([1], ["a"], Backend.VIRTUAL_WORKSPACE),
        lambda: files.ensure_directory("a", Backend.VIRTUAL_WORKSPACE),
        lambda: files.delete("a", Backend.VIRTUAL_WORKSPACE),
    ):
        with pytest.raises(StorageResolutionError, match="'virtual_workspace' cannot"):
            call()


def test_an_image_of_a_plate_is_named_by_its_real_file(tmp_path):
    virtual = f"images/{NAME}"
    create_storage_registry()["disk"].save(example_plane("uint8"), tmp_path / "sub/real.tif")
    plate = get_backend_instance(
        "virtual_workspace", plate_root=tmp_path, mapping={virtual: "sub/real.tif"}
    )
    files = FileManager({"virtual_workspace": plate})
    with pytest.raises(
        InputDataError, match=rf"sub/real\.tif \(read for {virtual}\): expected 9x9"
    ):
        files.load_image(virtual, "virtual_workspace", expected_shape=(9, 9))


def test_batches_of_unequal_length_are_refused(files):
    with pytest.raises(ValueError, match="1 objects to save at 2 paths"):
        files.save_batch([1], ["a", "b"], "memory")


def test_errors_survive_a_process_pool(files):
    with pytest.raises(InputDataError) as caught:
        files.load("nowhere.tif", "disk")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
