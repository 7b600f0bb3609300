"""Functions by well: which wells have the same chains in the steps whose functions differ by well.

A pipeline is planned once for each set of such wells, as if it had only their functions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from openhcs_core.compiler.components import resolve_keys
from openhcs_core.compiler.request import CompileRequest, ErrorList
from openhcs_core.config import KeyPath, StepConfig
from openhcs_core.constants import Component
from openhcs_core.errors import CompileError, OpenHCSError, raise_all, render_error, shortened
from openhcs_core.pipeline import PatternEntry, PatternError, parse_pattern


@dataclass(frozen=True)
class WellChains:
    """Wells that have the same functions in every step.

    Attributes
    ----------
    wells : tuple of str
        In plate order.
    chains : mapping of int to PatternEntry
        By number of the step, the chain of these wells, where functions differ by well.
    """

    wells: tuple[str, ...]
    chains: Mapping[int, PatternEntry] = field(default_factory=dict)

    def content(self, number: int) -> tuple[object, ...] | None:
        """Return what makes two chains of a step the same; None where wells do not differ."""
        return _content(self.chains[number]) if number in self.chains else None


def chains_by_wells(request: CompileRequest, errors: ErrorList) -> list[WellChains]:
    """Return the sets of wells that have the same functions, in plate order of their first wells.

    Wells that lack a function are noted in `errors` and left out.
    """
    steps = {
        number: entries
        for number, step in enumerate(request.pipeline.steps)
        if (entries := _read_entries(step, number, request, errors)) is not None
    }
    found: dict[tuple[object, ...], tuple[list[str], dict[int, PatternEntry]]] = {}
    for well in request.wells:
        if all(well in entries for entries in steps.values()):
            chains = {number: replace(of[well], value=None) for number, of in steps.items()}
            same = tuple(_content(chain) for chain in chains.values())
            found.setdefault(same, ([], chains))[0].append(well)
    return [WellChains(tuple(wells), chains) for wells, chains in found.values()]


def checked_chains(request: CompileRequest) -> list[WellChains]:
    """Return the sets of wells that have the same functions.

    Raises
    ------
    ErrorGroup
        Wells lack a function.
    """
    errors = ErrorList(request.document)
    found = chains_by_wells(request, errors)
    raise_all(request.document.path, errors.errors)
    return found


def _read_entries(
    step: StepConfig, number: int, request: CompileRequest, errors: ErrorList
) -> dict[str, PatternEntry] | None:
    """Return the chains of a step by well; None where all wells have the same function."""
    at: KeyPath = ("steps", number, "func")
    if step.group_by is not Component.WELL:
        return None
    try:
        pattern = parse_pattern(step.func, at)
    except PatternError:  # said where the step is planned
        return None
    if not pattern.is_component_dict:
        return None
    # entries for wells of the plate that are not worked on are kept for other days
    pattern = resolve_keys(pattern, step, request.index.wells, {}, errors, at, needed=request.wells)
    return {str(entry.value): entry for entry in pattern.entries}


def _content(chain: PatternEntry) -> tuple[object, ...]:
    """Return what makes two chains the same, wherever they are written."""
    return tuple(
        (call.ref, repr(sorted(call.parameters.items(), key=lambda item: item[0])))
        for call in chain.calls
    )


def name_wells(
    found: Sequence[tuple[WellChains, Sequence[OpenHCSError]]],
) -> list[OpenHCSError]:
    """Return every error once; where some wells have it only, and its place does not say, named.

    Parameters
    ----------
    found : sequence of (WellChains, sequence of OpenHCSError)
        All sets of wells, and what is wrong with each.
    """
    errors: dict[str, tuple[OpenHCSError, list[WellChains]]] = {}
    for chains, mistakes in found:
        for error in mistakes:
            errors.setdefault(render_error(error), (error, []))[1].append(chains)
    return [
        error if len(of) == len(found) else _with_wells(error, of) for error, of in errors.values()
    ]


def _with_wells(error: OpenHCSError, of: Sequence[WellChains]) -> OpenHCSError:
    wells = [well for chains in of for well in chains.wells]
    places = getattr(error, "__notes__", ())
    if any(f".func.{well}" in place for well in wells for place in places):
        return error
    named = CompileError(f"{error} (well{'s' if len(wells) > 1 else ''} {shortened(wells)})")
    for place in places:
        named.add_note(place)
    return named
