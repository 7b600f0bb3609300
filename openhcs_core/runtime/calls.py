"""Run a chain of functions on one stack: slices in, slices and special outputs out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openhcs_core.constants import Component, MemoryType
from openhcs_core.errors import OutOfMemoryError, StepFunctionError
from openhcs_core.memory import (
    cast_array,
    get_framework,
    is_out_of_memory,
    stack_slices,
    unstack_slices,
)
from openhcs_core.plan import FunctionPlan, SpecialInputPlan, SpecialOutputPlan
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.means import Means, libraries_of
from openhcs_core.runtime.out_of_memory import first_line, naming_out_of_memory, run_recovering
from openhcs_core.runtime.seeds import SEED_PARAMETER, call_seed, seed_generators, seed_parameter
from openhcs_core.runtime.special_inputs import SpecialSource, choose_value, copied, no_specials
from openhcs_core.runtime.special_io import StoredValue
from openhcs_core.runtime.stacks import find_stack

if TYPE_CHECKING:
    from numpy.typing import NDArray

FunctionLoader = Callable[[str], Callable[..., Any]]
ALONE = Means()
"""No GPU, no fallbacks."""


@dataclass(frozen=True)
class SpecialValue:
    """A special output of one call.

    Attributes
    ----------
    output : SpecialOutputPlan
        Its name and how to write it.
    keys : tuple of PlaneKey
        The slices it belongs to: one, or all of the stack when the function took it whole.
    value : object
        As the function returned it.
    """

    output: SpecialOutputPlan
    keys: tuple[PlaneKey, ...]
    value: Any


@dataclass(frozen=True)
class ChainResult:
    """What a chain gives: planes with their keys, and special outputs in call order."""

    keys: tuple[PlaneKey, ...]
    planes: tuple["NDArray[Any]", ...]
    specials: tuple[SpecialValue, ...]


def run_chain(
    planes: Sequence["NDArray[Any]"],
    keys: Sequence[PlaneKey],
    functions: Sequence[FunctionPlan],
    load: FunctionLoader,
    who: str,
    projected_to: Mapping[Component, str],
    special_source: SpecialSource = no_specials,
    plan_digest: str = "",
    *,
    may_take: bool = False,
    means: Means = ALONE,
) -> ChainResult:
    """Run functions one after another on a stack of planes.

    Parameters
    ----------
    planes : sequence of ndarray, shape (Y, X)
        One group, in stack order. Never written to, but see `may_take`.
    keys : sequence of PlaneKey
        Their components.
    load : callable
        Gives the function of a reference.
    who : str
        Step and well, for messages.
    projected_to : mapping of Component to str
        What the result of a projection is called.
    special_source : callable
        Gives the special outputs of earlier steps.
    plan_digest : str
        What random numbers depend on, besides the planes and the function's position.
    may_take : bool
        Nobody reads the planes again: where they are the slices of one array, the first function
        gets that array instead of a copy.
    means : Means
        The job's devices, and what may be done when memory runs out.

    Raises
    ------
    StepFunctionError
        A function raised, lacks a special input, or returned something else than it declares.
    OutOfMemoryError
        Memory ran out in a function, after all that may be done.
    """
    start = at = tuple(keys)
    # kept for functions after a chain breaker only: a group of planes may be large
    first = planes if any(function.chain_breaker for function in functions[:-1]) else ()
    whole = find_stack(planes) if may_take and not first else None
    specials: list[SpecialValue] = []
    is_projected = False
    for number, function in enumerate(functions, start=1):
        values = _Specials(start if is_projected else None, tuple(specials), special_source)
        who_calls = f"{who}: {function.ref}"
        call = _Call(function, load(function.ref), who_calls, values, plan_digest, number, means)
        slices = (
            call.run_slices(planes, at)
            if function.slice_by_slice
            else call.run_stack(planes, at, whole)
        )
        whole = None
        planes = [plane for result in slices for plane in result.planes]
        specials += [special for result in slices for special in result.specials]
        at = _keys_after(at, planes, call, projected_to)
        is_projected |= function.collapses
        if function.chain_breaker and number < len(functions):
            planes, at, is_projected = first, start, False
    return ChainResult(at, tuple(planes), tuple(specials))


@dataclass(frozen=True)
class _Specials:
    """Where the special inputs of one function come from.

    Attributes
    ----------
    projected : tuple of PlaneKey or None
        What the image is a projection of, None when it is none.
    before : tuple of SpecialValue
        Values of earlier functions of the chain.
    source : callable
        Values of earlier steps.
    """

    projected: tuple[PlaneKey, ...] | None
    before: tuple[SpecialValue, ...]
    source: SpecialSource

    def inputs(
        self, function: FunctionPlan, keys: tuple[PlaneKey, ...], who: str
    ) -> dict[str, Any]:
        """Return the special inputs of a call that gets the planes `keys`."""
        planes = self.projected or keys
        return {
            special.name: choose_value(special, planes, self._values(special, who), who)
            for special in function.special_inputs
        }

    def _values(self, special: SpecialInputPlan, who: str) -> Sequence[StoredValue]:
        if special.step is not None:
            return self.source(special)
        return [
            copied(value.keys, value.value, f"{who}: special input {special.name!r}")
            for value in self.before
            if value.output.name == special.name
        ]


@dataclass(frozen=True)
class _Call:
    """One function with what messages need."""

    plan: FunctionPlan
    function: Callable[..., Any]
    who: str
    specials: _Specials
    plan_digest: str
    number: int
    means: Means

    def run_slices(
        self, planes: Sequence["NDArray[Any]"], keys: Sequence[PlaneKey]
    ) -> list[ChainResult]:
        """Call the function once a slice, as ``[1, Y, X]``, or ``[Y, X]`` for library functions."""
        results = []
        for plane, key in zip(planes, keys, strict=True):
            (result,) = self.run_stack([plane], (key,))
            if len(result.planes) != 1:
                raise StepFunctionError(
                    f"{self.who} returned {len(result.planes)} slices for one; expected one"
                )
            results.append(result)
        return results

    def run_stack(
        self,
        planes: Sequence["NDArray[Any]"],
        keys: tuple[PlaneKey, ...],
        whole: "NDArray[Any] | None" = None,
    ) -> list[ChainResult]:
        """Call the function with a stack; more than once where memory runs out and it may.

        Parameters
        ----------
        whole : ndarray, shape (Z, Y, X), optional
            What `planes` are the slices of. It is given to a function that is not called again,
            which may write to it, and to those of libraries, which do not.
        """
        recovery = self.means.recovery(self.plan, self.function)
        is_library = getattr(self.function, "oom_recovery", None) is None
        takes = self.plan.input_memory_type == MemoryType.NUMPY
        given = whole if takes and (is_library or not recovery.may_retry) else None

        def call(
            part: Sequence["NDArray[Any]"],
            part_keys: tuple[PlaneKey, ...],
            on_cpu: bool,  # noqa: FBT001  of a callback
        ) -> ChainResult:
            with (
                naming_out_of_memory(self.who),
                self.means.on_devices(self.plan, on_cpu=on_cpu),
            ):
                stack = self._stack(part, on_cpu=on_cpu) if given is None else given
                return self.run(stack, part_keys)

        return run_recovering(call, planes, keys, recovery)

    def _stack(self, planes: Sequence["NDArray[Any]"], *, on_cpu: bool) -> Any:
        kind = self.plan.input_memory_type
        stack = stack_slices(planes, kind, self.means.gpu_id(kind, on_cpu=on_cpu), who=self.who)
        return stack[0] if self.plan.slice_by_slice and self.plan.as_2d else stack

    def run(self, stack: Any, keys: tuple[PlaneKey, ...]) -> ChainResult:
        """Call the function once and take its result apart."""
        image, values = self._split(self._call(stack, keys))
        if self.plan.as_2d and getattr(image, "ndim", None) == 2:
            image = image[None]
        specials = tuple(
            SpecialValue(output, keys, value)
            for output, value in zip(self.plan.special_outputs, values, strict=True)
        )
        return ChainResult(keys, tuple(unstack_slices(image, who=self.who)), specials)

    def _call(self, stack: Any, keys: tuple[PlaneKey, ...]) -> Any:
        special_inputs = self.specials.inputs(self.plan, keys, self.who)
        parameters = seeded_parameters(self.plan, call_seed(self.plan_digest, self.number, keys))
        with reporting(self.who):
            return self.function(stack, **parameters, **special_inputs)

    def _split(self, result: Any) -> tuple[Any, Sequence[Any]]:
        """Part a result into the image and the declared special outputs."""
        declared = self.plan.special_outputs
        if not declared:
            return result, ()
        if not isinstance(result, tuple) or len(result) != 1 + len(declared):
            found = f"{len(result)} values" if isinstance(result, tuple) else type(result).__name__
            names = ", ".join(output.name for output in declared)
            raise StepFunctionError(f"{self.who} returned {found}; expected (image, {names})")
        return result[0], result[1:]


def seeded_parameters(function: FunctionPlan, seed: int) -> dict[str, Any]:
    """Seed every generator that a call may draw from; return the call's parameters."""
    parameters: dict[str, Any] = dict(function.parameters)
    if SEED_PARAMETER in parameters and parameters[SEED_PARAMETER] is None:
        parameters[SEED_PARAMETER] = seed_parameter(seed)
    seed_generators(seed)
    for kind in libraries_of(function):
        get_framework(kind).seed(seed)
    return parameters


