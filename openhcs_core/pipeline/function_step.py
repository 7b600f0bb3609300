"""A step of a pipeline that is written in Python."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import FrameType
from typing import Any, NamedTuple


class Place(NamedTuple):
    """A call in a source file: its lines from 1, and the column it ends in (None: unknown)."""

    file: str
    line: int
    end_line: int | None
    end_column: int | None


@dataclass(frozen=True, init=False)
class FunctionStep:
    """One step, as data: nothing runs and nothing is checked before the pipeline is read.

    Parameters
    ----------
    func : object
        A function, ``(function, {parameters})``, a list of these (a chain), a dict from
        component values to any of these, or the name of a function.
    name : str, optional
        Names its results; without one, the function's name.
    variable_components : list, optional
        Components stacked along axis 0 of the ``[Z, Y, X]`` array.
    group_by : str, optional
        The component whose value picks an entry of a component dict.
    input_source : str, optional
        ``"previous"`` or ``"pipeline_start"``.
    **others
        Other settings of a step in a pipeline file (``keep=True``), OpenHCS's step configs, and
        parameters of a single function.

    Examples
    --------
    >>> FunctionStep(func="tophat", selem_radius=50, name="flatten").others
    {'selem_radius': 50}
    """

    func: Any
    name: str | None
    variable_components: Any
    group_by: Any
    input_source: Any
    others: Mapping[str, Any]
    places: tuple[Place, ...] = field(repr=False, compare=False)
    """Where it was made, innermost call first."""

    def __init__(
        self,
        func: Any,
        *,
        name: str | None = None,
        variable_components: Any = None,
        group_by: Any = None,
        input_source: Any = None,
        **others: Any,
    ) -> None:
        given = {
            "func": func,
            "name": name,
            "variable_components": variable_components,
            "group_by": group_by,
            "input_source": input_source,
            "others": others,
            "places": tuple(_places(sys._getframe(1))),  # noqa: SLF001  the way to know a caller
        }
        for key, value in given.items():
            object.__setattr__(self, key, value)


def _places(frame: FrameType | None) -> Iterator[Place]:
    while frame is not None:
        code = frame.f_code
        line, end_line, _, end_column = next(
            islice(code.co_positions(), frame.f_lasti // 2, None), (None, None, None, None)
        )
        yield Place(code.co_filename, line or frame.f_lineno, end_line, end_column)
        frame = frame.f_back
