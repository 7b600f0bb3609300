"""Each plate of a config is compiled by itself first: what is wrong with one is known at once."""

from collections.abc import Sequence
from dataclasses import dataclass

from openhcs_core.config import WorkflowConfig, load_config, validate
from openhcs_core.errors import ConfigError, ErrorGroup, InputDataError, OpenHCSError, shortened
from openhcs_core.plan import RunTotals
from openhcs_core.session.compiling import Compilation, compile_workflow
from openhcs_core.session.totals import GB, all_wells, total
from openhcs_core.session.version_drift import describe_drift, find_drift, refuse_drift


@dataclass(frozen=True)
class CheckedPlate:
    """A plate that can be run, or what is wrong with it.

    Attributes
    ----------
    name : str
        As in the config.
    wells, jobs : int
        Of a run from nothing.
    totals : RunTotals or None
        What that is predicted to take.
    error : OpenHCSError, ErrorGroup or None
        Why it cannot be run.
    warnings : tuple of str
        With which other versions its results were made, or those of other plates.
    """

    name: str
    wells: int = 0
    jobs: int = 0
    totals: RunTotals | None = None
    error: OpenHCSError | ErrorGroup | None = None
    warnings: tuple[str, ...] = ()


def plates_to_run(config_path: str, names: Sequence[str]) -> tuple[str, list[str], list[str]]:
    """Return the results folder of a config, its plates, and those of them that are named, or all.

    Raises
    ------
    ErrorGroup, ConfigError
        The config is wrong: nothing is run then. It has no plate of a name.
    """
    config = validate(WorkflowConfig, load_config(config_path))
    for name in names:
        if name not in config.plates:
            raise ConfigError(f"no plate {name!r}; the config has {shortened(list(config.plates))}")
    chosen = [name for name in config.plates if not names or name in names]
    return config.results.rstrip("/"), list(config.plates), chosen


def compile_alone(config_path: str, name: str) -> Compilation:
    """Compile one plate of a config.

    Raises
    ------
    OpenHCSError, ErrorGroup
        It cannot be compiled.
    """
    try:
        return compile_workflow(config_path, name)
    except OSError as error:
        if isinstance(error, OpenHCSError):
            raise
        # a folder that may not be read, a share that is away
        text = f"plate {name!r}: {error.filename}: {error.strerror or error}"
        raise InputDataError(text) from error


def check_plate(config_path: str, name: str) -> CheckedPlate:
    """Compile one plate; write nothing, and keep nothing of it."""
    try:
        compilation = compile_alone(config_path, name)
        warnings = _find_drift(compilation, config_path)
    except (OpenHCSError, ErrorGroup) as error:
        return CheckedPlate(name, error=error)
    (plan,) = compilation.compiled.plates
    cache_bytes = compilation.config.storage.cache_gb * GB
    totals = total([(plan, all_wells(plan))], cache_bytes)
    return CheckedPlate(name, len(plan.wells), plan.job_count, totals, None, warnings)


def _find_drift(compilation: Compilation, config_path: str) -> tuple[str, ...]:
    """Return what is to be said of other versions than before, or raise where it is refused."""
    wanted = compilation.config.version_drift
    drift = () if wanted == "ignore" else find_drift(compilation.compiled)
    if wanted == "refuse":
        refuse_drift(drift, config_path)
    return tuple(describe_drift(drift))