@contextmanager
def reporting(who: str) -> Iterator[None]:
    """Pass on what a function raises as an error of ours that says who raised it."""
    try:
        yield
    except Exception as error:
        # a step's function may raise anything; it is passed on with its cause
        if is_out_of_memory(error):
            raise OutOfMemoryError(f"{who} ran out of memory: {first_line(error)}") from error
        raise StepFunctionError(f"{who} raised {type(error).__name__}: {error}") from error


def _keys_after(
    keys: tuple[PlaneKey, ...],
    planes: Sequence["NDArray[Any]"],
    call: _Call,
    projected_to: Mapping[Component, str],
) -> tuple[PlaneKey, ...]:
    """Return the key of a projection's result; all keys for everything else."""
    expected = (_projected(keys[0], projected_to),) if call.plan.collapses else keys
    if len(planes) != len(expected):
        raise StepFunctionError(
            f"{call.who} returned {len(planes)} slices for {len(keys)}; expected {len(expected)}"
        )
    return expected


def _projected(key: PlaneKey, projected_to: Mapping[Component, str]) -> PlaneKey:
    kinds = PlaneKey.__annotations__
    return key._replace(
        **{part.value: kinds[part.value](value) for part, value in projected_to.items()}
    )


def cast_planes(
    planes: Sequence["NDArray[Any]"], dtype: str | None, who: str
) -> list["NDArray[Any]"]:
    """Cast planes where the step asks for it.

    Floats become integers by rounding to the nearest, and floats of less precision by
    rounding too; infinities and NaN stay what they are in floating types.

    Raises
    ------
    StepFunctionError
        A value is out of range, or an integer would lose digits in a floating type.
    """
    if dtype is None:
        return list(planes)
    return [_cast(plane, dtype, who) for plane in planes]


def _cast(plane: "NDArray[Any]", dtype: str, who: str) -> "NDArray[Any]":
    try:
        return cast_array(plane, dtype)
    except ValueError as error:
        raise StepFunctionError(
            f"{who}: values {plane.min()}…{plane.max()} do not fit output_dtype {dtype}; "
            "rescale in the step, or choose another dtype"
        ) from error
