"""Images that steps of one job hand to each other in memory."""

from typing import TYPE_CHECKING, Any

from openhcs_core.plan import HELD_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class HeldStacks:
    """Stacks of one well in memory, up to a limit: what exceeds it is written and read.

    Parameters
    ----------
    steps : frozenset of str
        The steps that the job does, whose functions this process can run.
    limit_bytes : int
        Of all stacks together.

    Attributes
    ----------
    is_read_here : bool
        Only the next step of the same job reads what is put here.
    """

    def __init__(self, steps: frozenset[str] = frozenset(), limit_bytes: int = HELD_BYTES) -> None:
        self.steps = steps
        self.is_read_here = True
        self._limit_bytes = limit_bytes
        self._read: dict[str, NDArray[Any]] = {}
        self._made: dict[str, NDArray[Any]] = {}

    def put(self, digest: str, stack: "NDArray[Any]") -> bool:
        """Hold a stack, which nobody may write to from now on; return whether there is room."""
        if self._held_bytes + stack.nbytes > self._limit_bytes:
            return False
        stack.flags.writeable = False
        self._made[digest] = stack
        return True

    def get(self, digest: str) -> "NDArray[Any] | None":
        """Return a stack, None when it is not held."""
        found = self._read.get(digest)
        return self._made.get(digest) if found is None else found

    def hand_on(self) -> None:
        """Begin the next step: it reads what the last one made; what that one read is dropped."""
        self._read, self._made = self._made, {}

    @property
    def _held_bytes(self) -> int:
        return sum(stack.nbytes for held in (self._read, self._made) for stack in held.values())
