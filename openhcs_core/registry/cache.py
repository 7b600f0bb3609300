"""Function metadata of heavy libraries: made once in a child process, kept as JSON.

The file's name carries a digest of the library versions and of the registries' own
code, so an upgrade of either makes a new file; a damaged file is made again.
"""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from openhcs_core.errors import CompileError
from openhcs_core.plan import canonical_json, digest_text
from openhcs_core.registry.source import source_digest
from openhcs_core.registry.unified_registry import FunctionMetadata

if TYPE_CHECKING:
    from openhcs_core.registry.unified_registry import LibraryRegistryBase

logger = logging.getLogger(__name__)
FUNCTIONS: TypeAdapter[dict[str, FunctionMetadata]] = TypeAdapter(dict[str, FunctionMetadata])


def cached_functions(registry: "LibraryRegistryBase") -> dict[str, FunctionMetadata]:
    """Return a library's functions from its cache file, making the file when there is none.

    Raises
    ------
    CompileError
        The library cannot be imported; the message has the child's last line.
    """
    path = _cache_path(registry)
    try:
        return FUNCTIONS.validate_json(path.read_bytes())
    except FileNotFoundError:
        logger.info("describing the functions of %s (once a version)", registry.library_name)
    except (OSError, ValidationError) as error:
        logger.warning("%s is not usable (%s); making it again", path, type(error).__name__)
    data = _describe_in_child(registry.library_name)
    functions = FUNCTIONS.validate_json(data)
    _write(path, data)
    return functions


def _cache_path(registry: "LibraryRegistryBase") -> Path:
    from platformdirs import user_cache_path

    identity = {
        "versions": registry.get_library_versions(),
        "source": source_digest(type(registry).__module__, "openhcs_core.registry"),
        "python": sys.version_info[:2],
    }
    name = f"functions-{registry.library_name}-{digest_text(canonical_json(identity))}.json"
    return user_cache_path("openhcs-core") / name


def _describe_in_child(library_name: str) -> bytes:
    child = subprocess.run(
        [sys.executable, "-m", "openhcs_core.registry.discover", library_name],
        capture_output=True,
        check=False,
    )
    if child.returncode != 0:
        lines = child.stderr.decode(errors="replace").strip().splitlines() or ["no output"]
        raise CompileError(
            f"functions of '{library_name}:' cannot be listed: {lines[-1]}; "
            "install the library, or take the functions out of the pipeline"
        )
    return child.stdout


def _write(path: Path, data: bytes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent)
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(name).replace(path)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s); functions are listed anew each time", path, error
        )
