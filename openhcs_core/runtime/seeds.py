"""Random numbers that are the same whenever a call is repeated."""

import random
from collections.abc import Sequence

from openhcs_core.plan import digest_text
from openhcs_core.planes import PlaneKey

SEED_PARAMETER = "seed"
"""A function's parameter of this name gets the seed of the call where it would be None."""

_WORD_BITS, _WORDS = 32, 4


def call_seed(plan_digest: str, number: int, keys: Sequence[PlaneKey]) -> int:
    """Return the seed of one call, 128 bits.

    The plate's name and folder, the order of calls and the process do not count: a call that is
    repeated elsewhere, or to fill the cache again, draws the same numbers.

    Parameters
    ----------
    plan_digest : str
        Of the step's plan, for this well.
    number : int
        Position of the function in its chain, from 1.
    keys : sequence of PlaneKey
        The planes of the call; they name the well.
    """
    planes = "\n".join(key.filename for key in keys)
    return int(digest_text(f"{plan_digest}\n{number}\n{planes}"), 16)


def seed_generators(seed: int) -> None:
    """Seed Python's and numpy's global generators (about 40 µs).

    What they were is not put back: nothing of this software draws from them.
    """
    import numpy as np

    random.seed(seed)
    words = [seed >> _WORD_BITS * word & 2**_WORD_BITS - 1 for word in range(_WORDS)]
    np.random.seed(words)


def seed_parameter(seed: int) -> int:
    """Return what :data:`SEED_PARAMETER` gets: 32 bits, which every generator takes."""
    return int(seed % 2**_WORD_BITS)
