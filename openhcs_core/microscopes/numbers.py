"""Numbers in metadata."""


def finite(text: str | bytes) -> float | None:
    """Return a number; None for NaN, INF and what is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None
