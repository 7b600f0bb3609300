"""Computed images by digest. Safe to delete at any time: what is gone is computed again."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.ground.atomic import replace_file
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.digests import combined_digest, plane_digest
from openhcs_core.runtime.held import HeldStacks, RecentStacks
from openhcs_core.runtime.manifest import PlaneRecord, StackRecord
from openhcs_core.runtime.removable import write_unless_removed

if TYPE_CHECKING:
    from numpy.typing import NDArray

_Form = tuple[tuple[int, ...], str]
OBJECTS_FOLDER = "objects"
_READ_ONLY = 0o444


@dataclass(frozen=True)
class ImageCache:
    """Stacks of images, each a read-only ``.npy`` file named by the digest of its planes.

    Attributes
    ----------
    root : Path
        Usually ``results/.cache``.
    held : HeldStacks or None
        Where stacks are kept in memory as well, for the next step of the same job.
    is_passing : bool
        Nothing that is held is written.
    recent : RecentStacks or None
        Where this process keeps stacks in memory from job to job.
    """

    root: Path
    held: HeldStacks | None = None
    is_passing: bool = False
    recent: RecentStacks | None = None

    def put(
        self,
        planes: Sequence["NDArray[Any]"],
        keys: Sequence[PlaneKey],
        *,
        is_passing: bool = False,
    ) -> StackRecord:
        """Store planes of one shape and dtype, in order, unless they are there already.

        Parameters
        ----------
        is_passing : bool
            Do not write it while it is held and read by this job alone: to compute it again costs
            no more than to read it.

        Returns
        -------
        StackRecord
            With the digests of stack and planes.

        Raises
        ------
        DiskFullError
            There is no room for it.
        """
        import numpy as np

        records = tuple(
            PlaneRecord(name=key.filename, digest=plane_digest(plane))
            for key, plane in zip(keys, planes, strict=True)
        )
        digest = combined_digest(record.digest for record in records)
        path = self.path(digest)
        if not self._is_in_memory(planes) and (form := _common_form(planes)) is not None:
            if not path.exists():
                write_unless_removed(partial(_write, path, planes, form), path)
            shape = (len(planes), *form[0])
            return StackRecord(object=digest, dtype=form[1], shape=shape, planes=records)
        stack = np.stack(planes)
        stack = stack.astype(stack.dtype.newbyteorder("="), copy=False)
        is_held = self.held is not None and self.held.put(digest, stack)
        if is_held and self.held is not None and self.held.is_read_here:
            is_passing |= self.is_passing
        else:
            is_passing = False
        if not is_passing and not path.exists():
            form = stack.shape[1:], stack.dtype.name
            write_unless_removed(partial(_write, path, list(stack), form), path)
        if self.recent is not None:
            self.recent.put(digest, stack)
        return StackRecord(object=digest, dtype=stack.dtype.name, shape=stack.shape, planes=records)

    def get_plane(self, stack: StackRecord, number: int) -> "NDArray[Any] | None":
        """Return one plane of a stack, None when it is gone or not what its digest says.

        Returns
        -------
        ndarray, shape (Y, X)
            Read-only, mapped from the file or held in memory.
        """
        import numpy as np

        held = None if self.held is None else self.held.get(stack.object)
        if held is None and self.recent is not None:
            held = self.recent.get(stack.object)
        if held is not None:
            of_memory: NDArray[Any] = held[number]
            return of_memory
        try:
            planes = np.load(self.path(stack.object), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        if planes.shape != stack.shape or planes.dtype.name != stack.dtype:
            return None
        plane: NDArray[Any] = planes[number]
        return plane if plane_digest(plane) == stack.planes[number].digest else None

    def check(self, path: Path) -> str | None:
        """Return what is wrong with a file of the cache, None when it is what its name says."""
        import numpy as np

        try:
            planes = np.load(path, mmap_mode="r")
        except (OSError, ValueError, EOFError) as error:
            return f"damaged ({error})"
        if planes.ndim != len("zyx"):
            return f"an array of {planes.ndim} axes"
        digest = combined_digest(plane_digest(plane) for plane in planes)
        return None if digest == path.stem else f"images of digest {digest}"

    def read_form(self, digest: str) -> tuple[str, tuple[int, ...]] | None:
        """Return dtype name and shape of a stack, None when it is gone or damaged."""
        import numpy as np

        try:
            planes = np.load(self.path(digest), mmap_mode="r")
        except (OSError, ValueError, EOFError):
            return None
        return planes.dtype.name, planes.shape

    def discard(self, stack: StackRecord) -> None:
        """Remove a stack, e.g. a damaged one that is to be computed again."""
        self.path(stack.object).unlink(missing_ok=True)

    def path(self, digest: str) -> Path:
        """Return where the stack of a digest is or would be."""
        return self.root / OBJECTS_FOLDER / digest[:2] / f"{digest}.npy"

    def _is_in_memory(self, planes: "Sequence[NDArray[Any]]") -> bool:
        """Return whether a stack of these planes stays in memory."""
        size = sum(plane.nbytes for plane in planes)
        return self.recent is not None or (self.held is not None and self.held.has_room(size))


def _write(path: Path, planes: "Sequence[NDArray[Any]]", form: "_Form") -> None:
    """Write planes of one shape and dtype as ``numpy.save`` does their stack, without one."""
    import numpy as np

    shape, dtype = form
    header = {
        "descr": np.lib.format.dtype_to_descr(np.dtype(dtype)),
        "fortran_order": False,
        "shape": (len(planes), *shape),
    }
    with replace_file(path, durable=False) as stream:
        # numpy writes a file that is open for writing alone at once, others piece by piece
        with open(stream.fileno(), "wb", closefd=False) as out:
            np.lib.format.write_array_header_1_0(out, header)
            for plane in planes:
                np.ascontiguousarray(plane, dtype).tofile(out)
        # readers are whom the umask lets read; writers, nobody
        mode = os.fstat(stream.fileno()).st_mode
        os.fchmod(stream.fileno(), mode & _READ_ONLY)


def _common_form(planes: "Sequence[NDArray[Any]]") -> "_Form | None":
    """Return shape and dtype's name that all planes have, None where they are no such numbers."""
    forms = {(plane.shape, plane.dtype.name) for plane in planes}
    are_numbers = all(plane.dtype.kind in "biufc" for plane in planes)
    return forms.pop() if len(forms) == 1 and are_numbers else None
