"""Where special outputs that later steps read are kept; they travel between jobs as files."""

SPECIAL_FOLDER = "special"
"""Folder of special outputs that later steps read."""


def special_path(step: str, well: str, group: str | None, output: str) -> str:
    """Return the path of a special output of one well, relative to the plate's results."""
    part = f".{group}" if group is not None else ""
    return f"{SPECIAL_FOLDER}/{step}/{well}{part}.{output}.zip"
