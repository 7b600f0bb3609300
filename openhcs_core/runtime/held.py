"""Images that steps of one job hand to each other in memory."""

from typing import TYPE_CHECKING, Any

from openhcs_core.plan import HELD_BYTES

if TYPE_CHECKING:
    from numpy.typing import NDArray


class HeldStacks:
    """Stacks of one well that the next step of the same job reads, up to a limit.

    All of them are in the cache as well: what exceeds the limit is read from there.

    Parameters
    ----------
    steps : frozenset of str
        The steps that the job does, whose functions this process can run.
    limit_bytes : int
        Of all stacks together.
    """

    def __init__(self, steps: frozenset[str], limit_bytes: int = HELD_BYTES) -> None:
        self.steps = steps
        self._limit_bytes = limit_bytes
        self._read: dict[str, NDArray[Any]] = {}
        self._made: dict[str, NDArray[Any]] = {}

    def put(self, digest: str, stack: "NDArray[Any]") -> None:
        """Hold a stack, which nobody may write to from now on, if there is room for it."""
        if self._held_bytes + stack.nbytes <= self._limit_bytes:
            stack.flags.writeable = False
            self._made[digest] = stack

    def get(self, digest: str) -> "NDArray[Any] | None":
        """Return a stack, None when it is not held."""
        return self._read.get(digest)

    def hand_on(self) -> None:
        """Begin the next step: it reads what the last one made; what that one read is dropped."""
        self._read, self._made = self._made, {}

    @property
    def _held_bytes(self) -> int:
        return sum(stack.nbytes for held in (self._read, self._made) for stack in held.values())
