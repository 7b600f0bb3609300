"""``openhcs-core functions``: what a pipeline may use."""

import json
from typing import Any

import click

from openhcs_core.config import WorkflowConfig, load_config, validate
from openhcs_core.errors import OpenHCSError, collecting, raise_all
from openhcs_core.pipeline import ProcessingContract
from openhcs_core.pipeline.value_types import ValueType
from openhcs_core.plan import SpecialOutputPlan
from openhcs_core.registry import FunctionMetadata, RegistryService
from openhcs_core.session.user_modules import open_functions

_CONTRACTS = {
    ProcessingContract.PURE_3D: "on a whole stack",
    ProcessingContract.PURE_2D: "slice by slice",
    ProcessingContract.FLEXIBLE: "on a volume along z, slice by slice along anything else",
    ProcessingContract.VOLUMETRIC_TO_SLICE: "on a whole stack, and gives one slice",
    ProcessingContract.PLATE: "once for all wells (scope: plate), and gives no image",
    ProcessingContract.BATCH_2D: "on a whole stack, each slice alone",
}
_KINDS = {"integer": "whole number", "boolean": "true or false", "string": "text", "null": "null"}
_KINDS |= {"array": "a number an axis"}
_BOUNDS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to"}


@click.group()
def functions_command() -> None:
    """List and describe the functions a pipeline may use.

    \b
    Examples:
      openhcs-core functions list
      openhcs-core functions show openhcs:count_cells_single_channel
      openhcs-core functions search gauss
      openhcs-core functions list --config config/config.yaml
    """


_config_option = click.option("--config", help="A config file: the modules it names as well.")


def _functions(config: str | None) -> RegistryService:
    """Return the functions that come with this software, or all that a config has.

    Raises
    ------
    ErrorGroup
        The config or one of its modules is wrong.
    """
    if config is None:
        return RegistryService()
    document = load_config(config)
    errors: list[OpenHCSError] = []
    functions = open_functions(document, errors)
    with collecting(errors):
        validate(WorkflowConfig, document)
    raise_all(config, errors)
    return functions


@functions_command.command("list")
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def list_command(*, config: str | None, as_json: bool) -> None:
    """List every function, a line each.

    \b
    Example:
      openhcs-core functions list --json
    """
    _print(_functions(config).get_all_functions_with_metadata(), as_json=as_json)


@functions_command.command("search")
@click.argument("text")
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def search_command(text: str, *, config: str | None, as_json: bool) -> None:
    """List the functions whose name or description has TEXT in it.

    \b
    Example:
      openhcs-core functions search gauss
    """
    found = {
        ref: metadata
        for ref, metadata in _functions(config).get_all_functions_with_metadata().items()
        if text.lower() in f"{ref} {metadata.doc}".lower()
    }
    _print(found, as_json=as_json)


@functions_command.command("show")
@click.argument("ref")
@_config_option
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def show_command(ref: str, *, config: str | None, as_json: bool) -> None:
    """Describe one function: parameters, defaults, outputs.

    \b
    Example:
      openhcs-core functions show openhcs:tophat
    """
    metadata = _functions(config).find(ref)
    if as_json:
        print(metadata.model_dump_json(indent=1))
        return
    print(f"{metadata.ref}: {metadata.doc}")
    print(f"  works {_CONTRACTS[metadata.contract]}, in {metadata.input_memory_type}")
    properties = metadata.parameters_schema.get("properties", {})
    assert isinstance(properties, dict)
    for name, schema in properties.items():
        assert isinstance(schema, dict)
        default = json.dumps(metadata.defaults.get(name, schema.get("default")))
        text = f"  {name} = {default}  ({_limits(schema)})  {schema.get('description', '')}"
        print(text.rstrip())
    for special in metadata.special_inputs:
        type_ = _type(metadata.special_input_types.get(special))
        print(f"  takes {special}{type_} (a special output of an earlier function)")
    for output in metadata.special_outputs:
        type_ = _type(metadata.special_output_types.get(output.name))
        print(f"  gives {output.name}{type_} ({_files(output)})")


def _type(type_: ValueType | None) -> str:
    return "" if type_ is None else f": {type_}"


def _files(output: SpecialOutputPlan) -> str:
    """Say what is written of an output, the main file first."""
    if output.spec is None:
        return "in memory"
    others = [option for option in output.spec.options if option is not output.spec.primary_options]
    usual = {".csv", ".json", ".roi.zip", ".tif", ".txt"}
    return ", ".join(
        option.kind
        if option.filename_suffix in usual
        else f"{option.kind} {option.filename_suffix}"
        for option in (output.spec.primary_options, *others)
    )


def _limits(schema: dict[str, Any]) -> str:
    """Say what a parameter takes, from its JSON Schema."""
    if "anyOf" in schema:
        return " or ".join(_limits(option) for option in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(map(str, schema["enum"]))
    kinds = schema.get("type", "any value")
    if kinds == "array" and schema.get("items", {}).get("type") == "string":
        return "a list of names"
    words = [_KINDS.get(kind, kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)]
    bounds = [f"{_BOUNDS[key]} {schema[key]}" for key in _BOUNDS if key in schema]
    return " ".join([" or ".join(words), *bounds])


def _print(functions: dict[str, FunctionMetadata], *, as_json: bool) -> None:
    if as_json:
        data = {ref: metadata.model_dump(mode="json") for ref, metadata in functions.items()}
        print(json.dumps(data, indent=1))
        return
    for ref, metadata in sorted(functions.items()):
        print(f"{ref:44} {metadata.doc}")
