"""One state machine for every backend: random operations on it and on a dictionary agree.

A backend's test makes an empty backend for each run of the machine::

    def test_mine(tmp_path_factory):
        check_backend(lambda: FileManagerMachine(MyBackend(), str(tmp_path_factory.mktemp("m"))))

Backends that hold image planes only, or refuse operations, are told by subclasses with other
`folders`, `names` and flags.
"""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from openhcs_core.errors import InputDataError, OpenHCSError, StorageResolutionError
from openhcs_core.storage import FileManager, StorageBackend, operations_of
from openhcs_core.storage.listing import in_natural_order
from openhcs_core.testing.storage import assert_same_array
from openhcs_core.testing.storage_model import StorageModel

_Result = TypeVar("_Result")
_TESTED = "tested"
_SEEDS = st.integers(0, 99)
_IMAGE_SHAPE = (4, 5)
PLANE_NAMES = (
    "B02_s002_w1_z001_t001.tif",
    "B02_s010_w1_z001_t001.tif",
    "C03_s001_w1_z001_t001.tif",
)


def check_backend(
    make: Callable[[], "FileManagerMachine"], *, examples: int = 20, steps: int = 30
) -> None:
    """Run the machine that `make` returns, anew for each of `examples`, some `steps` long."""
    run_state_machine_as_test(
        make,  # type: ignore[arg-type]  # whatever makes one is taken
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


class FileManagerMachine(RuleBasedStateMachine):
    """Saves, reads, lists, moves, mirrors and deletes through a FileManager.

    Parameters
    ----------
    backend : StorageBackend
        Empty.
    root : str
        Folder to work in.
    """

    folders: ClassVar[Sequence[str]] = ("a", "a/b", "c", "m")
    names: ClassVar[Sequence[str]] = (*PLANE_NAMES[:2], "f2.txt", "f10.txt", "raw")
    moves_files: ClassVar[bool] = True
    """Whether it moves single files; those that do not move folders with all that is in them."""
    batches_are_whole: ClassVar[bool] = True
    """Whether a batch that fails leaves everything as it was."""

    def __init__(self, backend: StorageBackend, root: str) -> None:
        super().__init__()
        self._files = FileManager({_TESTED: backend})
        self._can = operations_of(type(backend))
        self._root = root
        self._model = StorageModel()

    @initialize(is_mirrored=st.booleans())
    def begin_with_files_and_links(self, *, is_mirrored: bool) -> None:
        """Save in the first two folders and mirror the first as the last, to have links."""
        for number, name in enumerate(self.names):
            self._save_batch([f"{self.folders[number % 2]}/{name}"], number)
        if is_mirrored and "mirror_directory" in self._can:
            self._mirror(self.folders[0], self.folders[-1], overwrite_symlinks_only=True)

    @rule(data=st.data(), seed=_SEEDS)
    def save(self, data: st.DataObject, seed: int) -> None:
        """Save one object, new or in place of another."""
        path = self._draw_file(data)
        self._try(
            lambda model: model.save(path, seed),
            lambda: self._files.save(_value(path, seed), self._at(path), _TESTED),
        )

    @rule(data=st.data(), seed=_SEEDS)
    def save_batch(self, data: st.DataObject, seed: int) -> None:
        """Save several objects at once."""
        self._save_batch(self._draw_files(data), seed)

    @precondition(lambda self: self.batches_are_whole and self._model.folders)
    @rule(data=st.data(), seed=_SEEDS)
    def save_batch_that_fails(self, data: st.DataObject, seed: int) -> None:
        """Save several objects, the last of them under a folder's name."""
        folder = data.draw(st.sampled_from(sorted(self._model.folders)))
        files = [f"{folder}/{name}" for name in self.names]
        self._save_batch([*data.draw(st.permutations(files)), folder], seed)

    @rule(data=st.data())
    def load(self, data: st.DataObject) -> None:
        """Read one object, which may not be there."""
        path = self._draw_file(data)
        expected = self._model.find(path)
        if expected is None:
            with pytest.raises(InputDataError):
                self._load(path)
        else:
            _assert_same(path, self._load(path), expected)

    @rule(data=st.data())
    def load_batch(self, data: st.DataObject) -> None:
        """Read images that are there, in any order, some twice."""
        there = [path for path in self._model.files() if path.endswith(".tif")]
        asked = data.draw(st.lists(st.sampled_from(there), max_size=5)) if there else []
        found = self._files.load_batch([self._at(path) for path in asked], _TESTED)
        for path, image in zip(asked, found, strict=True):
            _assert_same(path, image, self._model.find(path))

    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """Delete a file, a link or a folder, which may not be there or not be empty."""
        path = self._draw_file(data) if data.draw(st.booleans()) else self._draw_folder(data)
        self._try(
            lambda model: model.delete(path), lambda: self._files.delete(self._at(path), _TESTED)
        )

    @rule(data=st.data())
    def ensure_directory(self, data: st.DataObject) -> None:
        """Make a folder, which may be there."""
        folder = data.draw(st.sampled_from(self.folders))
        self._files.ensure_directory(self._at(folder), _TESTED)
        self._model.ensure_directory(folder)

    @rule(data=st.data(), replace_symlinks=st.booleans())
    def move_folder(self, data: st.DataObject, *, replace_symlinks: bool) -> None:
        """Move a folder with all that is in it."""
        source, target = self._draw_folder(data), data.draw(st.sampled_from(self.folders))
        self._move(source, target, replace_symlinks=replace_symlinks)

    @precondition(lambda self: self.moves_files)
    @rule(data=st.data(), replace_symlinks=st.booleans())
    def move_file(self, data: st.DataObject, *, replace_symlinks: bool) -> None:
        """Move a file or link to a name with the same ending, which may be taken."""
        source = self._draw_file(data)
        links = [path for path, found in self._model.entries.items() if isinstance(found, str)]
        every, there = (
            [path for path in paths if _ending(path) == _ending(source)]
            for paths in (self._all_files(), sorted(links))
        )
        target = self._draw(data, every, there)
        self._move(source, target, replace_symlinks=replace_symlinks)

    @rule(data=st.data(), overwrite_symlinks_only=st.booleans())
    def mirror_directory(self, data: st.DataObject, *, overwrite_symlinks_only: bool) -> None:
        """Mirror a folder, also over an earlier mirror."""
        source, target = self._draw_folder(data), data.draw(st.sampled_from(self.folders))
        self._mirror(source, target, overwrite_symlinks_only=overwrite_symlinks_only)

    @invariant()
    def all_is_as_in_the_dictionary(self) -> None:
        """Compare every folder's listings, and every file's content."""
        for folder in sorted({*self.folders, *self._model.folders}):
            path = self._at(folder)
            assert self._files.exists(path, _TESTED) == (folder in self._model.folders)
            if folder not in self._model.folders:
                continue
            assert self._files.list_dir(path, _TESTED) == self._model.list_dir(folder)
            for recursive in (False, True):
                images = self._model.files(folder, recursive=recursive, ending=".tif")
                found = self._files.list_image_files(path, _TESTED, recursive=recursive)
                assert found == in_natural_order(map(self._at, images))
        for file in self._all_files():
            expected = self._model.find(file)
            assert self._files.exists(self._at(file), _TESTED) == (expected is not None)
        for file in self._model.files():
            _assert_same(file, self._load(file), self._model.find(file))

    def _save_batch(self, paths: list[str], seed: int) -> None:
        seeds = range(seed, seed + len(paths))
        self._try(
            lambda model: model.save_batch(paths, seeds),
            lambda: self._files.save_batch(
                [_value(path, number) for path, number in zip(paths, seeds, strict=True)],
                [self._at(path) for path in paths],
                _TESTED,
            ),
        )

    def _move(self, source: str, target: str, *, replace_symlinks: bool) -> None:
        self._try(
            lambda model: model.move(source, target, replace_symlinks=replace_symlinks),
            lambda: self._files.move(
                self._at(source), self._at(target), _TESTED, replace_symlinks=replace_symlinks
            ),
        )

    def _mirror(self, source: str, target: str, *, overwrite_symlinks_only: bool) -> None:
        def mirror() -> int:
            return self._files.mirror_directory(
                self._at(source),
                self._at(target),
                _TESTED,
                overwrite_symlinks_only=overwrite_symlinks_only,
            )

        if "mirror_directory" not in self._can:
            with pytest.raises(StorageResolutionError, match="cannot mirror_directory"):
                mirror()
            return
        self._try(
            lambda model: model.mirror_directory(
                source, target, overwrite_symlinks_only=overwrite_symlinks_only
            ),
            mirror,
        )

    def _try(self, change: Callable[[StorageModel], _Result], call: Callable[[], _Result]) -> None:
        """Do the same to both: they agree in what comes back, or in what is raised."""
        changed = self._model.copy()
        try:
            expected = change(changed)
        except OpenHCSError as error:
            with pytest.raises(type(error)):
                call()
            return
        assert call() == expected
        self._model = changed

    def _load(self, path: str) -> Any:
        options = {} if _ending(path) else {"raw": True}
        return self._files.load(self._at(path), _TESTED, **options)

    def _at(self, path: str) -> str:
        return f"{self._root}/{path}"

    def _all_files(self) -> list[str]:
        return [f"{folder}/{name}" for folder in self.folders for name in self.names]

    def _draw_file(self, data: st.DataObject) -> str:
        return self._draw(data, self._all_files(), sorted(self._model.entries))

    def _draw_folder(self, data: st.DataObject) -> str:
        return self._draw(data, self.folders, sorted(self._model.folders))

    def _draw(self, data: st.DataObject, every: Sequence[str], there: Sequence[str]) -> str:
        """Draw a path, mostly one that is there: what is new in an operation needs some."""
        is_there = bool(there) and data.draw(st.integers(0, 3)) > 0
        return data.draw(st.sampled_from(there if is_there else every))

    def _draw_files(self, data: st.DataObject) -> list[str]:
        return data.draw(
            st.lists(st.sampled_from(self._all_files()), min_size=1, max_size=4, unique=True)
        )


class ImageStoreMachine(FileManagerMachine):
    """For backends with image planes in stores ``<name>.ome.zarr``, moved as a whole."""

    folders = ("a.ome.zarr", "b.ome.zarr")
    names = PLANE_NAMES
    moves_files = False
    batches_are_whole = False


def _ending(path: str) -> str:
    return path.rpartition("/")[2].partition(".")[2]


def _value(path: str, seed: int) -> Any:
    """Return what is saved at a path for a seed: the ending says what it can be."""
    values: dict[str, Any] = {
        "tif": np.full(_IMAGE_SHAPE, seed, "uint16"),
        "npy": np.arange(seed + 1, dtype="float32"),
        "txt": f"text {seed}\n",
        "json": {"seed": seed},
        "": bytes([seed]),
    }
    return values.get(_ending(path), b"")


def _assert_same(path: str, found: Any, seed: Any) -> None:
    expected = _value(path, seed)
    if isinstance(expected, np.ndarray):
        assert_same_array(found, expected)
    else:
        assert found == expected
