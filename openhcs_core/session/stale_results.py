"""Results of earlier configs: found file by file, and removed."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from openhcs_core.errors import ConfigError
from openhcs_core.plan import (
    CRATE_FOLDER,
    CRATE_METADATA,
    LOCATION,
    STATUS,
    CompiledPipeline,
    PlatePlan,
)
from openhcs_core.session.leftovers import find_leftovers, find_old_records
from openhcs_core.session.ownership import Ownership

_LAST = ("logs", "benchmarks", "index", "workspace", "plan")
"""Folders whose files go last: plans are how images of a step are known to be ours."""


@dataclass(frozen=True)
class StaleResults:
    """What an earlier config left of one plate.

    Attributes
    ----------
    folder : Path
        ``results/<plate>``.
    names : tuple of str
        Files and folders below it that have something to remove.
    files : tuple of str
        What is to be removed of these, in an order that may be broken off anywhere: a manifest
        before what it records.
    foreign : tuple of str
        Files and links that lie there and are not ours.
    """

    folder: Path
    names: tuple[str, ...]
    files: tuple[str, ...]
    foreign: tuple[str, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes that removing them frees."""
        return sum((self.folder / name).lstat().st_size for name in self.files)


def find_stale(plate: PlatePlan, folder: Path) -> StaleResults:
    """Return what lies among a plate's results that nothing of its plan writes or reads.

    Parameters
    ----------
    plate : PlatePlan
        Today's; without wells and steps everything of ours is stale.
    folder : Path
        ``results/<plate>``.
    """
    found = [*find_leftovers(plate, folder), *find_old_records(plate, folder)]
    if not plate.steps:
        whole = ("workspace", STATUS, CRATE_METADATA, CRATE_FOLDER)
        found += [name for name in whole if (folder / name).exists()]
    ownership = Ownership(folder)
    names, files, foreign = [], [], []
    for name in found:
        parts = list(ownership.files(name))
        if ours := [part for part, is_ours in parts if is_ours]:
            names.append(name)
            files += ours
        foreign += [part for part, is_ours in parts if not is_ours]
    return StaleResults(folder, tuple(names), tuple(sorted(files, key=_turn)), tuple(foreign))


def find_removed_plates(compiled: CompiledPipeline) -> list[str]:
    """Return the plates that have results here and are not in the config any more."""
    names = {plate.name for plate in compiled.plates}
    found = Path(compiled.results).glob(f"*/{LOCATION}")
    return sorted(path.parents[1].name for path in found if path.parents[1].name not in names)


def collect_stale(compiled: CompiledPipeline, removed_plates: Sequence[str]) -> list[StaleResults]:
    """Return what is stale of every plate of a config, and all of plates that are named.

    Raises
    ------
    ConfigError
        A named plate is still in the config, or has no results.
    """
    results = Path(compiled.results)
    stale = [find_stale(plate, results / plate.name) for plate in compiled.plates]
    known = find_removed_plates(compiled)
    for name in removed_plates:
        if name not in known:
            others = ", ".join(known) or "none"
            raise ConfigError(
                f"plate {name!r} is still in the config or has no results in {results}; plates "
                f"that can be removed: {others}"
            )
        stale.append(find_stale(PlatePlan(name=name, wells=(), steps=()), results / name))
    return stale


def remove_files(stale: StaleResults) -> None:
    """Remove the files, then folders that are empty without them."""
    for name in stale.files:
        (stale.folder / name).unlink(missing_ok=True)
    parents = {parent for name in stale.files for parent in Path(name).parents}
    if LOCATION in stale.files:  # of a whole plate
        parents |= {path.relative_to(stale.folder) for path in stale.folder.glob(".kept/*")}
        parents.add(Path(".kept"))
    for parent in sorted(parents, key=lambda path: len(path.parts), reverse=True):
        _remove_empty(stale.folder / parent)


def _remove_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()


def _turn(name: str) -> tuple[int, str]:
    first = name.split("/")[0]
    if first == "manifests":
        return 0, name
    return (2 + _LAST.index(first) if first in _LAST else 1), name


def foreign_files(stale: Iterable[StaleResults]) -> list[str]:
    """Return the files that are left alone because they are not ours."""
    return [f"{one.folder}/{name}" for one in stale for name in one.foreign]
