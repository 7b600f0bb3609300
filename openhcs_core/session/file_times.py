"""Generated files that rules read keep the time of the content they hold.

Snakemake may have nothing but times to go by (``--rerun-triggers mtime``, or its own records
lost). A plan that is edited, looked at with ``-n`` and put back, or deleted and written again,
is no newer than before; so its file gets the time back that it had with this content.
"""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.plan import (
    PLATE_TARGET,
    CompiledPipeline,
    digest_bytes,
    digest_text,
    index_path,
    manifest_path,
    store_metadata_path,
    store_plan_path,
    table_path,
    table_plan_path,
)
from openhcs_core.session.files import write_files
from openhcs_core.storage import replace_file

_RULE_INPUTS = ("plan", "index")
"""Folders below ``results/<plate>/`` that rules read."""
_REMEMBERED = 8


@dataclass(frozen=True)
class _Version:
    """A content that a file had: its digest, since when, and until when (None: it has it still)."""

    digest: str
    since_ns: int
    until_ns: int | None = None


_Versions = list[_Version]


class FileTimes:
    """Which content each rule input had since when, oldest first, in ``.plan/times/<plate>.json``.

    Parameters
    ----------
    results : str
        The folder of results; paths are kept relative to it, so that it can be moved.
    """

    def __init__(self, results: str) -> None:
        self._results = Path(results)
        self._plates: dict[str, dict[str, _Versions]] = {}

    def first(self, path: str | Path) -> int | None:
        """Return when a file appeared, in ns, None when that is not known."""
        versions = self._known(path).get(self._name(path))
        return versions[0].since_ns if versions else None

    def forget(self, paths: Iterable[str | Path]) -> None:
        """Drop what is known of some files."""
        known = [path for path in paths if self._known(path).pop(self._name(path), None)]
        self._save(known)

    def write(self, changed: Mapping[str, str], compiled: CompiledPipeline) -> None:
        """Write files whose content changes; what comes back gets its time back."""
        inputs = [path for path in changed if self._is_rule_input(path)]
        before = {path: self._versions_before(path) for path in inputs}
        self.forget(inputs)  # a compilation that is killed here leaves no wrong times
        write_files(changed)
        made = _made_from(compiled) if any(before.values()) else {}
        for path in inputs:
            name, digest = self._name(path), digest_text(changed[path])
            outputs = [self._results / output for output in made.get(name, ())]
            self._known(path)[name] = _renew(Path(path), digest, before[path], outputs)
        self._save(inputs)

    def foretell(self, path: str, text: str, compiled: CompiledPipeline) -> int | None:
        """Return the time, in ns, that a file gets when it is written with `text`; None: now."""
        if not self._is_rule_input(path):
            return None
        made = _made_from(compiled).get(self._name(path), ())
        outputs = [self._results / output for output in made]
        return _time_back(digest_text(text), self._versions_before(path), outputs)

    def _versions_before(self, path: str) -> _Versions:
        """Return a file's versions; the last one is what it holds, if it is there."""
        versions = self._known(path).get(self._name(path), [])
        current = [version.digest for version in versions if version.until_ns is None]
        try:
            digest = digest_bytes(Path(path).read_bytes())
        except FileNotFoundError:
            return versions
        if [digest] == current:
            return versions
        return [_Version(digest, Path(path).stat().st_mtime_ns)]  # written unrecorded

    def _is_rule_input(self, path: str) -> bool:
        parts = Path(path).relative_to(self._results).parts
        return len(parts) > 2 and parts[1] in _RULE_INPUTS  # plate, folder, file

    def _name(self, path: str | Path) -> str:
        return Path(path).relative_to(self._results).as_posix()

    def _plate(self, path: str | Path) -> str:
        return Path(path).relative_to(self._results).parts[0]

    def _known(self, path: str | Path) -> dict[str, _Versions]:
        """Return what is known of the files of a file's plate."""
        plate = self._plate(path)
        if plate not in self._plates:
            self._plates[plate] = self._read(plate)
        return self._plates[plate]

    def _read(self, plate: str) -> dict[str, _Versions]:
        try:
            data = json.loads(times_path(self._results, plate).read_bytes())
            return {
                name: [_Version(*version) for version in versions]
                for name, versions in data.items()
            }
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return {}  # nothing known: times are as the file system has them

    def _save(self, changed: Iterable[str | Path]) -> None:
        """Write what is known of the plates of files that changed."""
        for plate in sorted({self._plate(path) for path in changed}):
            data = {
                name: [[one.digest, one.since_ns, one.until_ns] for one in versions]
                for name, versions in sorted(self._plates[plate].items())
            }
            with replace_file(times_path(self._results, plate), durable=False) as stream:
                stream.write(json.dumps(data, separators=(",", ":")).encode())


def times_path(results: Path, plate: str) -> Path:
    """Return where times of a plate's rule inputs are kept."""
    return results / ".plan/times" / f"{plate}.json"


def _renew(path: Path, digest: str, versions: _Versions, outputs: list[Path]) -> _Versions:
    """Return a written file's versions; give it its old time when its old content is back."""
    now = path.stat().st_mtime_ns
    found = _find(digest, versions)
    others = [
        one if one.until_ns is not None else _Version(one.digest, one.since_ns, now)
        for one in versions
        if one is not found
    ]
    since = _time_back(digest, versions, outputs)
    if since is None:
        since = now
    else:
        os.utime(path, ns=(since, since))
    kept = sorted([*others, _Version(digest, since)], key=lambda one: one.since_ns)
    return kept if len(kept) <= _REMEMBERED else [kept[0], *kept[1 - _REMEMBERED :]]


def _find(digest: str, versions: _Versions) -> _Version | None:
    return next((one for one in versions if one.digest == digest), None)


def _time_back(digest: str, versions: _Versions, outputs: list[Path]) -> int | None:
    """Return when a file got this content, None if it never had it.

    None also when something was made from another content meanwhile: that has to look out of
    date.
    """
    found = _find(digest, versions)
    if found is None or _is_any_since(outputs, found.until_ns):
        return None
    return found.since_ns


def _is_any_since(outputs: Iterable[Path], time_ns: int | None) -> bool:
    return time_ns is not None and any(
        path.exists() and path.stat().st_mtime_ns >= time_ns for path in outputs
    )


def _made_from(compiled: CompiledPipeline) -> dict[str, list[str]]:
    """Return what is made from index files and from plans of tables and stores.

    Not from plans of steps: manifests say which plan they were made from. All paths are
    relative to the results.
    """
    made: dict[str, list[str]] = {}
    for plate in compiled.plates:
        readers = [
            step.step_name for step in plate.steps if step.source is None and not step.is_plate_wide
        ]
        whole = [
            f"{plate.name}/{manifest_path(step.step_name, PLATE_TARGET)}"
            for step in plate.steps
            if step.is_plate_wide and step.takes_images and step.source is None
        ]
        for well in plate.wells:
            manifests = [f"{plate.name}/{manifest_path(step, well)}" for step in readers]
            made[f"{plate.name}/{index_path(well)}"] = manifests + whole
        for table in plate.tables:
            plan = table_plan_path(table.step_name, table.file)
            made[f"{plate.name}/{plan}"] = [
                f"{plate.name}/{table_path(table.step_name, table.file)}"
            ]
        for store in plate.stores:
            plan = store_plan_path(store.step_name)
            made[f"{plate.name}/{plan}"] = [f"{plate.name}/{store_metadata_path(store)}"]
    return made
