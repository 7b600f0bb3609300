"""Convert arrays between libraries: plan the route from what the array is, then follow it."""

import logging
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import MemoryType
from openhcs_core.errors import MemoryConversionError
from openhcs_core.memory.casting import cast_array
from openhcs_core.memory.detection import describe_unknown, detect_memory_type
from openhcs_core.memory.frameworks import Framework, get_framework, remedy_for
from openhcs_core.memory.layout import ArrayFacts, own_copy
from openhcs_core.memory.routes import (
    ConversionHop,
    ConversionMethod,
    ConversionRoute,
    find_route,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_LIBRARY_ERRORS = (RuntimeError, TypeError, ValueError, BufferError, ImportError, AttributeError)
"""What libraries raise when they refuse an array. Running out of memory is not among them, but for
libraries whose error for it is a RuntimeError: it is the cause of ours."""

_NUMPY, _OPENCL = MemoryType.NUMPY, MemoryType.PYCLESPERANTO


def convert_memory(
    data: Any,
    source_type: str,
    target_type: str,
    gpu_id: int | None = None,
    *,
    allow_cpu_roundtrip: bool = False,
    copy: bool | None = None,
    dtype: str | None = None,
) -> Any:
    """Return `data` as an array of another library: same shape, values and type of value.

    Parameters
    ----------
    data : array
        Of `source_type`.
    source_type, target_type : str
        :class:`~openhcs_core.constants.MemoryType` values.
    gpu_id : int, optional
        The device of the result. By default that of `data`, or host memory.
    allow_cpu_roundtrip : bool
        Whether an array on a GPU may go through host memory to another library on a GPU.
    copy : bool, optional
        By default memory is shared where no library's rules are broken by it: numpy, torch and
        cupy, which may all write, share theirs; an unchanging array (jax, tensorflow) and a
        read-only one never lie on memory that somebody may write to, and numpy's view of one is
        read-only. True: the result has memory of its own. False: `data` is handed over, will
        not be used again, and is not copied.
    dtype : str, optional
        Cast to this type of value, on the host, by the rules of ``output_dtype``.

    Returns
    -------
    array
        Of `target_type`.

    Raises
    ------
    MemoryConversionError
        `data` is something else; there is no such device or type of value in the target
        library; a library refused; or a copy would be needed that was not allowed.
    """
    source, target = get_framework(source_type), get_framework(target_type)
    facts = _describe(data, source, target_type)
    if dtype is not None and dtype != facts.dtype:
        _check_leaving(source_type, target_type, facts, "cast", allowed=allow_cpu_roundtrip)
        host = _cast(source, data, dtype, target_type)
        gpu_id = gpu_id if gpu_id is not None or target_type == _NUMPY else facts.gpu_id
        return convert_memory(host, _NUMPY, target_type, gpu_id, copy=copy or None)
    route = plan_conversion(facts, source_type, target_type, gpu_id, is_kept=copy is not False)
    if copy is False and route.copies:
        reason = "it has to be copied, which copy=False forbids"
        raise MemoryConversionError(source_type, target_type, route.method, reason)
    if route.leaves_device:
        _check_leaving(source_type, target_type, facts, route.method, allowed=allow_cpu_roundtrip)
    device = facts.gpu_id if gpu_id is None and target_type != _OPENCL else gpu_id
    _check_device(target, source_type, device)
    try:
        return _follow(route, data, facts, device, own=copy is True)
    except _LIBRARY_ERRORS as error:
        if isinstance(error, MemoryConversionError):
            raise
        if not (allow_cpu_roundtrip and facts.gpu_id is not None and _is_direct(route)):
            raise _failed(source_type, target_type, route.method, error) from error
        logger.info("%s → %s through host memory: %s", source_type, target_type, error)
        return _through_host(source, target, data, device)


def plan_conversion(
    facts: ArrayFacts,
    source_type: str,
    target_type: str,
    gpu_id: int | None = None,
    *,
    is_kept: bool = True,
) -> ConversionRoute:
    """Return the route of one array.

    Parameters
    ----------
    facts : ArrayFacts
        What the array is.
    source_type, target_type : str
        :class:`~openhcs_core.constants.MemoryType` values.
    gpu_id : int, optional
        The device of the result; by default that of the array.
    is_kept : bool
        The array stays in use (:func:`~openhcs_core.memory.find_route`).

    Raises
    ------
    MemoryConversionError
        See :func:`~openhcs_core.memory.find_route`.
    """
    to = facts.gpu_id if gpu_id is None else gpu_id
    route = find_route(
        source_type,
        target_type,
        on_gpu=facts.gpu_id is not None,
        to_gpu=to is not None,
        dtype=facts.dtype,
        layout=facts.layout,
        is_kept=is_kept,
    )
    if facts.gpu_id is None or to in (None, facts.gpu_id) or target_type == _NUMPY:
        return route
    away = find_route(source_type, _NUMPY, on_gpu=True)  # to another device: through the host
    back = find_route(_NUMPY, target_type, on_gpu=True)
    return route.model_copy(update={"hops": (*away.hops, *back.hops)})


def _describe(data: Any, source: Framework, target_type: str) -> ArrayFacts:
    found = detect_memory_type(data)
    if found is MemoryType.UNKNOWN:
        raise MemoryConversionError(found, target_type, "detection", describe_unknown(data))
    if found != source.memory_type:
        reason = f"the array is of {found}"
        raise MemoryConversionError(source.memory_type, target_type, "detection", reason)
    try:
        return source.describe(data)
    except TypeError as error:
        raise MemoryConversionError(found, target_type, "describing it", str(error)) from error


def _check_leaving(
    source_type: str, target_type: str, facts: ArrayFacts, method: str, *, allowed: bool
) -> None:
    """Refuse a way from device to device through the host that nobody allowed."""
    if facts.gpu_id is None or allowed or _NUMPY in (source_type, target_type):
        return
    raise MemoryConversionError(
        source_type,
        target_type,
        method,
        f"it would leave GPU {facts.gpu_id} for host memory and come back; "
        "allow_cpu_roundtrip=True lets it",
    )


def _check_device(target: Framework, source_type: str, gpu_id: int | None) -> None:
    if target.memory_type == _NUMPY:
        return
    try:
        target.check_device(gpu_id)
    except ImportError as error:
        raise _failed(source_type, target.memory_type, "import", error) from error


def _cast(source: Framework, data: Any, dtype: str, target_type: str) -> "NDArray[Any]":
    try:
        return cast_array(source.to_numpy(data), dtype)
    except ValueError as error:
        raise MemoryConversionError(
            source.memory_type, target_type, f"cast to {dtype}", str(error)
        ) from error


def _follow(
    route: ConversionRoute, data: Any, facts: ArrayFacts, gpu_id: int | None, *, own: bool
) -> Any:
    """Make every hop, and a copy at the end where none was made and one is wanted."""
    for hop, after in zip_longest(route.hops, route.hops[1:]):
        if hop.method is ConversionMethod.PUSH_PULL and _needs_alignment(after):
            data = get_framework(hop.source).to_shareable(data)
        else:
            data = _make(hop, data, gpu_id)
    if not own or route.copies:
        return data
    target = get_framework(route.target)
    if facts.gpu_id is not None and route.target != _NUMPY:
        return target.compacted(data)
    return target.from_numpy(own_copy(target.to_numpy(data)), gpu_id)


def _needs_alignment(hop: ConversionHop | None) -> bool:
    """Return whether a hop takes memory over, and not from anywhere."""
    return (
        hop is not None and not hop.method.copies and not get_framework(hop.target).shares_unaligned
    )


def _make(hop: ConversionHop, data: Any, gpu_id: int | None) -> Any:
    source, target = get_framework(hop.source), get_framework(hop.target)
    if hop.target is _NUMPY:
        return source.to_numpy(data)
    if hop.method is ConversionMethod.DEVICE_COPY:
        return target.from_library(source.compacted(data))
    if hop.source is _NUMPY:
        is_copy = hop.method is ConversionMethod.HOST_COPY and gpu_id is None
        return target.from_numpy(own_copy(data) if is_copy else data, gpu_id)
    if hop.method is ConversionMethod.HOST_COPY:
        return target.from_numpy(own_copy(source.to_numpy(data)), gpu_id)
    return target.from_library(data)


def _is_direct(route: ConversionRoute) -> bool:
    return bool(route.hops) and _NUMPY not in route.types


def _through_host(source: Framework, target: Framework, data: Any, gpu_id: int | None) -> Any:
    try:
        return target.from_numpy(source.to_numpy(data), gpu_id)
    except _LIBRARY_ERRORS as error:
        if isinstance(error, MemoryConversionError):
            raise
        method = ConversionMethod.HOST_COPY
        raise _failed(source.memory_type, target.memory_type, method, error) from error


def _failed(
    source_type: str, target_type: str, method: str, error: Exception
) -> MemoryConversionError:
    reason = f"{type(error).__name__}: {error}"
    if isinstance(error, ImportError):
        reason += f"; {remedy_for(target_type)}"
    return MemoryConversionError(str(source_type), str(target_type), str(method), reason)
