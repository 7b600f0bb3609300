"""Images in memory: for steps of one job, and from job to job in a process that does several."""

from collections import OrderedDict
from dataclasses import dataclass, field
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
        if not self.has_room(stack.nbytes):
            return False
        stack.flags.writeable = False
        self._made[digest] = stack
        return True

    def has_room(self, size_bytes: int) -> bool:
        """Return whether a stack of this size can be held."""
        return self._held_bytes + size_bytes <= self._limit_bytes

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


@dataclass
class HeldCounts:
    """What was read of earlier steps.

    Attributes
    ----------
    held, others : int
        Planes that were in memory, and that were not.
    held_bytes : int
        Size of the first: what was not read from disks.
    """

    held: int = 0
    others: int = 0
    held_bytes: int = 0


@dataclass
class RecentStacks:
    """The stacks that a process has made lately, from job to job; those used longest ago go first.

    All of them are written as well.

    Attributes
    ----------
    limit_bytes : int
        Of all stacks together.
    counts : HeldCounts
        What was read.
    held_bytes : int
        Size of all stacks.
    """

    limit_bytes: int
    counts: HeldCounts = field(default_factory=HeldCounts)
    held_bytes: int = 0
    _stacks: "OrderedDict[str, NDArray[Any]]" = field(default_factory=OrderedDict)

    def put(self, digest: str, stack: "NDArray[Any]") -> None:
        """Hold a stack, which nobody may write to from now on."""
        if stack.nbytes > self.limit_bytes or digest in self._stacks:
            return
        stack.flags.writeable = False
        self._stacks[digest] = stack
        self.held_bytes += stack.nbytes
        while self.held_bytes > self.limit_bytes:
            _, oldest = self._stacks.popitem(last=False)
            self.held_bytes -= oldest.nbytes

    def get(self, digest: str) -> "NDArray[Any] | None":
        """Return a stack of which one plane is read, None when it is not held."""
        stack = self._stacks.get(digest)
        if stack is None:
            self.counts.others += 1
            return None
        self._stacks.move_to_end(digest)
        self.counts.held += 1
        self.counts.held_bytes += stack.nbytes // len(stack)
        return stack
