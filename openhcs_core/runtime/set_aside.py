"""Arrays that functions gave besides their image, until the well's end: mostly on disk.

Label images of all planes are written when the well is done. A well may have thousands.
"""

from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from openhcs_core.materialization import Later
from openhcs_core.runtime.calls import SpecialValue
from openhcs_core.storage import replace_file

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SMALL_BYTES = 64 * 2**10
"""Arrays that are not worth a file."""


@dataclass
class SetAside:
    """Keeps what calls gave until it is written: arrays up to a limit in memory, others in files.

    Attributes
    ----------
    folder : Path
        Where files go; it is made when there is one, and removed by who has named it.
    limit_bytes : int
        Of the arrays in memory.
    """

    folder: Path
    limit_bytes: int
    held_bytes: int = 0
    written: int = field(default=0, init=False)

    def keep(self, special: SpecialValue) -> SpecialValue:
        """Return a value that is read from its file when it is needed, or `special` itself.

        Raises
        ------
        DiskFullError
            There is no room for it.
        """
        import numpy as np

        array = special.value
        # exact type: a subclass would come back as something else
        if type(array) is not np.ndarray or array.dtype.kind not in "buif":
            return special
        if array.nbytes <= _SMALL_BYTES:
            return special
        if self.held_bytes + array.nbytes <= self.limit_bytes:
            self.held_bytes += array.nbytes
            return special
        return replace(special, value=Later(partial(_read, self._write(array))))

    def _write(self, array: "NDArray[Any]") -> Path:
        import numpy as np

        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"value-{self.written}.npy"
        self.written += 1
        with replace_file(path, durable=False) as stream:
            np.save(stream, array, allow_pickle=False)
        return path


def _read(path: Path, number: int | None) -> "NDArray[Any]":
    """Return an array, or one slice of it, in memory of its own."""
    import numpy as np

    if number is None:
        whole: NDArray[Any] = np.load(path, allow_pickle=False)
        return whole
    part: NDArray[Any] = np.array(np.load(path, mmap_mode="r", allow_pickle=False)[number])
    return part
