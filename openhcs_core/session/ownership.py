"""Which files below a plate's results are ours: by name, of a step that has been planned there."""

import re
from collections.abc import Iterator
from pathlib import Path

from openhcs_core.plan import (
    CHECK,
    CHECK_LOG,
    CRATE_FOLDER,
    CRATE_METADATA,
    LOCATION,
    OUTPUT_FOLDERS,
    OWN_FOLDERS,
    PLATE_TARGET,
    SPECIAL_FOLDER,
    STATUS,
    WORKSPACE_METADATA,
)
from openhcs_core.planes import WELL_REGEX, PlaneKey
from openhcs_core.session.output_names import output_name, planned_output_names
from openhcs_core.storage import TEMPORARY_NAME

_WELL = f"(?:{WELL_REGEX}|{PLATE_TARGET})"
_STEP = r"(?P<step>[^/]+)"
_LABEL = r"labels/[^/]+"
_GROUP = r"(?:zarr\.json|\.zgroup|\.zattrs)"
_ARRAY = r"\d+/(?:zarr\.json|\.zarray|(?:c/)?\d+(?:/\d+)+)"
_IMAGE = rf"(?:{_GROUP}|{_ARRAY})"
_FIELD = rf"[A-Za-z0-9]+/(?:{_IMAGE}|labels/{_GROUP}|{_LABEL}/{_IMAGE})"
_STORE = rf"(?:[A-Z]{{1,2}}/(?:[0-9]{{2}}/(?:{_FIELD}|{_GROUP})|{_GROUP})|{_GROUP})"
_WRITTEN = "|".join((*OUTPUT_FOLDERS.values(), SPECIAL_FOLDER))
_RECORDS = (
    rf"manifests/{_STEP}/{_WELL}\.json",
    rf"logs/{_STEP}/[^/]+\.(?:log|failure\.json|fallbacks\.json)",
    rf"benchmarks/{_STEP}/{_WELL}(?:-{_WELL})?(?:\.fused)?\.(?:tsv|json)",
    rf"\.kept/{_STEP}/.+",
    rf"plan/{_STEP}/[^/]+\.json",
)
_PLAN = re.compile(r"plan/[^/]+\.json")
_INDEX = re.compile(rf"index/{_WELL}\.json")
_OUTPUT = re.compile(rf"(?:{_WRITTEN})/{_STEP}/(?P<well>{_WELL})\.[^/]+")
_TABLE = re.compile(rf"tables/{_STEP}/(?P<output>[^/]+?)(?:\.(?:partial|left_out))?\.csv")
_PATTERNS = tuple(re.compile(pattern) for pattern in _RECORDS)
_ZARR = re.compile(rf"(?:(?P<sub_dir>.+)/)?(?P<step>[^/]+)\.ome\.zarr/{_STORE}")
_TIFF = re.compile(rf"(?P<sub_dir>.+)/{_STEP}/(?P<well>{_WELL})/(?:{_LABEL}/)?(?P<name>[^/]+\.tif)")
_HIDDEN = re.compile(rf"{TEMPORARY_NAME.pattern}|\.snakemake_timestamp")
_CRATE = re.compile(
    rf"{CRATE_FOLDER}/(?:[^/]+\.(?:yaml|smk|csv)|(?:workflow|pipeline|functions|plate_map)/.+)"
)
_WHOLE_PLATE = frozenset({STATUS, CHECK, CHECK_LOG, LOCATION, WORKSPACE_METADATA, CRATE_METADATA})


class Ownership:
    """Tells files of this software from others.

    A file is ours when it lies where some plan would have it, under a name that a job gives,
    and its step has a plan or manifests here. Links are never ours.

    Parameters
    ----------
    folder : Path
        ``results/<plate>``.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        plans = (path.stem for path in folder.glob("plan/*.json"))
        self._outputs = planned_output_names(folder.parent, folder.name)
        self._steps = {*plans, *(path.name for path in folder.glob("manifests/*"))}

    def is_ours(self, name: str) -> bool:
        """Return whether a file, relative to the plate's results, is ours."""
        parent, _, last = name.rpartition("/")
        if _HIDDEN.fullmatch(last):
            return bool(parent)
        if name in _WHOLE_PLATE:
            return True
        if any(pattern.fullmatch(name) for pattern in (_INDEX, _PLAN, _CRATE)):
            return True
        for pattern in _PATTERNS:
            if found := pattern.fullmatch(name):
                return found["step"] in self._steps
        return self._is_output(name) or self._is_table(name) or self._is_image(name)

    def files(self, name: str) -> Iterator[tuple[str, bool]]:
        """Yield each file of a folder, or the file itself, and whether it is ours."""
        path = self._folder / name
        if any((self._folder / above).is_symlink() for above in (name, *_parents(name))):
            yield name, False
        elif not path.is_dir():
            yield name, self.is_ours(name)
        else:
            for inner in sorted(entry.name for entry in path.iterdir()):
                yield from self.files(f"{name}/{inner}")

    def _is_output(self, name: str) -> bool:
        """Return whether a well's file was ever planned: people put corrected ones beside ours."""
        found = _OUTPUT.fullmatch(name)
        return found is not None and output_name(name, found["well"]) in self._outputs.get(
            found["step"], ()
        )

    def _is_table(self, name: str) -> bool:
        """Return whether a file is a plate table: planned, or with a well's table beside it."""
        found = _TABLE.fullmatch(name)
        if found is None or found["step"] not in self._steps:
            return False
        file = f"{found['output']}.csv"
        if (self._folder / "plan" / found["step"] / f"{file}.json").is_file():
            return True
        beside = (self._folder / "tables" / found["step"]).iterdir()
        table = re.compile(rf"{_WELL}(?:\..+)?\.{re.escape(file)}")
        return any(table.fullmatch(path.name) for path in beside)

    def _is_image(self, name: str) -> bool:
        if found := _ZARR.fullmatch(name):
            return found["step"] in self._steps and _is_sub_dir(found["sub_dir"])
        found = _TIFF.fullmatch(name)
        if found is None or found["step"] not in self._steps or not _is_sub_dir(found["sub_dir"]):
            return False
        try:
            return PlaneKey.parse(found["name"]).well == found["well"]
        except ValueError:
            return False


def _is_sub_dir(sub_dir: str | None) -> bool:
    return sub_dir is None or sub_dir.split("/")[0] not in OWN_FOLDERS


def _parents(name: str) -> list[str]:
    parts = name.split("/")[:-1]
    return ["/".join(parts[: number + 1]) for number in range(len(parts))]
