"""YAML that remembers where each key and value stood in its file.

Who writes YAML by hand deserves errors with file, line, column and key. PyYAML's composer keeps
marks on its nodes; this module turns the nodes into plain data and keeps the marks next to it.

Scalars are resolved as Kubernetes' own reader (go-yaml) resolves them, which is between YAML 1.1
and 1.2: `0644` is octal, `1e3` a number, `yes` and `on` are booleans, while dates and sexagesimal
numbers are plain strings. A key that appears twice is an error, as with `kubectl apply`.
"""

from __future__ import annotations

import re
from typing import Any

import attrs
import yaml

from k8sactors.api.nesting import MAX_DEPTH, MAX_SIZE_BYTES, deep_yaml_brackets

KeyPath = tuple[str | int, ...]
"""The way from the document's root to a value: keys of mappings, indices of lists."""

MAX_NODES = 1_000_000
"""Aliases may multiply a small file into a huge one; beyond this many values it is refused."""

_MERGE_TAG = "tag:yaml.org,2002:merge"
_STRING_TAG = "tag:yaml.org,2002:str"


@attrs.frozen(order=True)
class Problem:
    """One mistake in a file that a user wrote.

    Attributes:
        file: as the user named it.
        line: from 1.
        column: from 1.
        key: the path to the value, as in `steps[2].expect.within`; empty at the root.
        message: what is wrong and what was expected.
    """

    file: str
    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        subject = f"{self.key}: " if self.key else ""
        return f"{self.file}:{self.line}:{self.column}: {subject}{self.message}"


class YamlSourceError(Exception):
    """A file is not YAML at all.

    Attributes:
        problems: at least one.
    """

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@attrs.frozen
class Position:
    """A place in a file; both from 1."""

    line: int
    column: int


@attrs.define
class Document:
    """One YAML document as plain data, and the places of its parts.

    Attributes:
        file: as the user named it.
        data: dicts, lists, strings, numbers, booleans and None.
        values: where each value begins.
        keys: where each key of a mapping begins.
    """

    file: str
    data: Any
    values: dict[KeyPath, Position] = attrs.field(factory=dict)
    keys: dict[KeyPath, Position] = attrs.field(factory=dict)

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> Problem:
        """A mistake at `path`; for a path that is not in the file, its nearest parent's place."""
        place = self.keys.get(path) if at_key else None
        nearest = path
        while place is None:
            place = self.values.get(nearest)
            if place is None and not nearest:
                place = Position(1, 1)
            nearest = nearest[:-1]
        return Problem(self.file, place.line, place.column, show_path(path), message)


def show_path(path: KeyPath) -> str:
    """A path as people write it: `steps[2].expect.within`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{part!r}]"
    return text


def load_documents(text: str, file: str) -> list[Document]:
    """Read all documents of a YAML (or JSON) text; empty documents are left out.

    Raises:
        YamlSourceError: the text is not YAML, or has duplicate keys.
    """
    documents: list[Document] = []
    problems: list[Problem] = []
    try:
        _check_limits(text)
        for node in yaml.compose_all(text, Loader=_Loader):
            if isinstance(node, yaml.ScalarNode) and node.value == "":
                continue
            builder = _Builder(Document(file, None))
            builder.document.data = builder.build(node, ())
            documents.append(builder.document)
            problems += builder.problems
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        message = " ".join(filter(None, [error.context, error.problem])) or "not YAML"
        if any(row[:column].endswith("\t") for row in text.splitlines()[line - 1 : line]):
            message = "a tab cannot indent YAML: use spaces"
        problems.append(Problem(file, line, column, "", f"not valid YAML: {message}"))
    except yaml.YAMLError as error:
        problems.append(Problem(file, 1, 1, "", f"not valid YAML: {error}"))
    if problems:
        raise YamlSourceError(problems)
    return documents


def _check_limits(text: str) -> None:
    """Refuse what is too large or nested too deep before the composer meets it.

    Brackets are counted before the parser sees them, for it looks ahead and may refuse them in its
    own words; nesting by indentation is counted on its events, for composing is recursive.
    """
    if len(text) > MAX_SIZE_BYTES:
        raise yaml.YAMLError(f"larger than {MAX_SIZE_BYTES >> 20} MiB")
    offset = deep_yaml_brackets(text)
    if offset is not None:
        line, column = text.count("\n", 0, offset), offset - text.rfind("\n", 0, offset) - 1
        raise _nested_too_deep(yaml.Mark("", offset, line, column, "", 0))
    depth = 0
    for event in yaml.parse(text, Loader=yaml.CSafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                raise _nested_too_deep(event.start_mark)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _nested_too_deep(mark: Any) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(None, None, f"nested more than {MAX_DEPTH} levels deep", mark)


class _Loader(yaml.CSafeLoader):
    """PyYAML's composer with go-yaml's idea of what a plain scalar is."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - overrides PyYAML's table


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:bool",
    re.compile(
        r"^(?:y|Y|yes|Yes|YES|n|N|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$"
    ),
    list("yYnNtTfFoO"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:int",
    re.compile(r"^[-+]?(?:0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|0|[1-9][0-9_]*)$"),
    list("-+0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float",
    re.compile(
        r"^(?:[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
    ),
    list("-+.0123456789"),
)
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:null", re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]
)
_Loader.add_implicit_resolver(_MERGE_TAG, re.compile(r"^<<$"), ["<"])


