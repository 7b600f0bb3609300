"""Functions of user modules in a job: the code that the plan was made with, or none."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from openhcs_core.errors import PlanChangedError
from openhcs_core.plan import SOURCE_VERSION, StepPlan, digest_bytes
from openhcs_core.registry.user_import import load_module
from openhcs_core.registry.user_source import ModuleSource, read_source
from openhcs_core.runtime.calls import FunctionLoader
from openhcs_core.runtime.job import Location


class UserFunctions:
    """A loader that takes user modules from their files and all else from another one.

    Parameters
    ----------
    sources : mapping of str to ModuleSource
        Code by library, as it was read.
    load : callable
        Gives all other functions.
    """

    def __init__(self, sources: Mapping[str, ModuleSource], load: FunctionLoader) -> None:
        self._sources, self._load = sources, load

    def __call__(self, ref: str) -> Callable[..., Any]:
        """Return the function of a reference."""
        library, _, name = ref.partition(":")
        if library not in self._sources:
            return self._load(ref)
        function: Callable[..., Any] = getattr(load_module(self._sources[library]), name)
        return function

    def file_digests(self) -> dict[str, dict[str, str]] | None:
        """Return the digest of each file's bytes, by library and by path beside its module.

        None where a folder stands for a module: it has no bytes.
        """
        files = [file for source in self._sources.values() for file in source.files.values()]
        if any(file.path.is_dir() for file in files):
            return None
        return {
            library: {
                file.path.relative_to(source.path.parent).as_posix(): digest_bytes(file.content)
                for file in source.files.values()
            }
            for library, source in self._sources.items()
        }


def with_user_functions(plan: StepPlan, location: Location, load: FunctionLoader) -> UserFunctions:
    """Return a loader that takes user modules from their files and all else from `load`.

    The files are read once: what is compared with the plan is what runs.

    Raises
    ------
    CompileError
        A file cannot be read.
    PlanChangedError
        It has other code than the plan was made with.
    """
    sources: dict[str, ModuleSource] = {}
    for function in plan.functions:
        library = function.ref.partition(":")[0]
        if library not in location.functions:
            continue
        if library not in sources:
            sources[library] = read_source(Path(location.functions[library]))
        if sources[library].digest != function.versions.get(SOURCE_VERSION):
            raise PlanChangedError(
                f"{sources[library].path} (or what it imports from its folder) has other code than "
                f"step {plan.step_name!r} was planned with: changed since, or read by another "
                f"Python (here {sys.version_info[0]}.{sys.version_info[1]}); nothing was written, "
                "run snakemake again, which compiles first"
            )
    return UserFunctions(sources, load)
