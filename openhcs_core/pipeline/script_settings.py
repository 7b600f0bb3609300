"""What keywords of a FunctionStep mean: settings of a step, OpenHCS's configs, parameters."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from openhcs_core.config import StepConfig
from openhcs_core.pipeline.script_values import RefusedError, describe, plain
from openhcs_core.pipeline.stand_ins import Call

PROCESSING = ("variable_components", "group_by", "input_source")
_SETTINGS = frozenset(StepConfig.model_fields) - {"name", "func"}
_VIEWERS = ("streaming_config", "visualizer_config")
_MATERIALIZATION = ("step_materialization_config", "materialization_config")
_OF_ALL_STEPS = ("well_filter", "source_bindings", "dtype")
"""Settings of OpenHCS's PipelineConfig that would change results."""


class Meaning(NamedTuple):
    """What one keyword says; `settings` in the words of a pipeline file."""

    settings: Mapping[str, Any] = {}
    parameters: Mapping[str, Any] = {}
    warning: str | None = None


def read_keyword(key: str, value: Any) -> Meaning:
    """Sort a keyword of a FunctionStep.

    Raises
    ------
    RefusedError
        It says something that has no counterpart.
    """
    if key in _SETTINGS:
        return Meaning({key: plain(value)})
    if key.endswith("_config"):
        return _read_config(key, value)
    if key == "enabled" and not value:
        raise RefusedError("a step cannot be switched off; leave it out of pipeline_steps")
    if key == "force_disk_output":
        return Meaning({"keep": bool(value)})
    if key in {"enabled", "description"}:
        return Meaning()
    return Meaning(parameters={key: plain(value)})


def _read_config(key: str, value: Any) -> Meaning:
    if value is None:
        return Meaning()
    if key == "processing_config":
        return Meaning(read_processing(_keywords(key, value)))
    if key in _MATERIALIZATION:
        return Meaning(_read_materialization(_keywords(key, value)))
    if key.endswith(_VIEWERS):
        return Meaning(warning=f"{key} is not used: there is no viewer")
    if key == "step_well_filter_config":
        raise RefusedError(
            "a step has all wells of its plate; choose them with plates.<name>.wells in the config"
        )
    raise RefusedError(f"{key} has no counterpart here; leave it out")


def _read_materialization(given: Mapping[str, Any]) -> dict[str, Any]:
    is_kept = given.get("enabled") is not False
    sub_dir = given.get("sub_dir")
    if not is_kept or sub_dir is None:
        return {"keep": is_kept}
    return {"keep": True, "materialize": {"sub_dir": plain(sub_dir)}}


def read_processing(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a processing config says, in the words of a pipeline file; None says nothing.

    Raises
    ------
    RefusedError
        It says something that has no counterpart.
    """
    settings = {key: plain(value) for key, value in given.items() if value is not None}
    if unknown := sorted(set(settings) - set(PROCESSING)):
        raise RefusedError(f"{', '.join(unknown)}: no counterpart here; leave it out")
    if settings.get("input_source") == "previous_step":
        settings["input_source"] = "previous"
    return settings


def read_pipeline_config(config: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return the settings of OpenHCS's PipelineConfig for all steps, and the unused ones' names.

    Raises
    ------
    RefusedError
        It says something that would change results and has no counterpart.
    """
    if not isinstance(config, Call):
        return {}, ()
    given = {key: value for key, value in config.keywords.items() if value is not None}
    if refused := [key for key in given if key.startswith(_OF_ALL_STEPS)]:
        raise RefusedError(f"{', '.join(refused)}: no counterpart here; leave it out")
    processing = given.pop("processing_config", None)
    unused = tuple(sorted(given))
    if processing is None:
        return {}, unused
    return read_processing(_keywords("processing_config", processing)), unused


def _keywords(key: str, value: Any) -> Mapping[str, Any]:
    if isinstance(value, Call) and not value.arguments:
        return value.keywords
    raise RefusedError(
        f"{key} must be one of OpenHCS's configs, with keywords; found {describe(value)}"
    )
