"""Where special outputs that later steps read are kept; they travel between jobs as files."""

CHECK = "check.txt"
"""Written when no well is left out, where the config lets failed ones be."""

CHECK_LOG = "logs/check.log"
"""Log of the job that looks."""

SPECIAL_FOLDER = "special"
"""Folder of special outputs that later steps read."""


def file_stem(well: str, group: str | None, output: str) -> str:
    """Return how the name of every file of a special output begins: ``B02.1.cell_counts``."""
    part = f".{group}" if group is not None else ""
    return f"{well}{part}.{output}"


def special_path(step: str, well: str, group: str | None, output: str) -> str:
    """Return the path of a special output of one well, relative to the plate's results."""
    return f"{SPECIAL_FOLDER}/{step}/{file_stem(well, group, output)}.zip"
