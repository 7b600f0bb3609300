"""Which values each component takes at a step, and what the keys of a component dict mean."""

from collections.abc import Mapping

from natsort import natsorted

from openhcs_core.compiler.request import ErrorList
from openhcs_core.config import KeyPath, StepConfig
from openhcs_core.constants import Component
from openhcs_core.microscopes import PlateIndex
from openhcs_core.pipeline import Pattern, PatternEntry
from openhcs_core.plan import StepPlan

ComponentValues = Mapping[Component, tuple[str, ...]]


def component_values(
    index: PlateIndex, wells: tuple[str, ...], channel: str | None = None
) -> ComponentValues:
    """Return the values of every component over the wells to work on, in natural order.

    Parameters
    ----------
    channel : str, optional
        Count the planes of this channel only.
    """
    chosen = set(wells)
    keys = [
        image.key
        for image in index.images
        if image.key.well in chosen and channel in (None, image.key.channel)
    ]
    return {
        component: tuple(natsorted({str(getattr(key, component.value)) for key in keys}))
        for component in Component
    }


def values_after(
    plan: StepPlan, values: ComponentValues, channel: str | None = None
) -> ComponentValues:
    """Return the component values a step leaves behind.

    A projection takes the first value of what it stacks; when only some groups project,
    the others keep all values.

    Parameters
    ----------
    channel : str, optional
        Look at what becomes of this channel only.
    """
    collapsing = [
        group.is_projected()
        for group in plan.groups
        if channel is None
        or plan.group_by is not Component.CHANNEL
        or group.value in (None, channel)
    ]
    if not all(collapsing):
        return values
    return {
        component: of[:1] if component in plan.variable_components else of
        for component, of in values.items()
    }


def resolve_keys(
    pattern: Pattern,
    step: StepConfig,
    values: ComponentValues,
    names: Mapping[str, str],
    errors: ErrorList,
    at: KeyPath,
) -> Pattern:
    """Return `pattern` with channel names replaced by ids; note every key that fits nothing.

    Parameters
    ----------
    pattern : Pattern
        A component dict; anything else comes back as it is.
    values : mapping
        Values of each component at this step.
    names : mapping
        Channel id to name.
    """
    if not pattern.is_component_dict:
        return pattern
    known = values[step.group_by]
    aliases = _aliases(step.group_by, known, names)
    entries: list[PatternEntry] = []
    for entry in pattern.entries:
        value = aliases.get(str(entry.value))
        if value is None:
            errors.add(
                f"step {step.name!r}: {step.group_by} {entry.value!r} is not on the plate; "
                f"it has {_listing(step.group_by, known, names)}",
                entry.at,
            )
        elif any(value == other.value for other in entries):
            errors.add(
                f"step {step.name!r}: {step.group_by} {value!r} is named twice "
                f"(by id and by name); keep one of them",
                entry.at,
            )
        else:
            entries.append(PatternEntry(value, entry.calls, entry.at))
    _check_coverage(step, entries, aliases, known, names, errors, at)
    return Pattern(tuple(entries))


def passthrough_values(
    step: StepConfig, values: ComponentValues, names: Mapping[str, str]
) -> tuple[str, ...]:
    """Return the component values a step leaves as they are, as ids."""
    aliases = _aliases(step.group_by, values[step.group_by], names)
    return tuple(aliases[value] for value in step.passthrough if value in aliases)


def _check_coverage(
    step: StepConfig,
    entries: list[PatternEntry],
    aliases: Mapping[str, str],
    known: tuple[str, ...],
    names: Mapping[str, str],
    errors: ErrorList,
    at: KeyPath,
) -> None:
    covered = {entry.value for entry in entries}
    for value in step.passthrough:
        if aliases.get(value) in covered and value in aliases:
            errors.add(
                f"step {step.name!r}: {step.group_by} {value!r} has a function and stands under "
                "passthrough too; keep one of them",
                at,
            )
        if value not in aliases:
            errors.add(
                f"step {step.name!r}: passthrough names {step.group_by} {value!r}, which is not "
                f"on the plate; it has {_listing(step.group_by, known, names)}",
                at,
            )
    left = [
        value
        for value in known
        if value not in covered and value not in {aliases.get(item) for item in step.passthrough}
    ]
    if left:
        errors.add(
            f"step {step.name!r}: no function for {_listing(step.group_by, tuple(left), names)}; "
            "add one, or list the value under passthrough",
            at,
        )


def _aliases(
    component: Component, known: tuple[str, ...], names: Mapping[str, str]
) -> dict[str, str]:
    """Return id by id and by unique name; an id wins over a name spelt alike."""
    aliases = {}
    if component is Component.CHANNEL:
        shown = [names.get(value, value) for value in known]
        aliases = {
            name: value for name, value in zip(shown, known, strict=True) if shown.count(name) == 1
        }
    return aliases | {value: value for value in known}


def _listing(component: Component, values: tuple[str, ...], names: Mapping[str, str]) -> str:
    if component is not Component.CHANNEL:
        return f"{component} {', '.join(values)}"
    shown = [f"{value} ({names[value]})" if value in names else value for value in values]
    return f"{component} {', '.join(shown)}"
