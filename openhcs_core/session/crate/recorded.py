"""A crate as a run is repeated from it: its sources and manifests, as they were described.

A crate comes from elsewhere. Only files that its description names, with the SHA-256 that it
gives, are used; names and paths in it must stay inside it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import unquote

from openhcs_core.config import WorkflowConfig, load_yaml, validate
from openhcs_core.errors import ConfigError, InputDataError
from openhcs_core.plan import CRATE_FOLDER, CRATE_METADATA
from openhcs_core.runtime import Manifest, read_manifest
from openhcs_core.session.crate.sources import CONFIG, SNAKEFILE

_AGAIN = "make the crate again with 'openhcs-core rocrate', or take another copy of it"


@dataclass(frozen=True)
class RecordedCrate:
    """What a crate says of a run.

    Attributes
    ----------
    folder : Path
        The crate.
    digests : dict
        SHA-256 of its files, by path in it.
    config : WorkflowConfig
        Of the one plate.
    manifests : dict
        By path in the crate.
    """

    folder: Path
    digests: Mapping[str, str]
    config: WorkflowConfig
    manifests: Mapping[str, Manifest]

    @property
    def plate(self) -> str:
        """The plate's name."""
        return next(iter(self.config.plates))

    @property
    def tables(self) -> dict[str, str]:
        """Return the SHA-256 of its tables, by path in it."""
        return {path: sha for path, sha in self.digests.items() if path.startswith("tables/")}

    def sources(self) -> dict[str, bytes]:
        """Return the files that the run is repeated from, by path among them."""
        prefix = f"{CRATE_FOLDER}/"
        return {
            path.removeprefix(prefix): self._read(path)
            for path in self.digests
            if path.startswith(prefix)
        }

    def _read(self, path: str) -> bytes:
        return read_described(self.folder, path, self.digests[path])


def read_crate(folder: Path) -> RecordedCrate:
    """Read a crate.

    Parameters
    ----------
    folder : Path
        The folder that has ``ro-crate-metadata.json``.

    Raises
    ------
    ConfigError
        It is no crate of this software.
    InputDataError
        A file of it is missing, or not the one that was described.
    """
    digests = _described_files(folder)
    config_path = f"{CRATE_FOLDER}/{CONFIG}"
    for path in (config_path, f"{CRATE_FOLDER}/{SNAKEFILE}"):
        if path not in digests:
            raise ConfigError(
                f"{folder / CRATE_METADATA} describes no {path}; expected a crate that "
                "'openhcs-core rocrate' wrote"
            )
        read_described(folder, path, digests[path])
    config = validate(WorkflowConfig, load_yaml(folder / config_path))
    _check_paths(config, folder / config_path)
    manifests = {}
    for path, sha256 in digests.items():
        if path.startswith("manifests/"):
            read_described(folder, path, sha256)
            manifests[path] = read_manifest(folder / path)
    return RecordedCrate(folder, digests, config, manifests)


def read_described(folder: Path, path: str, sha256: str) -> bytes:
    """Return a file of a crate.

    Raises
    ------
    InputDataError
        It is missing, or another one than was described.
    """
    try:
        content = (folder / path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise InputDataError(f"{folder / path} is missing; {_AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise InputDataError(
            f"{folder / path} is not the file that {CRATE_METADATA} describes: SHA-256 {found}, "
            f"expected {sha256}; {_AGAIN}"
        )
    return content


def _described_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file that a crate describes."""
    path = folder / CRATE_METADATA
    try:
        graph = json.loads(path.read_bytes())["@graph"]
        return {
            _inside(unquote(entity["@id"]), path): entity["sha256"]
            for entity in graph
            if "sha256" in entity
        }
    except FileNotFoundError as error:
        raise ConfigError(
            f"{folder} is no crate: it has no {CRATE_METADATA}; expected the folder of a plate's "
            "results that 'openhcs-core rocrate' described (unzip it first)"
        ) from error
    except (ValueError, KeyError, TypeError, NotADirectoryError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path} is no RO-Crate description ({error!r}); {_AGAIN}") from error


def _inside(name: str, where: Path) -> str:
    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts:
        raise ConfigError(f"{where}: {name!r} is outside the crate; expected paths inside it")
    return parts.as_posix()


def _check_paths(config: WorkflowConfig, where: Path) -> None:
    """Refuse a config that is not of one plate, or names files outside the crate."""
    if len(config.plates) != 1:
        raise ConfigError(f"{where} has {len(config.plates)} plates; expected one")
    (plate,) = config.plates.values()
    named: list[Any] = [config.pipeline, plate.pipeline, plate.plate_map, *config.functions]
    for name in filter(None, named):
        _inside(name, where)
