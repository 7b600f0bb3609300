"""Functions of user modules in a job: the code that the plan was made with, or none."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from openhcs_core.errors import PlanChangedError
from openhcs_core.plan import SOURCE_VERSION, StepPlan
from openhcs_core.registry.user_import import load_module
from openhcs_core.registry.user_source import ModuleSource, read_source
from openhcs_core.runtime.calls import FunctionLoader
from openhcs_core.runtime.job import Location


def with_user_functions(plan: StepPlan, location: Location, load: FunctionLoader) -> FunctionLoader:
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

    def load_function(ref: str) -> Callable[..., Any]:
        library, _, name = ref.partition(":")
        if library not in sources:
            return load(ref)
        function: Callable[..., Any] = getattr(load_module(sources[library]), name)
        return function

    return load_function
