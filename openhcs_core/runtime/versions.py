"""A job uses the library versions that its plan names, or does not run."""

from functools import cache
from importlib.metadata import PackageNotFoundError, version

from openhcs_core.errors import ConfigError
from openhcs_core.plan import SOURCE_VERSION, StepPlan


def check_versions(plan: StepPlan) -> None:
    """Compare installed libraries with those the plan was made with.

    Another version may give other values, and the manifest would name the wrong one. Jobs meet
    another environment when snakemake deploys one (conda) or a node has its own.

    Raises
    ------
    ConfigError
        A library is missing or of another version.
    """
    planned = {
        library: expected
        for function in plan.functions
        for library, expected in function.versions.items()
        if library != SOURCE_VERSION
    }
    found = {library: _installed(library) for library in planned}
    wrong = [
        f"{library} {expected} (here: {found[library]})"
        for library, expected in sorted(planned.items())
        if found[library] != expected
    ]
    if wrong:
        raise ConfigError(
            f"step {plan.step_name!r} was planned with {', '.join(wrong)}; install the same "
            "versions for jobs as for snakemake, or run snakemake in the jobs' environment"
        )


@cache
def _installed(library: str) -> str:
    """Return a version, read once: what a process has imported does not change with the disk."""
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"
