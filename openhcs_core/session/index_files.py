"""Files that say what a plate and its wells consist of; jobs that read the plate depend on them."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from openhcs_core.microscopes import PlateIndex, build_workspace_metadata, dump, well_index
from openhcs_core.plan import WORKSPACE_METADATA, index_path, readable_json
from openhcs_core.session.files import GeneratedFiles, LaterText
from openhcs_core.session.kept_indices import keep_index
from openhcs_core.session.plates import OpenPlate


def files_of_index(plate: OpenPlate, folder: Path) -> dict[str, LaterText]:
    """Return the files that are made from a plate's index, by path below `folder`.

    Their digests are known where the index was kept, and then nothing is made that is there.

    Parameters
    ----------
    folder : Path
        ``results/<plate>``.
    """
    index, raw, known = plate.index, plate.settings.raw, plate.indexed.digests
    files = {
        index_path(well): LaterText(
            partial(index_text, index, well, raw, folder),
            known.get(index_path(well)),
            takes_present=raw == "immutable",
        )
        for well in plate.wells
    }
    return {
        **files,
        WORKSPACE_METADATA: LaterText(
            lambda: dump(build_workspace_metadata(index)), known.get(WORKSPACE_METADATA)
        ),
    }


def keep_plates(plates: Sequence[OpenPlate], files: GeneratedFiles, results: Path) -> None:
    """Keep the indices of plates for the next time, with digests of what was made from them.

    Parameters
    ----------
    files : GeneratedFiles
        By path, those of the plates among them.
    results : Path
        The folder of results.
    """
    for plate in plates:
        names = [*map(index_path, plate.wells), WORKSPACE_METADATA]
        digests = {name: files.known_digest(f"{results}/{plate.name}/{name}") for name in names}
        keep_index(plate.name, plate.settings, results, plate.indexed, digests)


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
