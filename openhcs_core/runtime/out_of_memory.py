"""When memory runs out in a function: free caches and call it again, in parts, or on the CPU."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from openhcs_core.config import FrozenModel
from openhcs_core.errors import MemoryConversionError, OutOfMemoryError
from openhcs_core.memory import cleanup_all_gpu_frameworks, is_out_of_memory
from openhcs_core.planes import PlaneKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

R = TypeVar("R")
Stage = Literal["freed_caches", "oom_split", "oom_cpu"]

logger = logging.getLogger(__name__)

_SAID = {
    "freed_caches": "caches are freed and it is called again",
    "oom_split": "it is called with fewer slices at a time",
    "oom_cpu": "it is called on the CPU",
}


class FallbackUse(FrozenModel):
    """One thing that was done because memory had run out.

    Attributes
    ----------
    function : str
        Its reference.
    stage : str
        What was done.
    slices : int
        How many slices the function was called with that had no room.
    reason : str
        The library's message.
    """

    function: str
    stage: Stage
    slices: int
    reason: str


def no_note(use: FallbackUse) -> None:
    """Note nothing."""


@dataclass(frozen=True)
class Recovery:
    """What may be done for one function.

    Attributes
    ----------
    function : str
        Its reference.
    may_retry : bool
        It may be called again at all.
    may_split : bool
        It treats each slice alone, so that it may be called with fewer.
    may_use_cpu : bool
        It runs on a GPU and can on the CPU.
    note : callable
        Is told what was done.
    advice : str
        What could be done that may not, for the message when all failed.
    """

    function: str
    may_retry: bool = False
    may_split: bool = False
    may_use_cpu: bool = False
    note: Callable[[FallbackUse], None] = field(default=no_note)
    advice: str = ""


@contextmanager
def naming_out_of_memory(who: str) -> Iterator[None]:
    """Raise :class:`OutOfMemoryError` when memory runs out in the block, whatever the library."""
    try:
        yield
    except OutOfMemoryError:
        raise
    except (MemoryError, MemoryConversionError, RuntimeError, OSError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemoryError(f"{who} ran out of memory: {first_line(error)}") from error


def first_line(error: BaseException) -> str:
    """Return the first line of an error's text, or its type where it has none."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


@dataclass(frozen=True)
class _Attempts(Generic[R]):
    """Calls of one function on one stack of planes."""

    call: Callable[[Sequence["NDArray[Any]"], tuple[PlaneKey, ...], bool], R]
    recovery: Recovery

    def run(self, planes: Sequence["NDArray[Any]"], keys: tuple[PlaneKey, ...]) -> list[R]:
        reason = ""
        try:
            return [self.call(planes, keys, False)]
        except OutOfMemoryError as error:
            if not self.recovery.may_retry:
                raise _advised(error, self.recovery.advice) from error
            reason = str(error)
        # out of the block above the error is gone, and with it the arrays of its frames
        self._note("freed_caches", len(planes), reason)
        cleanup_all_gpu_frameworks()
        return self._with_less(planes, keys)

    def _with_less(self, planes: Sequence["NDArray[Any]"], keys: tuple[PlaneKey, ...]) -> list[R]:
        reason = ""
        try:
            return [self.call(planes, keys, False)]
        except OutOfMemoryError as error:
            can_split = self.recovery.may_split and len(planes) > 1
            if not (can_split or self.recovery.may_use_cpu):
                raise _advised(error, self.recovery.advice) from error
            reason = str(error)
        cleanup_all_gpu_frameworks()
        if can_split:
            self._note("oom_split", len(planes), reason)
            half = len(planes) // 2
            results = self._with_less(planes[:half], keys[:half])
            return results + self._with_less(planes[half:], keys[half:])
        self._note("oom_cpu", len(planes), reason)
        return [self.call(planes, keys, True)]

    def _note(self, stage: Stage, slices: int, reason: str) -> None:
        logger.warning("%s (%d slices): %s", reason, slices, _SAID[stage])
        self.recovery.note(
            FallbackUse(function=self.recovery.function, stage=stage, slices=slices, reason=reason)
        )


def run_recovering(
    call: Callable[[Sequence["NDArray[Any]"], tuple[PlaneKey, ...], bool], R],
    planes: Sequence["NDArray[Any]"],
    keys: tuple[PlaneKey, ...],
    recovery: Recovery,
) -> list[R]:
    """Call a function on a stack of planes, and do what may be done when memory runs out.

    Parameters
    ----------
    call : callable
        Takes planes, their keys and whether to stay on the CPU; raises
        :class:`OutOfMemoryError`. It must be able to do so again with the same planes.
    planes : sequence of ndarray, shape (Y, X)
        The stack.
    keys : tuple of PlaneKey
        Their components.
    recovery : Recovery
        What may be done.

    Returns
    -------
    list
        What the calls returned, in the order of the planes: one, or one a part.

    Raises
    ------
    OutOfMemoryError
        Memory ran out after all that.
    """
    return _Attempts(call, recovery).run(planes, keys)


def _advised(error: OutOfMemoryError, advice: str) -> OutOfMemoryError:
    return OutOfMemoryError(f"{error}; {advice}" if advice else str(error))
