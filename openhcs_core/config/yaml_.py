"""YAML 1.2 with line numbers.

ruamel.yaml reads YAML 1.2, where ``1e-3`` is a number and ``on`` is text;
PyYAML, which Snakemake's ``configfile:`` uses, reads 1.1 and gets both wrong.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from openhcs_core.config.base import FrozenModel, KeyPath
from openhcs_core.errors import ConfigError, located, raise_all
from openhcs_core.ground.texts import is_text

MOST_YAML_BYTES = 4 * 2**20
_MOST_NODES = 100_000
"""Aliases make any number of values of a few bytes."""

M = TypeVar("M", bound=FrozenModel)


@dataclass(frozen=True)
class LocatedDocument:
    """Plain data of a YAML file and the line of every key.

    Attributes
    ----------
    path : str
        The file, as the user gave it.
    data : object
        Mappings, lists, text, numbers, booleans, null.
    lines : mapping of key path to int
        Line numbers from 1.
    problems : tuple of ConfigError
        Keys that stand twice; :func:`validate` reports them with all else.
    elsewhere : mapping of key path to str
        Places of values that stand somewhere else and hold here too (see ``resolve_pipeline``).
    """

    path: str
    data: Any
    lines: Mapping[KeyPath, int]
    problems: tuple[ConfigError, ...] = ()
    elsewhere: Mapping[KeyPath, str] = field(default_factory=dict)

    def has(self, key_path: KeyPath) -> bool:
        """Return whether a value is given: in this file, or elsewhere for it."""
        return key_path in self.lines or key_path in self.elsewhere

    def where(self, key_path: KeyPath) -> str:
        """Return e.g. ``config/pipeline.yaml:12 steps[2].func`` for a key path.

        A path that goes deeper than the file does gets the line of its deepest known part.
        """
        for end in range(len(key_path), 0, -1):
            if key_path[:end] in self.elsewhere:
                return self.elsewhere[key_path[:end]]
        known = key_path
        while known and known not in self.lines:
            known = known[:-1]
        line = self.lines.get(known, 1)
        return f"{self.path}:{line} {render_key_path(key_path)}".rstrip()


def render_key_path(key_path: KeyPath) -> str:
    """Return ``steps[2].func`` for ``("steps", 2, "func")``."""
    text = ""
    for part in key_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def load_yaml(path: str | Path) -> LocatedDocument:
    """Read a YAML file.

    Raises
    ------
    ConfigError
        The file is absent or is not YAML; the message has the line.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    text = _read_text(path)
    try:
        return _locate(str(path), text)
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = (error.problem or "not YAML").splitlines()[0]
        raise ConfigError(f"{path}:{line}: not valid YAML: {problem}") from error
    except ConfigError:
        raise
    except (YAMLError, ValueError) as error:  # signs YAML does not have, and dates of no calendar
        problem = str(error).splitlines()[0]
        raise ConfigError(f"{path}: not valid YAML: {problem}") from error
    except RecursionError:
        raise ConfigError(f"{path}: nested too deeply; a config has a few levels") from None


def read_scalar(text: str) -> Any:
    """Return the value that a text has in YAML, such as ``8``, ``true`` or ``[site, z_index]``.

    Raises
    ------
    ConfigError
        It is none.
    """
    from ruamel.yaml.error import YAMLError

    try:
        return _locate("value", text).data
    except (YAMLError, ValueError) as error:
        raise ConfigError(f"{text!r} is no YAML value") from error


def _read_text(path: str | Path) -> str:
    """Return the text of a file of bounded size.

    Raises
    ------
    ConfigError
        There is none.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(MOST_YAML_BYTES + 1)
    except OSError as error:
        reason = error.strerror or "unreadable"
        raise ConfigError(f"{path}: {reason}; expected a YAML file there") from error
    except ValueError as error:  # no name of a file: it has a NUL, or half a character
        raise ConfigError(f"{str(path)!r}: {error}; expected the path of a YAML file") from error
    if len(content) > MOST_YAML_BYTES:
        raise ConfigError(f"{path}: over {MOST_YAML_BYTES} bytes; expected a YAML file of a few kB")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 text ({error.reason})") from error


def _locate(path: str, text: str) -> LocatedDocument:
    from ruamel.yaml import YAML
    from ruamel.yaml.constructor import DuplicateKeyError

    problems: list[ConfigError] = []
    try:
        node = YAML(typ="rt", pure=True).load(text)
    except DuplicateKeyError:
        # read on, so that these and all other mistakes are reported together
        problems += _find_duplicates(path, YAML(typ="rt", pure=True).compose(text), ())
        lenient = YAML(typ="rt", pure=True)
        lenient.allow_duplicate_keys = True
        node = lenient.load(text)
    lines: dict[KeyPath, int] = {}
    try:
        data = _plain(node, (), lines)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error
    return LocatedDocument(path, data, lines, tuple(problems))


def _find_duplicates(path: str, node: Any, at: KeyPath) -> Iterator[ConfigError]:
    """Yield an error for each key that stands twice in one mapping of a composed document."""
    from ruamel.yaml.nodes import MappingNode, ScalarNode, SequenceNode

    if isinstance(node, SequenceNode):
        for number, item in enumerate(node.value):
            yield from _find_duplicates(path, item, (*at, number))
    if not isinstance(node, MappingNode):
        return
    first: dict[str, int] = {}
    for key, value in node.value:
        if not isinstance(key, ScalarNode):  # refused later, as any key that is no name
            continue
        here, line = (*at, key.value), key.start_mark.line + 1
        if key.value in first:
            error = ConfigError(
                f"{key.value!r} stands twice, first in line {first[key.value]}; "
                "names and keys must differ, keep one or rename one"
            )
            located(error, f"{path}:{line} {render_key_path(here)}")
            yield error
        first.setdefault(key.value, line)
        yield from _find_duplicates(path, value, here)


def _whole(text: str, at: KeyPath) -> str:
    """Return a text; an escape of half a character can stand in YAML, but in no file."""
    if not is_text(text):
        raise ConfigError(
            f"{render_key_path(at)}: {text!r} has half a character; write the character itself"
        )
    return text


def _plain(node: Any, at: KeyPath, lines: dict[KeyPath, int]) -> Any:
    """Turn ruamel's nodes into plain data, noting the line of each key."""
    _check_count(lines)
    if isinstance(node, Mapping):
        result: dict[str, Any] = {}
        for key, value in node.items():
            here = (*at, _whole(str(key), at))
            if str(key) in result:
                raise ConfigError(
                    f"{render_key_path(here)} stands twice (once as a number); keep one"
                )
            lines[here] = node.lc.key(key)[0] + 1  # type: ignore[attr-defined]  # ruamel's node
            result[str(key)] = _plain(value, here, lines)
        return result
    if isinstance(node, Sequence) and not isinstance(node, str):
        for number in range(len(node)):
            lines[(*at, number)] = node.lc.item(number)[0] + 1  # type: ignore[attr-defined]
        return [_plain(value, (*at, number), lines) for number, value in enumerate(node)]
    if isinstance(node, str):
        return _whole(str(node), at)
    for kind in (bool, int, float):
        if isinstance(node, kind):
            return kind(node)
    if node is None or isinstance(node, date):
        return node
    raise ConfigError(
        f"{render_key_path(at)}: tags such as !!name are not read; write plain values"
    )


