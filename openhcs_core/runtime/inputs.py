"""Images a step reads: of the plate, or of the step before it."""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from openhcs_core.errors import InputDataError, PlanChangedError
from openhcs_core.plan import StepPlan, index_path, kept_image_path, manifest_path
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.digests import plane_digest
from openhcs_core.runtime.job import Job
from openhcs_core.runtime.manifest import StackRecord, read_manifest
from openhcs_core.runtime.read_records import read_made
from openhcs_core.storage import (
    FileManager,
    get_backend_instance,
    open_plate_source,
    parse_reference,
    run_parallel,
)
from openhcs_core.storage.backends.virtual_workspace import VirtualWorkspaceBackend

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_RECOMPUTED = 3
"""Times that what is gone from the cache is computed: it may be removed at any moment."""
Recompute = Callable[[str, str, Collection[PlaneKey]], None]
"""Called with step, well and planes that are gone from the cache."""


class WellInput(ABC):
    """The planes of one well that a step reads.

    Parameters
    ----------
    record : Path
        The file that says what there is: the well's index, or the manifest of the step before.

    Attributes
    ----------
    digests : dict
        Plane name to digest of its content, filled as planes are loaded.
    gives_own_arrays : bool
        Nothing here keeps the arrays that :meth:`load` returns: who called may write into them.
    """

    gives_own_arrays: ClassVar[bool] = False

    def __init__(self, record: Path) -> None:
        self.digests: dict[str, str] = {}
        self._record = record
        self._recorded = read_made(record)

    def check_unchanged(self) -> None:
        """Check that the input is still the one this job has read.

        Raises
        ------
        PlanChangedError
            A later run replaced it: this job's result is out of date.
        """
        if read_made(self._record) != self._recorded:
            raise PlanChangedError(
                f"{self._record} changed while this job ran; nothing was written, "
                "run snakemake again"
            )

    @property
    @abstractmethod
    def keys(self) -> Sequence[PlaneKey]:
        """The planes there are."""

    @abstractmethod
    def content_digests(self) -> dict[str, str]:
        """Return the digest of every plane by its name, what :attr:`digests` will be."""

    @abstractmethod
    def load(self, keys: Sequence[PlaneKey]) -> list["NDArray[Any]"]:
        """Read planes, each ``[Y, X]``, in the order given.

        Raises
        ------
        InputDataError
            One is missing, unreadable or not what it should be; the message names the file.
        """


class PlateInput(WellInput):
    """Planes of the plate itself, through its virtual workspace."""

    gives_own_arrays = True

    def __init__(self, job: Job, well: str) -> None:
        super().__init__(job.plate_dir / index_path(well))
        index = json.loads(self._recorded)
        self._expected: Mapping[str, Any] = index["channels"]
        mapping = {f"images/{name}": real for name, real, _, _ in index["images"]}
        self._source = open_plate_source(job.location.plate_path)
        self._plate = VirtualWorkspaceBackend(self._source, mapping)
        self._keys = tuple(PlaneKey.parse(name) for name, _, _, _ in index["images"])
        self._indexed = {name: rest for name, *rest in index["images"]}

    @property
    def keys(self) -> Sequence[PlaneKey]:
        """The planes of the well's index."""
        return self._keys

    def content_digests(self) -> dict[str, str]:
        """Read every plane, one at a time, for its digest."""
        for key in self._keys:
            self.load([key])
        return dict(self.digests)

    def load(self, keys: Sequence[PlaneKey]) -> list["NDArray[Any]"]:
        """Read planes and check shape and dtype against the plate's metadata.

        Planes of one form are views of one array ``[Z, Y, X]``, in the order given.
        """
        by_form: dict[tuple[tuple[int, int], str], list[PlaneKey]] = {}
        for key in keys:
            expected = self._expected[key.channel]
            height, width = expected["shape"]
            by_form.setdefault(((height, width), expected["dtype"]), []).append(key)
        planes: dict[PlaneKey, NDArray[Any]] = {}
        for (shape, dtype), alike in by_form.items():
            names = [f"images/{key.filename}" for key in alike]
            planes |= zip(alike, self._plate.load_stack(names, shape, dtype), strict=True)
        self._check_unchanged_images(keys)
        for key in keys:
            self.digests[key.filename] = plane_digest(planes[key])
            if _is_blank(planes[key]):
                where = self._source.where(self._indexed[key.filename][0])
                logger.warning("%s: all pixels are 0; was the shutter closed?", where)
        return [planes[key] for key in keys]

    def _check_unchanged_images(self, keys: Sequence[PlaneKey]) -> None:
        """Check, after reading, that files are as they were indexed.

        Raises
        ------
        PlanChangedError
            One is not: it changed since, and may have been another while it was read.
        """
        # planes of one array are looked at once: their files are the same
        planes = {_file_of(self._indexed[key.filename][0]): key for key in keys}
        checks = [partial(self._check_image, key) for key in planes.values()]
        run_parallel(checks, self._source.reader_threads)

    def _check_image(self, key: PlaneKey) -> None:
        real, size_bytes, changed = self._indexed[key.filename]
        if size_bytes is None and changed is None:  # not indexed: ``raw: immutable``
            return
        found = self._source.status(real)
        if [found.st_size, found.st_mtime_ns] != [size_bytes, changed]:
            raise PlanChangedError(
                f"{self._source.where(real)} changed since it was indexed; nothing was written, "
                "run snakemake again"
            )


