"""Function metadata of heavy libraries: made once in a child process, kept as JSON.

The file's name carries a digest of the library versions and of the registries' own
code, so an upgrade of either makes a new file; a damaged file is made again.
"""

import logging
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ConfigDict, TypeAdapter, ValidationError

from openhcs_core.errors import CompileError
from openhcs_core.ground.atomic import replace_file
from openhcs_core.plan import canonical_json, digest_text
from openhcs_core.registry.source import source_digest
from openhcs_core.registry.unified_registry import FunctionMetadata

if TYPE_CHECKING:
    from openhcs_core.registry.unified_registry import LibraryRegistryBase

logger = logging.getLogger(__name__)
FUNCTIONS: TypeAdapter[dict[str, FunctionMetadata]] = TypeAdapter(
    dict[str, FunctionMetadata], config=ConfigDict(defer_build=True)
)


def cached_functions(registry: "LibraryRegistryBase") -> dict[str, FunctionMetadata]:
    """Return a library's functions from its cache file, making the file when there is none.

    Raises
    ------
    CompileError
        The library cannot be imported; the message has the child's last line.
    """
    path = cache_file(registry.library_name, _identity(registry))
    try:
        return FUNCTIONS.validate_json(path.read_bytes())
    except FileNotFoundError:
        logger.info("describing the functions of %s (once a version)", registry.library_name)
    except (OSError, ValidationError) as error:
        logger.warning("%s is not usable (%s); making it again", path, type(error).__name__)
    data = _describe_in_child(registry.library_name)
    functions = FUNCTIONS.validate_json(data)
    write_cache(path, data)
    return functions


def cache_file(library_name: str, identity: str) -> Path:
    """Return where the description of a library's functions is kept."""
    from platformdirs import user_cache_path

    return user_cache_path("openhcs-core") / f"functions-{library_name}-{identity}.json"


def _identity(registry: "LibraryRegistryBase") -> str:
    identity = {
        "versions": registry.get_library_versions(),
        "source": source_digest(type(registry).__module__, "openhcs_core.registry"),
        "python": sys.version_info[:2],
    }
    return digest_text(canonical_json(identity))


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


def write_cache(path: Path, data: bytes) -> None:
    """Keep a description, in one step; a folder that cannot be written is only slower."""
    try:
        with replace_file(path, durable=False) as stream:
            stream.write(data)
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s); functions are listed anew each time", path, error
        )
