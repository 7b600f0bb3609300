"""The four function patterns: one function, a chain, a component dict, a bare reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from openhcs_core.config import KeyPath


@dataclass(frozen=True)
class FunctionCall:
    """One function and the parameters written for it.

    Attributes
    ----------
    ref : str
        ``library:name``.
    parameters : mapping
        As written; defaults are filled in by the compiler.
    at : key path
        Where in the pipeline file it stands.
    places : mapping
        Where parameters stand that are not under `at`.
    """

    ref: str
    parameters: Mapping[str, Any]
    at: KeyPath
    places: Mapping[str, KeyPath] = field(default_factory=dict)

    def place(self, parameter: str) -> KeyPath:
        """Return where a parameter stands."""
        return self.places.get(parameter, (*self.at, parameter))


@dataclass(frozen=True)
class PatternEntry:
    """The chain for one component value, or for all of them when `value` is None."""

    value: str | None
    calls: tuple[FunctionCall, ...]
    at: KeyPath


@dataclass(frozen=True)
class Pattern:
    """A step's ``func`` in one form: a chain a component value."""

    entries: tuple[PatternEntry, ...]

    @property
    def is_component_dict(self) -> bool:
        """Whether component values choose the function."""
        return any(entry.value is not None for entry in self.entries)


class PatternError(ValueError):
    """A ``func`` that has none of the four forms.

    Parameters
    ----------
    message : str
        What was found and what was expected.
    at : key path
        Where.
    """

    def __init__(self, message: str, at: KeyPath) -> None:
        super().__init__(message, at)
        self.message = message
        self.at = at

    def __str__(self) -> str:
        return self.message


def parse_pattern(func: Any, at: KeyPath) -> Pattern:
    """Read a step's ``func``.

    Parameters
    ----------
    func : str, list or dict
        As in the pipeline file.
    at : key path
        Where it stands, for messages.

    Raises
    ------
    PatternError
        `func` has none of the four forms.
    """
    if isinstance(func, dict) and func and not any(":" in key for key in func):
        entries = tuple(
            PatternEntry(value, _parse_chain(chain, (*at, value)), (*at, value))
            for value, chain in func.items()
        )
        return Pattern(entries)
    return Pattern((PatternEntry(None, _parse_chain(func, at), at),))


def _parse_chain(func: Any, at: KeyPath) -> tuple[FunctionCall, ...]:
    if isinstance(func, list):
        if not func:
            raise PatternError("an empty list of functions; name at least one", at)
        return tuple(_parse_call(item, (*at, number)) for number, item in enumerate(func))
    return (_parse_call(func, at),)


def _parse_call(item: Any, at: KeyPath) -> FunctionCall:
    if isinstance(item, str):
        return FunctionCall(_check_reference(item, at), {}, at)
    if isinstance(item, dict) and len(item) == 1:
        ((ref, parameters),) = item.items()
        if parameters is None:
            parameters = {}
        if not isinstance(parameters, dict):
            raise PatternError(
                f"parameters of {ref} must be a mapping such as {{sigma: 2}}; found {parameters!r}",
                (*at, ref),
            )
        return FunctionCall(_check_reference(ref, at), parameters, (*at, ref))
    if isinstance(item, dict) and any(":" in key for key in item):
        raise PatternError(
            f"{len(item)} functions in one mapping ({', '.join(item)}); "
            "write a list to run them one after another",
            at,
        )
    raise PatternError(
        f"expected 'library:name', {{library:name: {{parameters}}}} or a list; found {item!r}", at
    )


def _check_reference(ref: str, at: KeyPath) -> str:
    library, colon, name = ref.partition(":")
    if not (library and colon and name):
        raise PatternError(
            f"{ref!r} is not a function reference; expected 'library:name', "
            "e.g. 'openhcs:max_projection'",
            at,
        )
    return ref
