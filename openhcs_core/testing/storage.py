# ruff: noqa: D102  # a test's name says what it checks
"""What every storage backend promises, as pytest classes to subclass.

A backend with the semantics of a file system passes :class:`StorageBackendTests`; one that
holds image planes only passes :class:`ImageStorageTests`. What a backend lists in `refused` it
has to refuse. ``openhcs_core.testing.storage_machine`` runs random operations besides.
Subclasses give two fixtures::

    class TestMine(StorageBackendTests):
        @pytest.fixture
        def backend(self):
            return MyBackend()

        @pytest.fixture
        def root(self, tmp_path):
            return str(tmp_path / "root")
"""

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from numpy.typing import NDArray

from openhcs_core.errors import InputDataError, StorageResolutionError
from openhcs_core.planes import PlaneKey
from openhcs_core.storage import FileManager, StorageBackend
from openhcs_core.storage.backends.memory_ import MemoryStorageBackend

if TYPE_CHECKING:
    from collections.abc import Callable

IMAGE_DTYPES = (
    "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64", "float32", "float64",
)  # fmt: skip


def example_plane(dtype: str, shape: tuple[int, int] = (5, 7), seed: int = 0) -> NDArray[Any]:
    """Return an image ``[Y, X]`` with random bits, and for floats NaN, infinities and -0.0."""
    size = shape[0] * shape[1]
    raw = np.random.default_rng(seed).bytes(size * np.dtype(dtype).itemsize)
    plane = np.frombuffer(raw, dtype).reshape(shape).copy()
    if plane.dtype.kind == "f":
        plane[~np.isfinite(plane)] = 1
        plane[0, :4] = [np.nan, np.inf, -np.inf, -0.0]
    return plane


def assert_same_array(found: Any, expected: NDArray[Any]) -> None:
    """Assert equal dtype in native byte order, shape, and bits of every value."""
    native = expected.astype(expected.dtype.newbyteorder("="))
    assert found.dtype == native.dtype
    assert found.dtype.isnative
    assert found.shape == native.shape
    assert np.ascontiguousarray(found).tobytes() == np.ascontiguousarray(native).tobytes()


