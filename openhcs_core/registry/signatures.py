"""Parameters of a function as JSON Schema."""

import inspect
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints

from pydantic import Field, JsonValue, create_model
from pydantic.json_schema import GenerateJsonSchema

from openhcs_core.config import FrozenModel

_TABLE = Annotated[
    str, Field(pattern="^[^/]+/[^/]+$", description="A plate table, such as count/cell_counts")
]
_VALUE_SCHEMAS: dict[type, dict[str, JsonValue]] = {
    bool: {"type": "boolean"},
    int: {"type": ["number", "array"]},
    float: {"type": ["number", "array"]},
    str: {"type": "string"},
}


def annotated_schema(
    function: Callable[..., Any], hidden: Collection[str] = (), tables: Collection[str] = ()
) -> dict[str, JsonValue]:
    """Return the JSON Schema of the keyword parameters of a function with type hints.

    Parameters
    ----------
    function : callable
        Its first parameter is the image stack and is left out.
    hidden : collection of str
        Parameters to leave out: those that take special outputs.
    tables : collection of str
        Parameters that take a plate table, which is named in text; the first may be one.
    """
    parameters = [
        parameter
        for parameter in (*_first_of(function, tables), *keyword_parameters(function))
        if parameter.name not in hidden
    ]
    hints = _hints(function, {parameter.name for parameter in parameters} - {*tables})
    hints |= dict.fromkeys(tables, _TABLE)
    fields: dict[str, Any] = {}
    for parameter in parameters:
        default = ... if parameter.default is inspect.Parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    model = create_model(function.__name__, __base__=FrozenModel, **fields)
    return model.model_json_schema(schema_generator=_UntitledSchema)


def _first_of(function: Callable[..., Any], tables: Collection[str]) -> list[inspect.Parameter]:
    """Return the first parameter where it is one of `tables`: then it is no image stack."""
    first = list(inspect.signature(function).parameters.values())[:1]
    return [parameter for parameter in first if parameter.name in tables]


def _hints(function: Callable[..., Any], names: Collection[str]) -> dict[str, Any]:
    """Return the type hints of some parameters; what those of others name need not exist."""
    own = inspect.unwrap(function)
    wanted = {name: hint for name, hint in own.__annotations__.items() if name in names}
    return get_type_hints(
        SimpleNamespace(__annotations__=wanted), own.__globals__, include_extras=True
    )


class _UntitledSchema(GenerateJsonSchema):
    """Leave out titles, which repeat the names."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def unannotated_schema(
    function: Callable[..., Any], hidden: Collection[str]
) -> dict[str, JsonValue]:
    """Return a JSON Schema made from names and defaults, for libraries without type hints.

    A number may also be a list (a value an axis); parameters whose default is
    None or of another type take anything.
    """
    properties: dict[str, JsonValue] = {}
    required: list[JsonValue] = []
    for parameter in keyword_parameters(function):
        if parameter.name in hidden:
            continue
        if parameter.default is inspect.Parameter.empty:
            required.append(parameter.name)
            properties[parameter.name] = {}
        else:
            schema = dict(_VALUE_SCHEMAS.get(type(parameter.default), {}))
            properties[parameter.name] = schema
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def plain_defaults(
    function: Callable[..., Any], hidden: Collection[str] = ()
) -> dict[str, JsonValue]:
    """Return defaults that JSON can hold, by parameter name."""
    return {
        parameter.name: parameter.default
        for parameter in keyword_parameters(function)
        if parameter.name not in hidden
        and (parameter.default is None or type(parameter.default) in _VALUE_SCHEMAS)
    }


def first_line(function: Callable[..., Any]) -> str:
    """Return the first line of a docstring."""
    return (inspect.getdoc(function) or "").split("\n", 1)[0]


def keyword_parameters(function: Callable[..., Any]) -> list[inspect.Parameter]:
    """Return the parameters after the image stack that can be given by name."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [
        parameter
        for parameter in list(inspect.signature(function).parameters.values())[1:]
        if parameter.kind in kinds
    ]
