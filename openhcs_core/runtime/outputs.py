"""Special outputs of all calls of a well, put together into its files and label images."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization import CsvOptions, ROIOptions, materialize
from openhcs_core.memory import unstack_slices
from openhcs_core.plan import StepPlan, output_files
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import SpecialValue

if TYPE_CHECKING:
    from numpy.typing import NDArray

Labels = dict[str, dict[PlaneKey, "NDArray[Any]"]]
"""Label image name → plane → labels ``[Y, X]``."""


def make_files(
    plan: StepPlan, well: str, values: Mapping[str | None, Sequence[SpecialValue]]
) -> dict[str, bytes]:
    """Return the content of every file of a step and well, by path below the plate's results.

    Parameters
    ----------
    values : mapping of str or None to sequence of SpecialValue
        What each group's calls gave, in call order, by the group's component value.
    """
    files = {}
    for file in output_files(plan):
        mine = [value for value in values[file.group] if value.output.name == file.output]
        rows = _values_for(file.options, mine, f"step {plan.step_name!r}")
        files[file.path(plan.step_name, well)] = materialize(file.options, rows)
    return files


def collect_labels(values: Iterable[SpecialValue]) -> Labels:
    """Return label images by name: ``<output>_w<channel>``, since labels have no channels."""
    labels: Labels = {}
    for value in values:
        options = value.output.spec.options if value.output.spec else ()
        if any(isinstance(option, ROIOptions) for option in options):
            for key, plane in _label_planes(value):
                labels.setdefault(f"{value.output.name}_w{key.channel}", {})[key] = plane
    return labels


def _values_for(
    options: CsvOptions | ROIOptions, values: Sequence[SpecialValue], who: str
) -> list[Any]:
    """Return what the writer of `options` takes, with each value's components."""
    if isinstance(options, ROIOptions):
        return [
            (key.filename.removesuffix(".tif").partition("_")[2], plane)
            for value in values
            for key, plane in _label_planes(value)
        ]
    return [_with_components(value, who) for value in values]


def _with_components(value: SpecialValue, who: str) -> dict[str, Any]:
    """Put well, site, channel, z and time in front of a table: the function does not know them."""
    table = value.value
    if not isinstance(table, dict):
        raise StepFunctionError(
            f"{who}: output {value.output.name!r} is {type(table).__name__}; expected a table "
            "as a dict of columns"
        )
    rows = max((len(column) for column in table.values()), default=0)
    components = {name: [part] * rows for name, part in value.keys[0]._asdict().items()}
    return {**components, **table}


def _label_planes(value: SpecialValue) -> list[tuple[PlaneKey, "NDArray[Any]"]]:
    who = f"output {value.output.name!r}"
    planes = unstack_slices(value.value, who=who)
    keys = value.keys if len(planes) == len(value.keys) else value.keys[:1]
    if len(planes) != len(keys):
        raise StepFunctionError(
            f"{who} has {len(planes)} label slices for {len(value.keys)} images; "
            "expected one an image, or one in all"
        )
    return list(zip(keys, planes, strict=True))