def _check_count(lines: Mapping[KeyPath, int]) -> None:
    if len(lines) > _MOST_NODES:
        raise ConfigError(f"over {_MOST_NODES} values; write fewer, or repeat fewer by aliases")


def validate(model: type[M], document: LocatedDocument) -> M:
    """Check a document against a model.

    Raises
    ------
    ErrorGroup
        Every mistake, each with file, line, key path and remedy.
    """
    problems = list(document.problems)
    try:
        checked = model.model_validate(document.data if document.data is not None else {})
    except ValidationError as error:
        # pydantic counts a list whose members are all wrong as empty
        found = [
            item for item in error.errors() if not (item["type"] == "too_short" and item["input"])
        ]
        problems += [_problem(item, document, model) for item in found]
        raise_all(document.path, problems)
        raise
    raise_all(document.path, problems)
    return checked


_EXPECTED = {
    "tuple_type": "a list, such as [a, b]",
    "model_type": "settings (key: value) below it",
    "dict_type": "a mapping (key: value) below it",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "text",
}
"""What pydantic's types of errors ask for, in the words of YAML."""


def _shown(value: object) -> str:
    return "nothing; leave the key out for none" if value is None else repr(value)


def _problem(item: Any, document: LocatedDocument, model: type[FrozenModel]) -> ConfigError:
    """Turn one of pydantic's findings into an error a person can act on."""
    key_path = _key_path(item["loc"], document.data)
    if item["type"] == "extra_forbidden":
        known = sorted(_known_keys(model, key_path[:-1]))
        key = str(key_path[-1])
        close = get_close_matches(key, known, n=1)
        remedy = f"did you mean {close[0]!r}?" if close else f"known keys: {', '.join(known)}"
        message = f"unknown key {key!r}; {remedy}"
    elif item["type"] == "missing":
        message = f"required key {str(item['loc'][-1])!r} is missing"
    elif item["type"] == "too_short":
        message = "nothing stands here; at least one entry is needed"
    elif item["type"] in _EXPECTED:
        message = f"expected {_EXPECTED[item['type']]}; found {_shown(item['input'])}"
    else:
        message = f"{item['msg'].removeprefix('Value error, ')}; found {item['input']!r}"
    error = ConfigError(message)
    located(error, document.where(key_path))
    return error


def _key_path(loc: tuple[int | str, ...], data: Any) -> KeyPath:
    """Keep the parts of pydantic's location that are keys of the file (it adds type tags)."""
    path: list[str | int] = []
    for number, part in enumerate(loc):
        is_last = number == len(loc) - 1
        if isinstance(data, Mapping) and isinstance(part, str):
            if part in data:
                data = data[part]
                path.append(part)
            elif is_last and part != "[key]":
                path.append(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
            path.append(part)
    return tuple(path)


def _known_keys(model: type[FrozenModel], key_path: KeyPath) -> set[str]:
    """Return the keys that the model allows at `key_path`, found in its JSON Schema."""
    schema = model.model_json_schema(by_alias=True)
    definitions = schema.get("$defs", {})
    nodes = [schema]
    for part in key_path:
        nodes = [child for node in nodes for child in _children(node, part, definitions)]
    return {key for node in nodes for key in _resolve(node, definitions).get("properties", {})}


def _resolve(node: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    reference = node.get("$ref")
    return definitions[reference.rsplit("/", 1)[-1]] if reference else node


def _children(
    node: dict[str, Any], part: str | int, definitions: dict[str, Any]
) -> list[dict[str, Any]]:
    node = _resolve(node, definitions)
    if isinstance(part, int):
        found = [node.get("items")]
    else:
        found = [node.get("properties", {}).get(part), node.get("additionalProperties")]
    branches = [child for child in found if isinstance(child, dict)][:1]
    return [
        _resolve(option, definitions)
        for branch in branches
        for option in branch.get("anyOf", [branch])
    ]
