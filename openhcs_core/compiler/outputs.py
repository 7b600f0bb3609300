"""What a step writes of its special outputs: no two of them the same file."""

from collections.abc import Iterator
from typing import NamedTuple

from openhcs_core.compiler.request import ErrorList
from openhcs_core.config import KeyPath
from openhcs_core.materialization import CsvOptions
from openhcs_core.plan import StepPlan, function_files, label_names, output_files, table_path


class _Writer(NamedTuple):
    """A function, by its reference and its place in its chain."""

    ref: str
    number: int


def check_outputs(plan: StepPlan, at: KeyPath, errors: ErrorList) -> None:
    """Note every file, set of label images and plate table that two outputs would write."""
    for problem in _problems(plan):
        errors.add(f"step {plan.step_name!r}: {problem}", at)


def check_tables(plan: StepPlan, at: KeyPath, errors: ErrorList) -> None:
    """Note every plate table that outputs of different names would write.

    Parameters
    ----------
    plan : StepPlan
        With the functions of all wells.
    """
    for problem in _shared_tables(plan):
        errors.add(f"step {plan.step_name!r}: {problem}", at)


def _problems(plan: StepPlan) -> Iterator[str]:
    files = list(_shared(_file_writers(plan)))
    yield from files
    if not files:  # else labels and tables are shared for the same reason, which has been said
        yield from _shared(_label_writers(plan))
        yield from _shared_tables(plan)


def _shared(writers: Iterator[tuple[str, _Writer]]) -> Iterator[str]:
    by_place: dict[str, list[_Writer]] = {}
    for place, writer in writers:
        by_place.setdefault(place, []).append(writer)
    for place in sorted(place for place, found in by_place.items() if len(found) > 1):
        found = by_place[place]
        if len(set(found)) > 1:
            yield f"two functions would write {place}; split the chain into two steps"
        else:
            yield (
                f"two outputs of {found[0].ref} would write {place}; give them other names or "
                "other filename_suffix values in the function's special_outputs"
            )


def _file_writers(plan: StepPlan) -> Iterator[tuple[str, _Writer]]:
    for group in plan.groups:
        for number, function in enumerate(group.functions):
            for file in function_files(group, function):
                yield file.path(plan.step_name, "WELL"), _Writer(function.ref, number)


def _label_writers(plan: StepPlan) -> Iterator[tuple[str, _Writer]]:
    for group in plan.groups:
        where = "" if group.value is None else f" of {plan.group_by} {group.value!r}"
        for number, function in enumerate(group.functions):
            for output in function.special_outputs:
                for name in label_names(output).values():
                    yield f"label images {name!r}{where}", _Writer(function.ref, number)


def _shared_tables(plan: StepPlan) -> Iterator[str]:
    """Yield plate tables that outputs of different groups share by their names and suffixes."""
    outputs: dict[str, dict[str, None]] = {}
    for file in output_files(plan):
        if isinstance(file.options, CsvOptions):
            table = table_path(plan.step_name, f"{file.output}{file.options.filename_suffix}")
            outputs.setdefault(table, {})[file.output] = None
    for table, names in outputs.items():
        if len(names) > 1:
            yield (
                f"outputs {' and '.join(map(repr, names))} would write {table}; "
                "put their functions into two steps"
            )
