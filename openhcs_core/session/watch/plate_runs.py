"""One run of snakemake for one plate of a drop folder."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openhcs_core.config import LocatedDocument, PlateConfig, WorkflowConfig, load_config, validate
from openhcs_core.errors import ConfigError
from openhcs_core.session.child_runs import ChildRun, wait_for
from openhcs_core.session.files import write_files
from openhcs_core.session.snakemake_arguments import (
    find_snakefile,
    snakemake_command,
)

WATCH_FOLDER = ".watch"


@dataclass(frozen=True, slots=True)
class WatchOptions:
    """What to do with the plates of a drop folder.

    Attributes
    ----------
    folder : Path
        Each folder in it may be a plate.
    pipeline, results : str
        As in the config.
    settings : str or None
        A config whose other keys hold for every plate.
    microscope : str
        As in the config.
    settle_s : float
        A plate is finished when nothing changed for so long.
    complete_wells : bool
        Wells that are complete are run before the plate is.
    snakefile : str
        The workflow.
    arguments : tuple of str
        For snakemake.
    """

    folder: Path
    pipeline: str
    results: str
    settings: str | None
    microscope: str
    settle_s: float
    complete_wells: bool
    snakefile: str
    arguments: tuple[str, ...]

    def fingerprint(self) -> tuple[object, ...]:
        """Return what changes when pipeline or settings are edited."""
        paths = [self.pipeline, *([self.settings] if self.settings else [])]
        return tuple(os.stat(path).st_mtime_ns for path in paths if os.path.exists(path))  # noqa: PTH110, PTH116


@dataclass(frozen=True, slots=True)
class PlateRun:
    """What is to be run.

    Attributes
    ----------
    name, config : str
        The plate, and its config.
    options : WatchOptions
        How.
    content : mapping of str to str
        The plans: the same plans are not tried twice by one process.
    """

    name: str
    config: str
    options: WatchOptions
    content: Mapping[str, str]

    @property
    def log(self) -> str:
        """What snakemake said."""
        return f"{self.options.results}/{WATCH_FOLDER}/{self.name}.log"

    @property
    def command(self) -> list[str]:
        """What is called."""
        options = self.options
        return snakemake_command(options.snakefile, options.arguments, self.config, self.name)

    def run(self) -> int:
        """Run it to its end; return snakemake's exit code.

        A KeyboardInterrupt is handed on: snakemake and its jobs get SIGINT, as from a terminal,
        and are waited for.
        """
        return wait_for(ChildRun(self.command, Path(self.log)))


def check_options(folder: Path, pipeline: str, snakefile: str | None) -> str:
    """Return the Snakefile to use.

    Raises
    ------
    ConfigError
        Drop folder, pipeline or Snakefile are not there.
    """
    if not folder.is_dir():
        raise ConfigError(f"{folder} is no folder; expected one that plates are copied into")
    if not Path(pipeline).is_file():
        raise ConfigError(f"pipeline {pipeline} is not there; `openhcs-core init PLATE` writes one")
    return find_snakefile(snakefile)


def write_config(
    name: str, folder: Path, options: WatchOptions, wells: Sequence[str] | None
) -> str:
    """Write a plate's config, where it differs from what is there; return its path.

    Parameters
    ----------
    wells : sequence of str or None
        Only these; None for what the settings say, or all.
    """
    path = f"{options.results}/{WATCH_FOLDER}/{name}.yaml"
    text = json.dumps(_config(name, folder, options, wells), indent=1, ensure_ascii=False)
    write_files({path: f"# Written by openhcs-core watch.\n{text}\n"})
    return path


def plate_settings(name: str, folder: Path, options: WatchOptions) -> PlateConfig:
    """Return what the settings say of a plate.

    Raises
    ------
    ErrorGroup
        They are wrong.
    """
    content = _config(name, folder, options, None)
    document = LocatedDocument(options.settings or "settings", content, {})
    return validate(WorkflowConfig, document).plates[name]


def _config(
    name: str, folder: Path, options: WatchOptions, wells: Sequence[str] | None
) -> dict[str, Any]:
    settings = _settings(options)
    plates = settings.get("plates")
    own = plates.get(name) if isinstance(plates, dict) else None
    plate = {**(own if isinstance(own, dict) else {}), "path": str(folder.resolve())}
    if options.microscope != "auto":
        plate["microscope"] = options.microscope
    if wells is not None:
        plate["wells"] = list(wells)
    return {
        **settings,
        "plates": {name: plate},
        "pipeline": options.pipeline,
        "results": options.results,
    }


def _settings(options: WatchOptions) -> dict[str, Any]:
    if options.settings is None:
        return {}
    data = load_config(options.settings).data
    if not isinstance(data, dict):
        raise ConfigError(f"{options.settings}: expected settings (key: value) as in a config")
    return data
