"""Which planes are stacked together: one call for each combination of the other components."""

from collections.abc import Iterable, Sequence

from openhcs_core.constants import Component
from openhcs_core.planes import PlaneKey, natural_key


def group_planes(
    keys: Iterable[PlaneKey], variable_components: Sequence[Component]
) -> list[list[PlaneKey]]:
    """Return groups of planes, each to be stacked along axis 0.

    Parameters
    ----------
    keys : iterable of PlaneKey
        The planes of one well.
    variable_components : sequence of Component
        What varies within a group.

    Returns
    -------
    list of list of PlaneKey
        Groups in natural order of what they share; members in natural order of what varies,
        the first variable component slowest.
    """
    fixed = [component for component in Component if component not in variable_components]
    groups: dict[tuple[str, ...], list[PlaneKey]] = {}
    for key in keys:
        groups.setdefault(_values(key, fixed), []).append(key)
    return [
        sorted(groups[shared], key=lambda key: _order(_values(key, variable_components)))
        for shared in sorted(groups, key=_order)
    ]


def _values(key: PlaneKey, components: Sequence[Component]) -> tuple[str, ...]:
    return tuple(str(getattr(key, component.value)) for component in components)


def _order(values: tuple[str, ...]) -> tuple[object, ...]:
    return tuple(map(natural_key, values))
