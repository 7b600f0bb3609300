"""Write a plate's crate: what its results can be made again from, and the description of all."""

from dataclasses import dataclass
from math import inf
from pathlib import Path

from openhcs_core.config import WorkflowConfig, load_config, validate
from openhcs_core.errors import ConfigError, shortened
from openhcs_core.plan import CRATE_FOLDER, CRATE_METADATA
from openhcs_core.session.compiling import Compilation, compile_workflow
from openhcs_core.session.crate.contents import CrateFile, PlateRecord, inputs_table, read_plate
from openhcs_core.session.crate.graph import INPUTS, CrateDescription, crate_metadata
from openhcs_core.session.crate.sources import collect_sources
from openhcs_core.session.environment import installed_versions
from openhcs_core.session.job_states import LastRun
from openhcs_core.session.status import read_status
from openhcs_core.session.version_drift import recorded_environment
from openhcs_core.storage import replace_file


@dataclass(frozen=True)
class CrateOptions:
    """What people say of a crate: licence of the results, and who ran it."""

    license: str | None = None
    person: str | None = None
    orcid: str | None = None


@dataclass(frozen=True)
class WrittenCrate:
    """A crate that was written: its description, and what it describes."""

    path: Path
    record: PlateRecord


def write_crate(folder: Path, config_path: str, options: CrateOptions) -> WrittenCrate:
    """Describe a plate's results as a Workflow Run RO-Crate.

    Parameters
    ----------
    folder : Path
        ``results/<plate>``.
    config_path : str
        The config that they are of; paths in it are relative to the working directory.
    options : CrateOptions
        What people say of it.

    Raises
    ------
    ErrorGroup, ConfigError
        The config is wrong, or the results are not what it gives.
    InputDataError
        A record of the results is damaged.
    """
    _check_library()
    compilation = compile_workflow(config_path, _find_plate(folder, config_path))
    (plate,) = compilation.compiled.plates
    record = read_plate(plate, folder)
    _check_finished(compilation, record, folder)
    sources = collect_sources(compilation, plate)
    files = {**sources.files, INPUTS: inputs_table(record)}
    described = [
        CrateFile.of(f"{CRATE_FOLDER}/{name}", content) for name, content in sorted(files.items())
    ]
    about = CrateDescription(
        plate.name,
        compilation.config.plates[plate.name].path,
        options.license,
        options.person,
        options.orcid,
    )
    results = compilation.compiled.results
    versions = (
        recorded_environment(results, plate.name)
        or recorded_environment(results)
        or installed_versions()
    )
    metadata = crate_metadata(about, record, sources, described, versions)
    (folder / CRATE_METADATA).unlink(missing_ok=True)  # until all that it describes is there
    _write_folder(folder / CRATE_FOLDER, files)
    with replace_file(folder / CRATE_METADATA) as stream:
        stream.write(metadata)
    return WrittenCrate(folder / CRATE_METADATA, record)


def _check_library() -> None:
    from importlib.util import find_spec

    if find_spec("rocrate") is None:
        raise ConfigError(
            "crates are written with ro-crate-py, which is not installed; "
            "pip install 'openhcs-core[rocrate]'"
        )


def _check_finished(compilation: Compilation, record: PlateRecord, folder: Path) -> None:
    """Refuse results of which some were made from what others are no more."""
    (status,) = read_status(compilation, LastRun(inf))
    undone = [
        f"step {job.step} of {job.well or 'the plate'}"
        for job in status.jobs
        if job.state != "done" and job.well not in record.left_out
    ]
    if undone:
        raise ConfigError(
            f"{folder} is not finished: {shortened(undone)} is not of what is there today; run "
            "snakemake first"
        )


def _find_plate(folder: Path, config_path: str) -> str:
    """Return the plate that a folder has the results of."""
    config = validate(WorkflowConfig, load_config(config_path))
    places = {name: Path(config.results, name) for name in config.plates}
    for name, place in places.items():
        if place.resolve() == folder.resolve():
            return name
    known = shortened(list(map(str, places.values())))
    raise ConfigError(
        f"{folder} has no results of a plate of {config_path}; expected {known}; give one of "
        "these, or the config that its results are of (--config)"
    )


def _write_folder(folder: Path, files: dict[str, bytes]) -> None:
    """Write a folder's files, and remove those of an earlier crate that are not among them."""
    if folder.is_symlink():
        raise ConfigError(f"{folder} is a link; expected a folder of ours, remove the link")
    for path in sorted(folder.rglob("*"), reverse=True):  # what is in a folder comes before it
        if path.is_dir() and not path.is_symlink():
            if not any(path.iterdir()):
                path.rmdir()
        elif path.relative_to(folder).as_posix() not in files:
            path.unlink()
    for name, content in files.items():
        with replace_file(folder / name, durable=False) as stream:
            stream.write(content)
