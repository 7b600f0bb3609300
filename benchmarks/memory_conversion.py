"""Conversions between array libraries on the CPU: route, exactness, time beside one ``np.copyto``.

    python benchmarks/memory_conversion.py [--mb 64 420] [--planes 45] [--side 2048]

A cell is the time over that of ``np.copyto`` into a new array of the same size in the same run,
the least of several turns in which both alternate; microseconds below one millisecond. Handed over:
the array is not used again (``copy=False``, or a copy where the route has one); kept: the default,
which never lets anybody write to what a library holds to be unchanging. Where arraybridge is
installed (``pip install arraybridge``) it is measured on the same arrays; it may refuse a pair.
Buffers of OpenCL are compared with their library's own ``push`` and ``pull`` instead.
"""

import argparse
import gc
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.memory import (
    convert_memory,
    find_route,
    get_framework,
    installed_memory_types,
    stack_slices,
)
from openhcs_core.memory.layout import own_copy

_VIEW_S = 1e-3


def _least(turns: int, *works: Callable[[], Any]) -> list[float]:
    """Return the least time of each in seconds; they take turns.

    Each is done twice in its turn: the first after a large copy finds nothing in the caches, and
    a view would be measured by that.
    """
    least = [float("inf")] * len(works)
    for _ in range(turns):
        for number, work in ((number, work) for number, work in enumerate(works) for _ in (0, 1)):
            begin = time.perf_counter()
            result = work()
            least[number] = min(least[number], time.perf_counter() - begin)
            del result
    return least


def _ready(array: Any) -> Any:
    """Wait for jax, which works in the background."""
    return array.block_until_ready() if hasattr(array, "block_until_ready") else array


def _bridge(source: MemoryType, target: MemoryType) -> Callable[[Any], Any] | None:
    """Return arraybridge's conversion, None where it is not installed."""
    try:
        import arraybridge
    except ImportError:
        return None
    return lambda array: _ready(
        arraybridge.convert_memory(array, source.value, target.value, arraybridge.HOST)
    )


def _own(source: MemoryType, target: MemoryType, values: Any) -> Callable[[], Any]:
    """Return what a pair is compared with: a copy, or OpenCL's own transfer."""
    if MemoryType.PYCLESPERANTO not in (source, target) or source == target:
        return lambda: np.copyto(np.empty_like(values), values)
    import pyclesperanto as cle

    if target == MemoryType.PYCLESPERANTO:
        return lambda: cle.push(values)
    buffer = cle.push(values)
    return lambda: cle.pull(buffer)


def _shown(seconds: float, unit: float) -> str:
    ratio = seconds / unit
    return f"{ratio:.2f}" if seconds >= _VIEW_S else f"{seconds * 1e6:.0f} µs"


def measure_pair(
    source: MemoryType, target: MemoryType, values: Any, turns: int
) -> tuple[str, ...]:
    """Return a row of the table."""
    array = convert_memory(values, "numpy", source, copy=True)
    route = find_route(source, target, on_gpu=False)
    copy = None if route.copies else False

    def hand_over() -> Any:
        return _ready(convert_memory(array, source, target, copy=copy))

    def keep() -> Any:
        return _ready(convert_memory(array, source, target))

    back = convert_memory(hand_over(), target, "numpy")
    exact = back.dtype == values.dtype and back.tobytes() == values.tobytes()
    del back
    works = [_own(source, target, values), hand_over, keep]
    bridge = _bridge(source, target)
    theirs = "absent"
    if bridge is not None:
        try:
            bridge(array)
            works.append(lambda: bridge(array))
        except Exception as error:  # noqa: BLE001  it says no in many ways
            theirs = f"refuses ({type(error).__name__})"
    unit, *times = _least(turns, *works)
    cells = [_shown(seconds, unit) for seconds in times]
    name = f"{source} → {target}"
    method = route.method.replace("_", " ")
    return (name, method, "yes" if exact else "NO", *cells[:2], *(cells[2:] or [theirs]))


def measure_stack(kind: MemoryType, planes: Sequence[Any], turns: int) -> float:
    """Return the time of stacking planes over that of one copy (OpenCL: one push) of the stack."""
    whole = np.stack(planes)
    unit, seconds = _least(
        turns, _own(MemoryType.NUMPY, kind, whole), lambda: _ready(stack_slices(planes, kind))
    )
    return seconds / unit


def _print_pairs(kinds: Sequence[MemoryType], size_mb: int, turns: int) -> None:
    values = own_copy(np.random.default_rng(0).random((1, 1000, size_mb * 250), np.float32))
    print(f"\n{size_mb} MB of float32, the least of {turns}\n")
    header = ("pair", "route", "exact", "handed over", "kept", "arraybridge")
    print(f"| {' | '.join(header)} |\n|{' --- |' * len(header)}")
    for source, target in itertools.product(kinds, repeat=2):
        print(f"| {' | '.join(measure_pair(source, target, values, turns))} |", flush=True)
        gc.collect()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=int, nargs="*", default=[64, 420])
    parser.add_argument("--planes", type=int, default=45)
    parser.add_argument("--side", type=int, default=2048, help="pixels of a plane's side")
    parser.add_argument("--turns", type=int, default=7)
    options = parser.parse_args()
    installed = [kind for kind in installed_memory_types() if kind not in GPU_ONLY_MEMORY_TYPES]
    kinds = [kind for kind in MemoryType if kind in installed]
    if MemoryType.PYCLESPERANTO in kinds:  # PoCL ends a process that loaded tensorflow before
        get_framework(MemoryType.PYCLESPERANTO).prepare()
    print(f"memory types here: {', '.join(kinds)}")
    for size_mb in options.mb:
        _print_pairs(kinds, size_mb, options.turns)
    shape = (options.planes, options.side, options.side)
    planes = list(np.random.default_rng(0).integers(0, 2**16, shape, np.uint16))
    print(f"\n{options.planes} planes of {options.side}² uint16 to a stack, over one copy of it:")
    for kind in kinds:
        print(f"{kind}: {measure_stack(kind, planes, options.turns):.2f}", flush=True)


if __name__ == "__main__":
    main()
