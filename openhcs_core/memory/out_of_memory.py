"""Each library says in its own way that memory ran out; here it is told from other errors."""

import errno
from collections.abc import Iterator

from openhcs_core.memory.frameworks import discover_frameworks, get_framework


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out, on the host or on a device.

    Parameters
    ----------
    error : BaseException
        What was raised. What it was raised from counts too (``raise … from error``).
    """
    loaded = [get_framework(name) for name in discover_frameworks()]
    loaded = [framework for framework in loaded if framework.is_loaded]
    return any(
        isinstance(one, MemoryError)
        or (isinstance(one, OSError) and one.errno == errno.ENOMEM)  # a file that cannot be mapped
        or any(framework.is_out_of_memory(one) for framework in loaded)
        for one in _causes(error)
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        seen.append(error)
        yield error
        error = error.__cause__
