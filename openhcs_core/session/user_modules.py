"""User modules that a config names: opened, and their mistakes put where the config names them."""

from pathlib import PurePath

from pydantic import TypeAdapter, ValidationError

from openhcs_core.config import LocatedDocument, ModulePath
from openhcs_core.errors import ConfigError, OpenHCSError, located
from openhcs_core.registry import RegistryService, UserModule

_PATH: TypeAdapter[str] = TypeAdapter(ModulePath)


def open_functions(document: LocatedDocument, errors: list[OpenHCSError]) -> RegistryService:
    """Return all functions that the pipelines of a config may use.

    Parameters
    ----------
    document : LocatedDocument
        The config; it need not be right otherwise.
    errors : list of OpenHCSError
        Gets what is wrong with its modules.
    """
    data = document.data if isinstance(document.data, dict) else {}
    named = data.get("functions")
    modules: dict[str, UserModule] = {}
    for number, path in enumerate(named if isinstance(named, list) else []):
        if not _is_module(path) or PurePath(path).stem in modules:
            continue  # the config's own check says so
        module = UserModule(path)
        modules[module.library_name] = module
        where = document.where(("functions", number))
        errors += [located(ConfigError(problem), where) for problem in module.problems]
    return RegistryService(modules=modules.values())


def module_warnings(functions: RegistryService) -> list[str]:
    """Return what user modules import whose changes nothing notices."""
    return [
        f"{module.path}: imports {name!r}, which is neither beside it nor in an installed package "
        "with a version: steps do not run again when it changes"
        for module in functions.modules
        for name in module.unversioned
    ]


def _is_module(path: object) -> bool:
    try:
        _PATH.validate_python(path)
    except ValidationError:
        return False
    return True
