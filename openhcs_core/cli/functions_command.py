"""``openhcs-core functions``: what a pipeline may use."""

import json

import click

from openhcs_core.registry import FunctionMetadata, RegistryService


@click.group()
def functions_command() -> None:
    """List and describe the functions a pipeline may use.

    \b
    Examples:
      openhcs-core functions list
      openhcs-core functions show openhcs:count_cells_single_channel
      openhcs-core functions search gauss
    """


@functions_command.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def list_command(*, as_json: bool) -> None:
    """List every function, a line each."""
    _print(RegistryService().get_all_functions_with_metadata(), as_json=as_json)


@functions_command.command("search")
@click.argument("text")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def search_command(text: str, *, as_json: bool) -> None:
    """List the functions whose name or description has TEXT in it."""
    found = {
        ref: metadata
        for ref, metadata in RegistryService().get_all_functions_with_metadata().items()
        if text.lower() in f"{ref} {metadata.doc}".lower()
    }
    _print(found, as_json=as_json)


@functions_command.command("show")
@click.argument("ref")
@click.option("--json", "as_json", is_flag=True, help="Print for programs.")
def show_command(ref: str, *, as_json: bool) -> None:
    """Describe one function: parameters, defaults, outputs."""
    metadata = RegistryService().find(ref)
    if as_json:
        print(metadata.model_dump_json(indent=1))
        return
    print(f"{metadata.ref}: {metadata.doc}")
    print(f"  takes a stack as {metadata.contract.value}, in {metadata.input_memory_type}")
    properties = metadata.parameters_schema.get("properties", {})
    assert isinstance(properties, dict)
    for name, schema in properties.items():
        assert isinstance(schema, dict)
        limits = ", ".join(
            f"{key} {value}"
            for key, value in schema.items()
            if key not in ("default", "description")
        )
        default = json.dumps(metadata.defaults.get(name))
        print(f"  {name} = {default}  ({limits})  {schema.get('description', '')}".rstrip())
    for output in metadata.special_outputs:
        kinds = [option.kind for option in output.spec.options] if output.spec else []
        print(f"  gives {output.name} ({', '.join(kinds) or 'in memory'})")


def _print(functions: dict[str, FunctionMetadata], *, as_json: bool) -> None:
    if as_json:
        data = {ref: metadata.model_dump(mode="json") for ref, metadata in functions.items()}
        print(json.dumps(data, indent=1))
        return
    for ref, metadata in sorted(functions.items()):
        print(f"{ref:44} {metadata.doc}")
