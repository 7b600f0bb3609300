"""Sizes and ages as people type them: callbacks of options."""

import re
from collections.abc import Mapping

import click

_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]+)")
_SIZES = {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}
_AGES = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600, "w": 7 * 24 * 3600}


def size_bytes(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return a size in bytes: ``20GB``.

    Raises
    ------
    click.BadParameter
        It is none.
    """
    return _amount(context, option, text, _SIZES)


def age_s(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Return an age in s: ``30d``.

    Raises
    ------
    click.BadParameter
        It is none.
    """
    return _amount(context, option, text, _AGES)


def _amount(
    context: click.Context, option: click.Parameter, text: str | None, units: Mapping[str, float]
) -> float | None:
    if text is None:
        return None
    known = {unit.lower(): factor for unit, factor in units.items()}
    match = _AMOUNT.fullmatch(text.strip())
    factor = known.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise click.BadParameter(
            f"expected a number and one of {', '.join(units)}; found {text!r}", context, option
        )
    return float(match[1]) * factor
