"""Which values go from one job to another, in words and of a declared type."""

from openhcs_core.pipeline.value_types import ABSTRACT, ARRAY, ValueType, alternatives

WHAT_TRAVELS = (
    "None, bool, int, float, str, and lists, tuples and dicts of these; numpy arrays and numbers "
    "without objects; pandas DataFrames with columns of such numbers or of text, times or plain "
    "values"
)
_COLLECTIONS = frozenset(f"builtins:{name}" for name in ("list", "tuple", "dict"))
_TRAVELLING = (
    frozenset(f"builtins:{name}" for name in ("NoneType", "bool", "int", "float", "str", "object"))
    | _COLLECTIONS
    | {ARRAY, "pandas:DataFrame", "pandas.core.frame:DataFrame"}
)
_NUMBER = "numpy:generic"
_NEVER = frozenset(
    [
        *(f"collections.abc:{name}" for name in ("Callable", "Generator", "Iterator")),
        *(f"collections.abc:{name}" for name in ("Set", "MutableSet")),
    ]
)
"""Abstract classes that nothing travelling is of."""


def travels(type_: ValueType) -> bool:
    """Return False if no value declared so goes to another job, as far as the type says.

    Values travel by their exact type: one of a subclass would come back as another.
    """
    return not type_.is_known or any(map(_travels, alternatives(type_)))


def _travels(type_: ValueType) -> bool:
    if type_.members or not type_.names:
        return travels(type_)
    if type_.name in ABSTRACT:
        return type_.name not in _NEVER
    if type_.name == ARRAY:
        return not any(
            dtype.name == "numpy:object_" for of in type_.arguments[1:] for dtype in of.arguments
        )
    if type_.name in _COLLECTIONS:
        return all(map(travels, type_.arguments))
    return type_.name in _TRAVELLING or _NUMBER in type_.names
