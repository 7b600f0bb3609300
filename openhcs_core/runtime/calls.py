"""Run a chain of functions on one stack: slices in, slices and special outputs out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import OutOfMemoryError, StepFunctionError
from openhcs_core.memory import stack_slices, unstack_slices
from openhcs_core.plan import FunctionPlan, SpecialOutputPlan
from openhcs_core.planes import PlaneKey

if TYPE_CHECKING:
    from numpy.typing import NDArray

FunctionLoader = Callable[[str], Callable[..., Any]]


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
) -> ChainResult:
    """Run functions one after another on a stack of planes.

    Parameters
    ----------
    planes : sequence of ndarray, shape (Y, X)
        One group, in stack order. Never written to.
    keys : sequence of PlaneKey
        Their components.
    load : callable
        Gives the function of a reference.
    who : str
        Step and well, for messages.

    Raises
    ------
    StepFunctionError
        A function raised, or returned something else than it declares.
    OutOfMemoryError
        Memory ran out in a function.
    """
    at, specials = tuple(keys), []
    for function in functions:
        call = _Call(function, load(function.ref), f"{who}: {function.ref}")
        slices = (
            call.run_slices(planes, at)
            if function.slice_by_slice
            else [call.run(stack_slices(planes, function.input_memory_type, who), at)]
        )
        planes = [plane for result in slices for plane in result.planes]
        specials += [special for result in slices for special in result.specials]
        at = _keys_after(at, planes, call)
    return ChainResult(at, tuple(planes), tuple(specials))


@dataclass(frozen=True)
class _Call:
    """One function with what messages need."""

    plan: FunctionPlan
    function: Callable[..., Any]
    who: str

    def run_slices(
        self, planes: Sequence["NDArray[Any]"], keys: Sequence[PlaneKey]
    ) -> list[ChainResult]:
        """Call the function once a slice, as ``[1, Y, X]``, or ``[Y, X]`` for library functions."""
        results = []
        for plane, key in zip(planes, keys, strict=True):
            stack = stack_slices([plane], self.plan.input_memory_type, self.who)
            result = self.run(stack[0] if self.plan.as_2d else stack, (key,))
            if len(result.planes) != 1:
                raise StepFunctionError(
                    f"{self.who} returned {len(result.planes)} slices for one; expected one"
                )
            results.append(result)
        return results

    def run(self, stack: Any, keys: tuple[PlaneKey, ...]) -> ChainResult:
        """Call the function once and take its result apart."""
        image, values = self._split(self._call(stack))
        if self.plan.as_2d and getattr(image, "ndim", None) == 2:
            image = image[None]
        specials = tuple(
            SpecialValue(output, keys, value)
            for output, value in zip(self.plan.special_outputs, values, strict=True)
        )
        return ChainResult(keys, tuple(unstack_slices(image, self.who)), specials)

    def _call(self, stack: Any) -> Any:
        try:
            return self.function(stack, **self.plan.parameters)
        except MemoryError as error:
            raise OutOfMemoryError(f"{self.who} ran out of memory: {error}") from error
        except Exception as error:
            # a step's function may raise anything; it is passed on with its cause
            raise StepFunctionError(f"{self.who} raised {type(error).__name__}: {error}") from error

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


def _keys_after(
    keys: tuple[PlaneKey, ...], planes: Sequence["NDArray[Any]"], call: _Call
) -> tuple[PlaneKey, ...]:
    """Return a projection's first key; all keys for everything else."""
    expected = keys[:1] if call.plan.collapses else keys
    if len(planes) != len(expected):
        raise StepFunctionError(
            f"{call.who} returned {len(planes)} slices for {len(keys)}; expected {len(expected)}"
        )
    return expected


def cast_planes(
    planes: Sequence["NDArray[Any]"], dtype: str | None, who: str
) -> list["NDArray[Any]"]:
    """Cast planes where the step asks for it; floats are rounded to the nearest integer.

    Raises
    ------
    StepFunctionError
        A value does not fit.
    """
    import numpy as np

    if dtype is None:
        return list(planes)
    target = np.dtype(dtype)
    cast = []
    for plane in planes:
        if target.kind in "iu" and plane.size:
            low, high = plane.min(), plane.max()
            limits = np.iinfo(target)
            # not (a and b): NaN compares as false and is refused too
            if not (low >= limits.min and high <= limits.max):
                raise StepFunctionError(
                    f"{who}: values {low}…{high} do not fit output_dtype {dtype} "
                    f"({limits.min}…{limits.max}); rescale in the step, or choose another dtype"
                )
            if plane.dtype.kind == "f":
                plane = np.rint(plane)  # noqa: PLW2901  the rounded plane replaces it
        cast.append(plane.astype(target))
    return cast
