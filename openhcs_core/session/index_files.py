"""The file that says what a well consists of; jobs that read the plate depend on it."""

import json
from pathlib import Path
from typing import Literal

from openhcs_core.microscopes import PlateIndex, well_index
from openhcs_core.plan import index_path, readable_json


def index_text(
    index: PlateIndex, well: str, raw: Literal["checked", "immutable"], folder: Path
) -> str:
    """Return the text of a well's index file.

    Parameters
    ----------
    raw : {"checked", "immutable"}
        ``"immutable"`` leaves a file alone that differs in sizes and times only, so that
        going over to it runs nothing.
    folder : Path
        ``results/<plate>``.
    """
    text = readable_json(well_index(index, well, raw=raw))
    if raw == "checked":
        return text
    try:
        present = (folder / index_path(well)).read_text(encoding="utf-8")
        data = json.loads(present)
        data["images"] = [[name, real, None, None] for name, real, _, _ in data["images"]]
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return text
    return present if readable_json(data) == text else text
