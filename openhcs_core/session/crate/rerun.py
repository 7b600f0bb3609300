"""A run repeated from its crate in a fresh folder, and its results compared with those recorded."""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.errors import (
    EXIT_CONFIG,
    EXIT_DATA,
    EXIT_DEFECT,
    EXIT_DONE,
    EXIT_FUNCTION,
    EXIT_MEMORY,
    ConfigError,
)
from openhcs_core.runtime import Manifest, read_failure, read_manifest
from openhcs_core.session.child_runs import ChildRun, wait_for
from openhcs_core.session.crate.comparison import Difference, compare_manifests
from openhcs_core.session.crate.contents import CrateFile
from openhcs_core.session.crate.recorded import RecordedCrate, read_described
from openhcs_core.session.crate.sources import CONFIG, SNAKEFILE, config_text
from openhcs_core.session.snakemake_arguments import snakemake_command
from openhcs_core.session.why import PlanDifference, find_differences
from openhcs_core.storage import replace_file

_WORST_FIRST = (EXIT_DEFECT, EXIT_CONFIG, EXIT_MEMORY, EXIT_FUNCTION, EXIT_DATA)


@dataclass(frozen=True)
class StepDifference:
    """A plan that is another one than recorded: of which step, and in what."""

    path: str
    differences: tuple[PlanDifference, ...]


@dataclass(frozen=True)
class Comparison:
    """What came of a repeated run.

    Attributes
    ----------
    folder : Path
        Its results.
    jobs : int
        Recorded jobs.
    differences : tuple of Difference
        What is another in its results.
    plans : tuple of StepDifference
        Plans that are others: versions, most often.
    failures : tuple of (str, int, str)
        Jobs that failed: step and well, exit code, why.
    exit_code : int
        0: the same results; else see DESIGN.
    """

    folder: Path
    jobs: int
    differences: tuple[Difference, ...]
    plans: tuple[StepDifference, ...]
    failures: tuple[tuple[str, int, str], ...]
    exit_code: int


def prepare(crate: RecordedCrate, plate_path: str | None, folder: Path) -> None:
    """Write what a run is repeated from into a fresh folder.

    Parameters
    ----------
    crate : RecordedCrate
        The crate.
    plate_path : str or None
        Folder or URL of the plate's images; None where it is where the config says.
    folder : Path
        New, or empty.

    Raises
    ------
    ConfigError
        The folder has something in it, or the plate is not there.
    InputDataError
        A file of the crate is missing or altered.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"{folder} is there already; a run is repeated in a fresh folder: give another name "
            "with --into, or remove it"
        )
    files = crate.sources()
    files[CONFIG] = config_text(_config(crate, _plate(crate, plate_path)))
    for name, content in files.items():
        with replace_file(folder / name, durable=False) as stream:
            stream.write(content)


def run(folder: Path, arguments: Sequence[str]) -> None:
    """Check the config in a folder, then run snakemake there; both speak on stderr.

    That jobs fail is told by what is missing afterwards. A KeyboardInterrupt ends both.

    Raises
    ------
    ConfigError
        Config or plate cannot be used here; what is wrong was said.
    """
    check = [sys.executable, "-m", "openhcs_core", "compile", "--config", CONFIG]
    if code := wait_for(ChildRun(check, folder=folder)):
        raise _CheckFailedError(code)
    wait_for(ChildRun(snakemake_command(SNAKEFILE, arguments, CONFIG), folder=folder))


class _CheckFailedError(ConfigError):
    """The repeated run cannot begin; its exit code is that of the check."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(exit_code)
        self.exit_code = exit_code

    def __str__(self) -> str:
        return "the run cannot be repeated here: see above"


def compare(crate: RecordedCrate, folder: Path) -> Comparison:
    """Compare the results in a folder with those that a crate recorded."""
    results = folder / "results" / crate.plate
    found = _read_manifests(results)
    differences = list(_differences(crate, found, results))
    failures = tuple(_failures(results))
    codes = [code for _, code, _ in failures]
    is_whole = crate.manifests.keys() <= found.keys()
    if is_whole and not differences:
        code = EXIT_DONE
    elif is_whole or not codes:
        code = EXIT_DATA if is_whole else EXIT_DEFECT
    else:
        code = next(one for one in _WORST_FIRST if one in codes)
    return Comparison(
        results,
        len(crate.manifests),
        tuple(differences),
        tuple(_plans(crate, results)),
        failures,
        code,
    )


def _plate(crate: RecordedCrate, plate_path: str | None) -> str:
    """Return the absolute place of the plate's images."""
    path = plate_path or crate.config.plates[crate.plate].path
    if "://" in path:
        return path
    if not Path(path).exists():
        raise ConfigError(
            f"the images of plate {crate.plate!r} are not in {path}; say with --plate where they "
            "are"
        )
    return str(Path(path).resolve())


def _config(crate: RecordedCrate, plate_path: str) -> dict[str, Any]:
    """Return the crate's config for a plate in another place, and for no other folders."""
    data: dict[str, Any] = crate.config.model_dump(mode="json", exclude_unset=True)
    data["plates"][crate.plate]["path"] = plate_path
    data["results"] = "results"
    if "storage" in data:
        data["storage"].pop("cache_dir", None)
    return data


def _read_manifests(results: Path) -> dict[str, Manifest]:
    return {
        path.relative_to(results).as_posix(): read_manifest(path)
        for path in sorted(results.glob("manifests/*/*.json"))
    }


def _differences(
    crate: RecordedCrate, found: Mapping[str, Manifest], results: Path
) -> Iterator[Difference]:
    for path, recorded in sorted(crate.manifests.items()):
        yield from compare_manifests(recorded, found.get(path))
    for path in sorted(found.keys() - crate.manifests.keys()):
        yield Difference("job", found[path].step, found[path].well, "", "none", "a result")
    described = {name for manifest in crate.manifests.values() for name in manifest.files}
    for path, sha256 in sorted(crate.tables.items()):
        if path in described:
            continue  # of a well: compared by its manifest
        table = results / path
        now = CrateFile.of(path, table.read_bytes()).sha256 if table.is_file() else "nothing"
        if now != sha256:
            yield Difference("file", path.split("/")[1], "plate", path, sha256, now)


def _failures(results: Path) -> Iterator[tuple[str, int, str]]:
    for path in sorted(results.glob("logs/*/*.failure.json")):
        step, target = path.parent.name, path.name.removesuffix(".failure.json")
        failure = read_failure(results, step, target)
        if failure is not None:
            yield f"{target}, step {step!r}", failure.exit_code, failure.message


def _plans(crate: RecordedCrate, results: Path) -> Iterator[StepDifference]:
    for path, sha256 in sorted(crate.digests.items()):
        if not path.startswith("plan/"):
            continue
        old = json.loads(read_described(crate.folder, path, sha256))
        if "step_type" not in old or not (results / path).is_file():
            continue  # of a table or of images
        new = json.loads((results / path).read_bytes())
        if differences := find_differences(old, new):
            yield StepDifference(path, differences)
