"""Special outputs of all calls of a well, put together into its files and label images."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from openhcs_core.errors import StepFunctionError
from openhcs_core.materialization import (
    COMPONENTS,
    CsvOptions,
    Entry,
    Later,
    WriterOptions,
    as_array,
    image_planes,
    materialize,
    select,
    table_text,
)
from openhcs_core.plan import StepPlan, label_names, output_files, special_files
from openhcs_core.planes import PlaneKey
from openhcs_core.runtime.calls import SpecialValue
from openhcs_core.runtime.special_io import encode_values

if TYPE_CHECKING:
    from numpy.typing import NDArray

    LabelPlane = NDArray[Any] | Callable[[], NDArray[Any]]

Labels = dict[str, dict[PlaneKey, "LabelPlane"]]
"""Label image name → plane → labels ``[Y, X]``, or what reads them."""


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
    over = frozenset(plan.variable_components if plan.is_plate_wide else ())
    for file in output_files(plan):
        path = file.path(plan.step_name, well)
        entries = [
            Entry(value.keys, value.value, over)
            for value in values[file.group]
            if value.output.name == file.output and file.options in _options(value)
        ]
        who = f"step {plan.step_name!r}, well {well}: output {file.output!r} ({path})"
        files[path] = materialize(file.options, entries, who)
    for special in special_files(plan):
        files[special.path(plan.step_name, well)] = encode_values(
            (
                (value.keys, select(value.value, None))
                for value in values[special.group]
                if value.output.name == special.output and value.output.is_linked
            ),
            f"step {plan.step_name!r}, well {well}: output {special.output!r}",
        )
    return files


def empty_files(plan: StepPlan, well: str) -> dict[str, bytes]:
    """Return the files of a well that failed: what there is when nothing was found.

    Tables have their header, as far as the plan knows it.
    """
    files = make_files(plan, well, {group.value: [] for group in plan.groups})
    for file in output_files(plan):
        if isinstance(file.options, CsvOptions):
            fields = [name for name in file.options.fields or () if name not in COMPONENTS]
            header = table_text({}, [*COMPONENTS, *fields])
            files[file.path(plan.step_name, well)] = header.encode()
    return files


def collect_labels(values: Iterable[SpecialValue], who: str) -> Labels:
    """Return label images by name: ``<output>_w<channel>``, since labels have no channels.

    Outputs that are outlined from lists of polygons have no label image.
    """
    labels: Labels = {}
    for value in values:
        for source, name in label_names(value.output).items():
            for key, plane in _label_planes(value, source, who):
                labels.setdefault(f"{name}_w{key.channel}", {})[key] = plane
    return labels


def _options(value: SpecialValue) -> tuple[WriterOptions, ...]:
    return value.output.spec.options if value.output.spec else ()


def label_plane(plane: "LabelPlane") -> "NDArray[Any]":
    """Return the labels of a plane."""
    return plane() if callable(plane) else plane


def _label_planes(
    value: SpecialValue, source: str | None, who: str
) -> "Sequence[tuple[PlaneKey, LabelPlane]]":
    try:
        part = select(value.value, source)
        planes = [] if as_array(part) is None else image_planes(Entry(value.keys, part))
    except StepFunctionError as error:
        raise StepFunctionError(f"{who}: output {value.output.name!r} {error}") from error
    if not isinstance(value.value, Later) or source is not None:
        return planes
    numbers = range(len(part)) if part.ndim == len("zyx") else (None,)
    return [
        (key, partial(value.value.read, number))
        for (key, _), number in zip(planes, numbers, strict=True)
    ]