class ImageStorageTests(ABC):
    """Image planes come back as they went in, in the order asked for."""

    @pytest.fixture
    @abstractmethod
    def backend(self) -> StorageBackend:
        """Return an empty backend."""

    @pytest.fixture
    @abstractmethod
    def root(self) -> str:
        """Return the path of a folder in the backend that does not exist yet."""

    def image_path(self, root: str, site: int = 1, well: str = "B02") -> str:
        """Return the path of an image plane."""
        return f"{root}/{PlaneKey(well, site, '1', 1, 1).filename}"

    @pytest.mark.parametrize("dtype", IMAGE_DTYPES)
    def test_round_trip_keeps_every_bit(
        self, backend: StorageBackend, root: str, dtype: str
    ) -> None:
        plane = example_plane(dtype)
        backend.save(plane, self.image_path(root))
        assert_same_array(backend.load(self.image_path(root)), plane)

    @pytest.mark.parametrize("dtype", [">u2", ">f4", "<u2"])
    def test_byte_order_changes_no_value(
        self, backend: StorageBackend, root: str, dtype: str
    ) -> None:
        plane = np.arange(35, dtype=dtype).reshape(5, 7)
        backend.save(plane, self.image_path(root))
        assert_same_array(
            np.asarray(backend.load(self.image_path(root)), plane.dtype.newbyteorder("=")), plane
        )

    def test_views_with_strides_are_stored_as_they_look(
        self, backend: StorageBackend, root: str
    ) -> None:
        plane = example_plane("uint16", (8, 10))[::-2, 1::3]
        backend.save(plane, self.image_path(root))
        assert_same_array(backend.load(self.image_path(root)), plane)

    def test_changing_an_array_after_saving_it_changes_nothing_stored(
        self, backend: StorageBackend, root: str
    ) -> None:
        plane = example_plane("uint16")
        kept = plane.copy()
        backend.save(plane, self.image_path(root))
        plane[:] = 0
        assert_same_array(backend.load(self.image_path(root)), kept)

    def test_batch_comes_back_in_the_order_asked_for(
        self, backend: StorageBackend, root: str
    ) -> None:
        planes = {site: example_plane("uint16", seed=site) for site in (3, 1, 2)}
        backend.save_batch(list(planes.values()), [self.image_path(root, s) for s in planes])
        asked = [2, 3, 1, 3]
        found = backend.load_batch([self.image_path(root, site) for site in asked])
        for site, image in zip(asked, found, strict=True):
            assert_same_array(image, planes[site])

    def test_saving_again_replaces(self, backend: StorageBackend, root: str) -> None:
        first, second = example_plane("uint16"), example_plane("float32", (3, 4))
        backend.save(first, self.image_path(root))
        backend.save(second, self.image_path(root))
        assert_same_array(backend.load(self.image_path(root)), second)
        assert backend.list_files(root) == [self.image_path(root)]

    def test_saving_one_leaves_the_others(self, backend: StorageBackend, root: str) -> None:
        first, second = example_plane("uint16", seed=1), example_plane("uint16", seed=2)
        backend.save(first, self.image_path(root, site=2))
        backend.save(second, self.image_path(root, site=1))
        assert_same_array(backend.load(self.image_path(root, site=2)), first)
        assert_same_array(backend.load(self.image_path(root, site=1)), second)

    def test_listing_is_in_natural_order(self, backend: StorageBackend, root: str) -> None:
        sites = [1000, 2, 999, 10]
        for site in sites:
            backend.save(example_plane("uint8"), self.image_path(root, site))
        expected = [self.image_path(root, site) for site in sorted(sites)]
        assert backend.list_files(root) == expected
        assert backend.list_files(root, extensions=[".TIF"]) == expected
        assert backend.list_files(root, extensions=[".json"]) == []
        assert backend.list_dir(root) == [path.rpartition("/")[2] for path in expected]

    def test_what_is_missing_is_named(self, backend: StorageBackend, root: str) -> None:
        backend.ensure_directory(root)
        path = self.image_path(root)
        with pytest.raises(InputDataError, match=r"B02_s001_w1_z001_t001\.tif|well B02"):
            backend.load(path)
        with pytest.raises(InputDataError):
            backend.load_batch([path])
        with pytest.raises(InputDataError):
            backend.delete(path)

    def test_existence_follows_saving_and_deleting(
        self, backend: StorageBackend, root: str
    ) -> None:
        path, other = self.image_path(root), self.image_path(root, site=2)
        assert not backend.exists(root)
        assert not backend.exists(path)
        backend.save_batch([example_plane("uint8"), example_plane("uint8")], [path, other])
        assert backend.exists(root)
        assert backend.exists(path)
        backend.delete(path)
        assert not backend.exists(path)
        assert backend.exists(other)
        assert backend.list_files(root) == [other]

    def test_ensure_directory_may_be_called_twice(self, backend: StorageBackend, root: str) -> None:
        backend.ensure_directory(root)
        backend.ensure_directory(root)
        assert backend.exists(root)
        assert backend.list_files(root) == []

    def test_an_empty_directory_can_be_deleted(self, backend: StorageBackend, root: str) -> None:
        backend.ensure_directory(root)
        backend.delete(root)
        assert not backend.exists(root)

    def test_a_directory_with_files_is_not_deleted(
        self, backend: StorageBackend, root: str
    ) -> None:
        backend.save(example_plane("uint8"), self.image_path(root))
        with pytest.raises(LookupError, match="not empty"):
            backend.delete(root)
        assert backend.exists(self.image_path(root))

    def test_what_is_refused_says_so(self, backend: StorageBackend, root: str) -> None:
        files = FileManager({"tested": backend, "other": MemoryStorageBackend()})
        calls: dict[str, Callable[[], object]] = {
            "move": lambda: files.move(root, f"{root}2", "tested"),
            "mirror_directory": lambda: files.mirror_directory(root, f"{root}2", "tested"),
        }
        for operation in calls.keys() & backend.refused:
            with pytest.raises(
                StorageResolutionError, match=rf"'tested' cannot {operation}; .* other"
            ):
                calls[operation]()

    def test_a_folder_is_moved_with_all_that_is_in_it(
        self, backend: StorageBackend, root: str
    ) -> None:
        self.skip_unless(backend, "move")
        folder, _, name = root.rpartition("/")
        moved = f"{folder}/moved-{name}"
        planes = {site: example_plane("uint16", seed=site) for site in (1, 2)}
        backend.save_batch(list(planes.values()), [self.image_path(root, s) for s in planes])
        backend.move(root, moved)
        assert not backend.exists(root)
        for site, plane in planes.items():
            assert_same_array(backend.load(self.image_path(moved, site)), plane)
        with pytest.raises(InputDataError):
            backend.move(root, moved)
        backend.save(planes[1], self.image_path(root))
        with pytest.raises(StorageResolutionError):
            backend.move(root, moved, replace_symlinks=True)

    def skip_unless(self, backend: StorageBackend, operation: str) -> None:
        """Skip a test of what the backend refuses."""
        if operation in backend.refused:
            pytest.skip(f"{type(backend).__name__} refuses {operation}")

    def test_batches_need_a_path_for_each_object(self, backend: StorageBackend, root: str) -> None:
        with pytest.raises(ValueError, match=r"zip\(\)"):
            backend.save_batch([example_plane("uint8")], [])


