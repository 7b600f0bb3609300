"""Listings that look the same in every backend."""

from collections.abc import Iterable, Sequence


def in_natural_order(names: Iterable[str]) -> list[str]:
    """Return `names` with the numbers in them in numeric order: site 2 before site 10."""
    # natsort alone costs more to import than everything else a light command needs.
    from natsort import natsorted

    return natsorted(names)


def has_extension(name: str, extensions: Sequence[str] | None) -> bool:
    """Return whether `name` ends in one of `extensions` (case ignored; None allows all)."""
    return extensions is None or name.lower().endswith(tuple(e.lower() for e in extensions))
