"""Types of values as data, and whether a value of one can be taken for another.

Type hints are read where a function is imported (:mod:`openhcs_core.pipeline.type_hints`),
maybe in a child process; what is compared is this description. The answer is no only where
it is sure: what is not known, or known by a protocol, fits everything.
"""

from openhcs_core.config.base import FrozenModel

_COLLECTIONS = (
    "Callable", "Collection", "Container", "Generator", "Hashable", "Iterable", "Iterator",
    "Mapping", "MutableMapping", "MutableSequence", "MutableSet", "Reversible", "Sequence", "Set",
    "Sized",
)  # fmt: skip
_NUMBERS = ("Number", "Complex", "Real", "Rational", "Integral")
ABSTRACT = frozenset(
    [
        *(f"collections.abc:{name}" for name in _COLLECTIONS),
        *(f"numbers:{name}" for name in _NUMBERS),
    ]
)
"""Classes that a value can be of without inheriting from them, and more than one at once."""

MAPPING = "collections.abc:Mapping"
_SEQUENCE = "collections.abc:Sequence"
_APART = (_SEQUENCE, MAPPING, "collections.abc:Set", "numbers:Number")
"""Nothing is of two of these."""
_RANKS = {
    "numpy:bool": 1,
    "numpy:bool_": 1,
    "numbers:Integral": 1,
    "numbers:Real": 2,
    "numbers:Complex": 3,
}
ARRAY = "numpy:ndarray"
_TEXT = "builtins:str"


class ValueType(FrozenModel):
    """What a type hint says.

    Attributes
    ----------
    names : tuple of str
        ``module:class`` of the class, then of all it inherits from and of the abstract classes
        of Python that its values are of. Empty for what is not known and for a union.
    arguments : tuple of ValueType
        The types in brackets; empty where there are none or they are not known.
    repeats : bool
        A tuple of any length, of one type.
    members : tuple of ValueType
        The types of a union.
    """

    names: tuple[str, ...] = ()
    arguments: tuple["ValueType", ...] = ()
    repeats: bool = False
    members: tuple["ValueType", ...] = ()

    @property
    def name(self) -> str:
        """``module:class``; empty for what is not known and for a union."""
        return self.names[0] if self.names else ""

    @property
    def is_known(self) -> bool:
        """Whether the hint said anything."""
        return bool(self.names or self.members)

    def __str__(self) -> str:
        if self.members:
            return " | ".join(map(str, self.members))
        if not self.names:
            return "Any"
        name = self.name.partition(":")[2]
        if name == "NoneType":
            return "None"
        if name == "ndarray" and len(self.arguments) > 1 and self.arguments[1].arguments:
            return f"NDArray[{self.arguments[1].arguments[0]}]"
        inside = [*map(str, self.arguments), *(["..."] if self.repeats else [])]
        return f"{name}[{', '.join(inside)}]" if inside else name


ANYTHING = ValueType()


_OF_LISTS = (
    "Collection", "Container", "Iterable", "MutableSequence", "Reversible", "Sequence", "Sized",
)  # fmt: skip
_LIST_NAMES = (
    "builtins:list",
    "builtins:object",
    *(f"collections.abc:{name}" for name in _OF_LISTS),
)


def list_of(item: ValueType) -> ValueType:
    """Return the type of a list of such values."""
    return ValueType(names=_LIST_NAMES, arguments=(item,))


def alternatives(type_: ValueType) -> tuple[ValueType, ...]:
    """Return the members of a union, and anything else alone."""
    return type_.members or (type_,)


def fits(given: ValueType, taken: ValueType) -> bool:
    """Return False if no value of one type can be what the other asks for, as far as is known.

    Of a union one member that fits is enough, on either side: ``float | None`` is taken for
    ``float``. Classes fit if one inherits from the other, either way round: what is declared a
    ``Sequence`` may be a list. Whole numbers do for real and complex ones. Types in brackets
    are compared the same way.

    Parameters
    ----------
    given, taken : ValueType
        What a function returns, and what the one that gets it asks for.
    """
    return any(_fits(one, other) for one in alternatives(given) for other in alternatives(taken))


def _fits(given: ValueType, taken: ValueType) -> bool:
    if given.members or taken.members:
        return fits(given, taken)
    if not (given.names and taken.names):
        return True
    if 0 < _rank(given) <= _rank(taken):
        return True
    return _are_related(given, taken) and _contents_fit(given, taken)


def _rank(type_: ValueType) -> int:
    """Return 1 for whole numbers, 2 for real, 3 for complex ones, of any library; 0 for others."""
    return min((_RANKS[name] for name in type_.names if name in _RANKS), default=0)


def _are_related(given: ValueType, taken: ValueType) -> bool:
    if given.name in taken.names or taken.name in given.names:
        return True
    if given.name == ARRAY and taken.name == _SEQUENCE:
        return True  # does for most of what is hinted so
    apart = [{name for name in _APART if name in side.names} for side in (given, taken)]
    is_disjoint = all(apart) and apart[0] != apart[1]
    return given.name in ABSTRACT and taken.name in ABSTRACT and not is_disjoint


def _contents_fit(given: ValueType, taken: ValueType) -> bool:
    if _TEXT in given.names and _TEXT in taken.names:
        return True
    if given.name == taken.name == ARRAY:  # the first argument is a shape, which says little
        return all(map(fits, given.arguments[1:], taken.arguments[1:]))
    if _is_fixed(given) and _is_fixed(taken):
        same_length = len(given.arguments) == len(taken.arguments)
        return same_length and all(map(fits, given.arguments, taken.arguments))
    if _is_collection(given) and _is_collection(taken):
        return fits(_items(given), _items(taken)) and fits(_values(given), _values(taken))
    return given.name != taken.name or all(map(fits, given.arguments, taken.arguments))


def _is_fixed(type_: ValueType) -> bool:
    return type_.name == "builtins:tuple" and bool(type_.arguments) and not type_.repeats


def _is_collection(type_: ValueType) -> bool:
    is_standard = type_.name.startswith(("builtins:", "collections:", "collections.abc:"))
    return is_standard and "collections.abc:Iterable" in type_.names


def _items(type_: ValueType) -> ValueType:
    """Return what a loop over a collection gives."""
    if type_.name == _TEXT:
        return type_
    if _is_fixed(type_):
        return ValueType(members=type_.arguments)
    is_clear = len(type_.arguments) == 1 or MAPPING in type_.names
    return type_.arguments[0] if type_.arguments and is_clear else ANYTHING


def _values(type_: ValueType) -> ValueType:
    """Return what the keys of a mapping lead to."""
    is_pair = MAPPING in type_.names and len(type_.arguments) == 2
    return type_.arguments[1] if is_pair else ANYTHING


def texts_of(given: ValueType, taken: ValueType) -> tuple[str, str]:
    """Return two types as text, with their modules where they would read the same."""
    texts = str(given), str(taken)
    return texts if texts[0] != texts[1] else (str(_with_modules(given)), str(_with_modules(taken)))


def _with_modules(type_: ValueType) -> ValueType:
    module, _, name = type_.name.partition(":")
    shown = name if module == "builtins" else f"{module}.{name}"
    return ValueType(
        names=(f":{shown}",) if type_.names else (),
        arguments=tuple(map(_with_modules, type_.arguments)),
        repeats=type_.repeats,
        members=tuple(map(_with_modules, type_.members)),
    )
