"""Routes between array libraries: always one, the cheapest, on the device if it can be."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openhcs_core.constants import GPU_ONLY_MEMORY_TYPES, MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory import ArrayLayout, find_route

ALL = [kind for kind in MemoryType if kind is not MemoryType.UNKNOWN]
ON_CPU = [kind for kind in ALL if kind not in GPU_ONLY_MEMORY_TYPES]
DEVICE = [MemoryType.CUPY, MemoryType.TORCH, MemoryType.TENSORFLOW, MemoryType.JAX]
OF_PLACE = {True: ALL, False: ON_CPU}

places = st.booleans()
pairs = places.flatmap(
    lambda on_gpu: st.tuples(
        *(st.sampled_from(OF_PLACE[on_gpu]) for _ in range(3)), st.just(on_gpu)
    )
)


@given(pairs)
def test_every_pair_has_a_connected_route_and_no_detour_is_cheaper(drawn):
    source, target, third, on_gpu = drawn
    route = find_route(source, target, on_gpu=on_gpu)
    assert (route.source, route.target) == (source, target)
    assert route.types[0] is source
    assert route.types[-1] is target
    assert len(set(route.types)) == len(route.types)
    for hop, (left, right) in zip(route.hops, itertools.pairwise(route.types), strict=True):
        assert (hop.source, hop.target) == (left, right)
    if source is MemoryType.PYCLESPERANTO:  # where it pulls to is not aligned: parts do not know
        return
    detour = [
        find_route(source, third, on_gpu=on_gpu),
        find_route(third, target, on_gpu=on_gpu),
    ]
    assert route.cost_us <= sum(part.cost_us for part in detour)


@pytest.mark.parametrize("on_gpu", [True, False])
def test_the_same_type_needs_nothing(on_gpu):
    for kind in OF_PLACE[on_gpu]:
        route = find_route(kind, kind, on_gpu=on_gpu)
        assert (route.hops, route.copies, route.method) == ((), 0, "none")
        assert not route.leaves_device


@given(st.sampled_from(list(itertools.permutations(DEVICE, 2))))
def test_types_that_share_a_device_exchange_views_on_it(pair):
    route = find_route(*pair, on_gpu=True)
    assert MemoryType.NUMPY not in route.types
    assert route.copies == 0
    assert not route.leaves_device


@given(st.sampled_from(DEVICE))
def test_opencl_buffers_and_other_arrays_meet_in_host_memory_alone(kind):
    there = find_route(kind, MemoryType.PYCLESPERANTO, on_gpu=True)
    back = find_route(MemoryType.PYCLESPERANTO, kind, on_gpu=True)
    assert there.types[1:-1] == back.types[1:-1] == (MemoryType.NUMPY,)
    assert there.method == "host_copy + push_pull"
    assert there.leaves_device
    assert back.leaves_device


def test_only_what_lives_on_a_device_leaves_it():
    assert find_route("torch", "numpy", on_gpu=True).leaves_device
    assert not find_route("numpy", "torch", on_gpu=True).leaves_device
    assert not find_route("torch", "numpy", on_gpu=False).leaves_device


@pytest.mark.parametrize(
    ("source", "target", "method", "copies"),
    [
        ("numpy", "torch", "dlpack", 0),
        ("torch", "numpy", "dlpack", 0),
        ("torch", "tensorflow", "dlpack", 0),
        ("tensorflow", "torch", "dlpack", 0),
        ("jax", "numpy", "dlpack", 0),
        ("jax", "torch", "dlpack", 0),
        ("jax", "tensorflow", "dlpack", 0),
        ("numpy", "tensorflow", "dlpack", 0),
        ("tensorflow", "numpy", "memoryview", 0),
        ("numpy", "jax", "dlpack", 0),
        ("torch", "jax", "dlpack", 0),
        ("tensorflow", "jax", "dlpack", 0),
        ("numpy", "pyclesperanto", "push_pull", 1),
        ("pyclesperanto", "numpy", "push_pull", 1),
        ("pyclesperanto", "torch", "push_pull + dlpack", 1),
        ("pyclesperanto", "jax", "push_pull + dlpack", 1),
        ("pyclesperanto", "tensorflow", "push_pull + dlpack", 1),
    ],
)
def test_routes_on_the_cpu_are_the_measured_ones(source, target, method, copies):
    route = find_route(source, target, on_gpu=False)
    assert (route.method, route.copies) == (method, copies)


@pytest.mark.parametrize(
    ("source", "target", "method"),
    [
        ("cupy", "torch", "cuda_array_interface"),
        ("torch", "cupy", "cuda_array_interface"),
        ("torch", "jax", "dlpack"),
        ("tensorflow", "jax", "dlpack"),
        ("cupy", "jax", "dlpack"),
    ],
)
def test_routes_on_the_gpu_are_the_specified_ones(source, target, method):
    assert find_route(source, target, on_gpu=True).method == method


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("numpy", "cupy"), "cupy needs a GPU"),
        (("cupy", "cupy"), "cupy needs a GPU"),
        (("numpy", "unknown"), "'unknown' is unknown"),
        (("nummpy", "torch"), "'nummpy' is unknown"),
    ],
)
def test_no_route_says_why(pair, reason):
    with pytest.raises(MemoryConversionError) as caught:
        find_route(*pair, on_gpu=False)
    assert caught.value.reason == reason


def test_routes_read_as_text():
    assert find_route("numpy", "torch", on_gpu=False).describe() == (
        "numpy → torch (dlpack, no copy)"
    )
    assert find_route("pyclesperanto", "cupy", on_gpu=True).describe() == (
        "pyclesperanto → numpy → cupy (push_pull + host_copy, 2 copies, leaves the device)"
    )


UNFIT = {
    "strided": {"is_compact": False},
    "irregular": {"is_compact": False, "is_strided": False},
    "foreign": {"is_native": False},
    "unaligned": {"is_aligned": False},
    "read-only": {"is_writable": False},
}
COPIED = {
    "torch": {"irregular", "foreign", "read-only"},
    "tensorflow": set(UNFIT),
    "jax": {"strided", "irregular", "foreign", "unaligned"},
}


@pytest.mark.parametrize("target", COPIED)
def test_memory_that_a_library_cannot_take_over_is_copied(target):
    for name, change in UNFIT.items():
        route = find_route("numpy", target, on_gpu=False, layout=ArrayLayout(**change))
        assert (route.method == "host_copy") == (name in COPIED[target]), name


@pytest.mark.parametrize(
    ("source", "target", "copies"),
    [
        ("numpy", "torch", 0),
        ("torch", "numpy", 0),
        ("numpy", "jax", 1),
        ("torch", "tensorflow", 1),
        ("jax", "torch", 1),
        ("tensorflow", "torch", 1),
        ("jax", "tensorflow", 0),
        ("jax", "numpy", 0),
        ("tensorflow", "numpy", 0),
    ],
)
@pytest.mark.parametrize("on_gpu", [True, False])
def test_a_kept_array_that_must_not_change_is_not_shared_with_what_may(
    source, target, copies, on_gpu
):
    if on_gpu and "numpy" in (source, target):
        return
    route = find_route(source, target, on_gpu=on_gpu, is_kept=True)
    assert route.copies == copies
    if copies:
        assert route.method == ("device_copy" if on_gpu else "host_copy")


def test_to_and_from_a_device_goes_through_the_host():
    route = find_route("torch", "torch", on_gpu=False, to_gpu=True)
    assert route.types == ("torch", "numpy", "torch")
    assert route.method == "dlpack + host_copy"
    assert find_route("cupy", "torch", on_gpu=True, to_gpu=False).leaves_device


def test_a_type_of_value_that_the_target_lacks_is_no_route():
    assert find_route("numpy", "pyclesperanto", on_gpu=False, dtype="uint16").copies == 1
    with pytest.raises(MemoryConversionError, match="pyclesperanto has no float64"):
        find_route("numpy", "pyclesperanto", on_gpu=False, dtype="float64")