@attrs.define
class _Builder:
    """Turns the nodes of one document into data, writing down places on the way."""

    document: Document
    problems: list[Problem] = attrs.field(factory=list)
    _nodes: int = 0
    _merges: int = 0

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            raise yaml.YAMLError(f"more than {MAX_NODES} values after expanding aliases")
        if len(path) > MAX_DEPTH:
            raise _nested_too_deep(node.start_mark)
        self.document.values[path] = _position(node)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*path, n)) for n, item in enumerate(node.value)]
        assert isinstance(node, yaml.ScalarNode)
        try:
            return _scalar(node)
        except ValueError as error:
            self.problems.append(self.document.problem(path, f"not a valid value: {error}"))
            return None

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        data: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE_TAG:
                merged |= self._merge(value_node, path)
                continue
            if not isinstance(key_node, yaml.ScalarNode):
                message = "a key must be a string, not a list or mapping"
                place = _position(key_node)
                self.problems.append(
                    Problem(self.document.file, place.line, place.column, show_path(path), message)
                )
                continue
            key = str(key_node.value)
            where = (*path, key)
            if key in data:
                place = _position(key_node)
                first = self.document.keys[where].line
                message = f"this key is already set in line {first}"
                self.problems.append(
                    Problem(self.document.file, place.line, place.column, show_path(where), message)
                )
                continue
            self.document.keys[where] = _position(key_node)
            data[key] = self.build(value_node, where)
        return merged | data

    def _merge(self, node: yaml.Node, path: KeyPath) -> dict[str, Any]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        result: dict[str, Any] = {}
        self._merges += 1
        if self._merges > MAX_DEPTH:
            raise _nested_too_deep(node.start_mark)
        for source in reversed(sources):
            if isinstance(source, yaml.MappingNode):
                result |= self._mapping(source, path)
        self._merges -= 1
        for key in result:
            # A key that is merged in may be set again by the mapping itself.
            self.document.keys.setdefault((*path, key), _position(node))
        return result


def _position(node: yaml.Node) -> Position:
    return Position(node.start_mark.line + 1, node.start_mark.column + 1)


def _scalar(node: yaml.ScalarNode) -> Any:
    text = str(node.value)
    match node.tag.rpartition(":")[2]:
        case "bool":
            return text.lower() in {"y", "yes", "true", "on"}
        case "int":
            return _integer(text.replace("_", ""))
        case "float":
            return _number(text)
        case "null":
            return None
        case _:
            return text


def _integer(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    if digits[:2] in {"0b", "0o", "0x"}:
        return sign * int(digits, 0)
    if len(digits) > 1 and digits[0] == "0":
        return sign * int(digits, 8)
    return sign * int(digits)


def _number(text: str) -> float | int:
    if text.lower().endswith(("inf", "nan")):
        return float(text.lower().replace(".", ""))
    value = float(text)
    # Kubernetes reads YAML by way of JSON, where 1e3 and 1000 are the same number.
    return int(value) if value.is_integer() and abs(value) < 2**53 else value