class StorageBackendTests(ImageStorageTests):
    """The whole interface: images, other objects, and folders in folders."""

    @pytest.mark.parametrize(
        ("name", "data"),
        [
            ("a.json", {"b": [1, 2.5, None, "µm"], "a": {"x": True}}),
            ("a.txt", "line\r\nother µm\n"),
            ("a.csv", "label,area\n1,20\n"),
        ],
    )
    def test_other_objects_round_trip(
        self, backend: StorageBackend, root: str, name: str, data: object
    ) -> None:
        backend.save(data, f"{root}/{name}")
        assert backend.load(f"{root}/{name}") == data

    def test_arrays_of_any_rank_round_trip(self, backend: StorageBackend, root: str) -> None:
        for shape in [(3,), (2, 3), (1, 2, 3), (2, 3, 4, 5)]:
            array = np.arange(np.prod(shape), dtype="int32").reshape(shape)
            backend.save(array, f"{root}/array.npy")
            assert_same_array(backend.load(f"{root}/array.npy"), array)

    def test_listing_goes_down_when_asked(self, backend: StorageBackend, root: str) -> None:
        for name in ("b10.txt", "b2.txt", "sub/a.txt"):
            backend.save("text", f"{root}/{name}")
        assert backend.list_files(root) == [f"{root}/b2.txt", f"{root}/b10.txt"]
        assert backend.list_files(root, recursive=True) == [
            f"{root}/b2.txt", f"{root}/b10.txt", f"{root}/sub/a.txt",
        ]  # fmt: skip
        assert backend.list_dir(root) == ["b2.txt", "b10.txt", "sub"]

    def test_listing_what_is_not_there_is_an_error(
        self, backend: StorageBackend, root: str
    ) -> None:
        with pytest.raises(InputDataError, match="no such folder"):
            backend.list_files(f"{root}/nowhere")
        with pytest.raises(InputDataError, match="no such folder"):
            backend.list_dir(f"{root}/nowhere")

    def test_a_folder_outlives_what_was_in_it(self, backend: StorageBackend, root: str) -> None:
        backend.save("text", f"{root}/sub/a.txt")
        backend.delete(f"{root}/sub/a.txt")
        assert backend.list_dir(root) == ["sub"]
        backend.delete(f"{root}/sub")
        assert backend.list_dir(root) == []

    def test_a_path_is_a_file_or_a_folder_not_both(
        self, backend: StorageBackend, root: str
    ) -> None:
        backend.save("text", f"{root}/a.txt")
        refused: tuple[Callable[[], None], ...] = (
            lambda: backend.save("text", f"{root}/a.txt/b.txt"),
            lambda: backend.save_batch(["text"], [f"{root}/a.txt/b.txt"]),
            lambda: backend.ensure_directory(f"{root}/a.txt"),
            lambda: backend.ensure_directory(f"{root}/a.txt/b"),
            lambda: backend.save("text", root),
            lambda: backend.save_batch([b"text"], [root]),
        )
        for wrong in refused:
            with pytest.raises(StorageResolutionError, match=r"folder|no format"):
                wrong()
        assert backend.load(f"{root}/a.txt") == "text"
        assert backend.list_dir(root) == ["a.txt"]

    def test_a_file_is_moved_to_any_folder(self, backend: StorageBackend, root: str) -> None:
        self.skip_unless(backend, "move")
        backend.save("text", f"{root}/a.txt")
        backend.save("other", f"{root}/b.txt")
        backend.move(f"{root}/a.txt", f"{root}/new/folder/c.txt")
        assert backend.list_files(root, recursive=True) == [
            f"{root}/b.txt", f"{root}/new/folder/c.txt",
        ]  # fmt: skip
        assert backend.load(f"{root}/new/folder/c.txt") == "text"
        for source, target in (("b.txt", "new/folder/c.txt"), ("b.txt", "new"), ("b.txt", "b.txt")):
            with pytest.raises(StorageResolutionError):
                backend.move(f"{root}/{source}", f"{root}/{target}", replace_symlinks=True)
        with pytest.raises(StorageResolutionError):
            backend.move(f"{root}/new", f"{root}/new/folder/new")
        assert backend.load(f"{root}/b.txt") == "other"

    def test_a_mirror_shows_what_its_source_has(self, backend: StorageBackend, root: str) -> None:
        self.skip_unless(backend, "mirror_directory")
        source, mirror = f"{root}/source", f"{root}/mirror"
        backend.save("a", f"{source}/sub/a.txt")
        backend.save("b", f"{source}/b.txt")
        backend.ensure_directory(f"{source}/empty")
        assert backend.mirror_directory(source, mirror) == 2
        assert backend.list_dir(mirror) == ["b.txt", "empty", "sub"]
        assert backend.load(f"{mirror}/sub/a.txt") == "a"
        backend.save("new", f"{source}/b.txt")
        assert backend.load(f"{mirror}/b.txt") == "new"
        backend.save("mine", f"{mirror}/b.txt")
        assert backend.load(f"{source}/b.txt") == "new"
        with pytest.raises(StorageResolutionError):
            backend.mirror_directory(source, mirror)
        assert backend.mirror_directory(source, mirror, overwrite_symlinks_only=False) == 2
        assert backend.load(f"{mirror}/b.txt") == "new"
        backend.delete(f"{source}/b.txt")
        assert not backend.exists(f"{mirror}/b.txt")
        backend.move(f"{source}/sub/a.txt", f"{mirror}/b.txt", replace_symlinks=True)
        assert backend.load(f"{mirror}/b.txt") == "a"