def _file_of(real: str) -> str:
    plane = parse_reference(real)
    return real if plane is None else plane.array


def _is_blank(plane: "NDArray[Any]") -> bool:
    """Return whether no pixel is anything but 0; the first row tells of most that it is not so."""
    return not (plane[:1].any() or plane.any())


class StepInput(WellInput):
    """Planes of an earlier step: from its kept store or the cache; gone ones are recomputed."""

    def __init__(self, job: Job, plan: StepPlan, well: str, recompute: Recompute) -> None:
        assert plan.source is not None
        super().__init__(job.plate_dir / manifest_path(plan.source, well))
        self._source, self._well, self._recompute = plan.source, well, recompute
        self._cache, self._plate_dir = job.cache, job.plate_dir
        self._planes = read_manifest(self._record).find_planes()
        self._backend, self._is_kept = plan.read_backend, plan.reads_kept
        self._sub_dir = plan.read_sub_dir
        self._files = FileManager({self._backend: get_backend_instance(self._backend)})

    @property
    def keys(self) -> Sequence[PlaneKey]:
        """The planes of the earlier step's manifest."""
        return tuple(self._planes)

    def content_digests(self) -> dict[str, str]:
        """Return what the earlier step's manifest says; nothing is read."""
        return {
            key.filename: stack.planes[number].digest
            for key, (stack, number) in self._planes.items()
        }

    def load(self, keys: Sequence[PlaneKey]) -> list["NDArray[Any]"]:
        """Read planes and check their content against the manifest."""
        if self._is_kept:
            planes = self._recent_planes(keys) or self._load_kept(keys)
        else:
            planes = [self._load_cached(key, *self._planes[key]) for key in keys]
        for key in keys:
            stack, number = self._planes[key]
            self.digests[key.filename] = stack.planes[number].digest
        return planes

    def _recent_planes(self, keys: Sequence[PlaneKey]) -> list["NDArray[Any]"] | None:
        """Return planes of a kept step that all are in this process's memory, else None."""
        recent = self._cache.recent
        if recent is None:
            return None
        places = [self._planes[key] for key in keys]
        found = [(recent.get(stack.object), number) for stack, number in places]
        planes = [stack[number] for stack, number in found if stack is not None]
        return planes if len(planes) == len(keys) else None

    def _load_kept(self, keys: Sequence[PlaneKey]) -> list["NDArray[Any]"]:
        """Read a stack's planes at once, as its backend does that best."""
        paths = [
            self._plate_dir / kept_image_path(self._source, self._backend, key, self._sub_dir)
            for key in keys
        ]
        try:
            planes: list[NDArray[Any]] = self._files.load_batch(paths, self._backend)
        except InputDataError as error:
            raise self._altered(self._unreadable(paths)) from error
        for key, path, plane in zip(keys, paths, planes, strict=True):
            stack, number = self._planes[key]
            if plane_digest(plane) != stack.planes[number].digest:
                raise self._altered(path)
        return planes

    def _unreadable(self, paths: Sequence[Path]) -> Path:
        """Return the first image that cannot be read."""
        for path in paths:
            try:
                self._files.load_image(path, self._backend)
            except InputDataError:
                return path
        return paths[0]

    def _altered(self, path: Path) -> InputDataError:
        return InputDataError(
            f"{path} was removed or altered after step {self._source!r} wrote it; delete "
            f"{self._record} and run again to restore well {self._well}"
        )

    def _load_cached(self, key: PlaneKey, stack: StackRecord, number: int) -> "NDArray[Any]":
        plane = self._cache.get_plane(stack, number)
        for _ in range(_RECOMPUTED):
            if plane is not None:
                break
            self._cache.discard(stack)
            planes = [PlaneKey.parse(one.name) for one in stack.planes]
            self._recompute(self._source, self._well, planes)
            plane = self._cache.get_plane(stack, number)
        if plane is None:
            raise InputDataError(
                f"{key.filename} of step {self._source!r} is gone from the cache and computing it "
                "again gave other values: the plate's images or a library changed since; delete "
                f"{self._record} and run again"
            )
        return plane
