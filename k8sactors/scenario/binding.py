"""From located YAML to typed objects: one description of each field serves three purposes.

A *kind* says what a value may be. It reads the value (collecting every mistake with its place, not
only the first), it describes itself in an error message, and it gives the JSON Schema. Models are
attrs classes whose fields are made with `setting`; so the published schema cannot differ from what
the parser accepts.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

import attrs

from k8sactors.api.located_yaml import Document, KeyPath, Problem
from k8sactors.observe.text import few
from k8sactors.simulation import MICROSECOND, MILLISECOND, SECOND

Schema = dict[str, Any]

_UNITS_NS = {
    "us": MICROSECOND,
    "ms": MILLISECOND,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
}
_LONGEST_NS = 10 * 365 * 24 * _UNITS_NS["h"]
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:us|ms|s|m|h))+")
_DURATION_PART = re.compile(r"(\d+(?:\.\d+)?)(us|ms|s|m|h)")


@attrs.define
class Reader:
    """Reads one document and collects its problems."""

    document: Document
    problems: list[Problem] = attrs.field(factory=list)

    def problem(self, path: KeyPath, message: str, *, at_key: bool = False) -> None:
        """Write down a mistake and continue."""
        self.problems.append(self.document.problem(path, message, at_key=at_key))


class Kind(Protocol):
    """What a value may be."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> Any:
        """The typed value; after a mistake (which is in `reader.problems`), anything."""

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """The JSON Schema; named parts go to `definitions`."""


def setting(kind: Kind, about: str, *, key: str | None = None, default: Any = attrs.NOTHING) -> Any:
    """An attrs field that is read from YAML. Without a default the key is required.

    Args:
        kind: what the value may be.
        about: one line for the reader of the schema.
        key: the key in YAML, if it is not the field's name in camelCase.
        default: used when the key is absent; lists and dicts are copied.
    """
    metadata = {"kind": kind, "about": about, "key": key}
    if isinstance(default, list | dict):
        make = type(default)
        return attrs.field(factory=lambda: make(default), metadata=metadata)
    return attrs.field(default=default, metadata=metadata)


def key_of(attribute: attrs.Attribute[Any]) -> str:
    """The YAML key of a field."""
    if attribute.metadata["key"]:
        return str(attribute.metadata["key"])
    head, *tail = attribute.name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def settings_of(model: type) -> dict[str, attrs.Attribute[Any]]:
    """The fields of a model that are read from YAML, by key."""
    return {key_of(each): each for each in attrs.fields(model) if "kind" in each.metadata}


def named(value: Any) -> str:
    """What a wrong value is, for an error message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true" if value else "false"
        case dict():
            return "a mapping"
        case list():
            return "a list"
        case str():
            return repr(value)
        case _:
            return f"the number {value}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """What the reader may have meant, and what there is."""
    known = list(known)
    close = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"expected one of: {few(known)}"


@attrs.frozen
class Text:
    """A string, optionally of a certain form."""

    what: str = "a string"
    pattern: str | None = None

    def read(self, value: Any, path: KeyPath, reader: Reader) -> str:
        """The string itself."""
        if not isinstance(value, str) or value == "":
            reader.problem(path, f"expected {self.what}, got {named(value)}")
            return ""
        if self.pattern and not re.fullmatch(self.pattern, value):
            reader.problem(path, f"expected {self.what}, got {value!r}")
        return value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A string."""
        del definitions
        if self.pattern:
            return {"type": "string", "pattern": f"^(?:{self.pattern})$"}
        return {"type": "string", "minLength": 1}


@attrs.frozen
class Integer:
    """A whole number within bounds."""

    least: int = 0
    most: int = 2**63 - 1

    def read(self, value: Any, path: KeyPath, reader: Reader) -> int:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int):
            reader.problem(path, f"expected a whole number, got {named(value)}")
            return self.least
        if not self.least <= value <= self.most:
            limits = f"{self.least} or more" if self.most > 2**62 else f"{self.least}..{self.most}"
            reader.problem(path, f"expected a whole number, {limits}, got {value}")
            return self.least
        return value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """An integer."""
        del definitions
        return {"type": "integer", "minimum": self.least, "maximum": self.most}


@attrs.frozen
class Fraction:
    """A probability."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> float:
        """The number."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
            reader.problem(path, f"expected a number between 0 and 1, got {named(value)}")
            return 0.0
        return float(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A number."""
        del definitions
        return {"type": "number", "minimum": 0, "maximum": 1}


@attrs.frozen
class Flag:
    """True or false."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> bool:
        """The truth."""
        if not isinstance(value, bool):
            reader.problem(path, f"expected true or false, got {named(value)}")
            return False
        return value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A boolean."""
        del definitions
        return {"type": "boolean"}


@attrs.frozen
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    def read(self, value: Any, path: KeyPath, reader: Reader) -> str:
        """The word."""
        if value not in self.words:
            hint = suggestion(str(value), self.words)
            reader.problem(path, f"{named(value)} is not known here; {hint}")
            return self.words[0]
        return str(value)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """An enumeration."""
        del definitions
        return {"enum": list(self.words)}


@attrs.frozen
class Duration:
    """A span of virtual time, read to nanoseconds."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> int:
        """Nanoseconds."""
        if not isinstance(value, str) or not _DURATION.fullmatch(value):
            message = "expected a duration with a unit, as in 500ms, 10s, 5m or 1m30s"
            reader.problem(path, f"{message}; got {named(value)}")
            return 0
        total_ns = sum(
            round(float(number) * _UNITS_NS[unit]) for number, unit in _DURATION_PART.findall(value)
        )
        if total_ns > _LONGEST_NS:
            reader.problem(
                path, f"expected a duration of at most ten years (87600h), got {value!r}"
            )
        return total_ns

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A string with units."""
        del definitions
        return {"type": "string", "pattern": f"^{_DURATION.pattern}$"}


@attrs.frozen
class Json:
    """Any value, left as it is."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> Any:
        """The value itself."""
        del path, reader
        return value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """Anything."""
        del definitions
        return {}


@attrs.frozen
class JsonObject:
    """Any mapping, left as it is."""

    what: str = "a mapping"

    def read(self, value: Any, path: KeyPath, reader: Reader) -> dict[str, Any]:
        """The mapping itself."""
        if not isinstance(value, dict) or not value:
            reader.problem(path, f"expected {self.what}, got {named(value)}")
            return {}
        return value

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """An object."""
        del definitions
        return {"type": "object", "minProperties": 1}


@attrs.frozen
class ListOf:
    """A list of like values."""

    item: Kind
    least: int = 1

    def read(self, value: Any, path: KeyPath, reader: Reader) -> list[Any]:
        """The list of typed values."""
        if not isinstance(value, list):
            reader.problem(path, f"expected a list, got {named(value)}")
            return []
        if len(value) < self.least:
            reader.problem(path, f"expected at least {self.least} item(s), got {len(value)}")
        return [self.item.read(each, (*path, n), reader) for n, each in enumerate(value)]

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """An array."""
        return {
            "type": "array",
            "items": self.item.schema(definitions),
            "minItems": self.least,
        }


@attrs.frozen
class Struct:
    """A mapping with the keys of a model; `shorthand` lets a lone value stand for one of them."""

    model: type
    shorthand: str | None = None

    def read(self, value: Any, path: KeyPath, reader: Reader) -> Any:
        """An instance of the model, or None when a required key is missing."""
        fields = settings_of(self.model)
        if self.shorthand is not None and not isinstance(value, dict):
            value = {self.shorthand: value}
            return self._build(value, {self.shorthand: path}, path, reader)
        if not isinstance(value, dict):
            keys = ", ".join(fields)
            reader.problem(path, f"expected a mapping with {keys}; got {named(value)}")
            return None
        for key in value:
            if key not in fields:
                message = f"unknown key {key!r}; {suggestion(key, fields)}"
                reader.problem((*path, key), message, at_key=True)
        return self._build(value, {key: (*path, key) for key in value}, path, reader)

    def _build(
        self, value: Mapping[str, Any], places: Mapping[str, KeyPath], path: KeyPath, reader: Reader
    ) -> Any:
        arguments: dict[str, Any] = {}
        complete = True
        for key, attribute in settings_of(self.model).items():
            if key in value:
                kind: Kind = attribute.metadata["kind"]
                read = kind.read(value[key], places[key], reader)
                arguments[attribute.name.lstrip("_")] = read
            elif attribute.default is attrs.NOTHING:
                about = attribute.metadata["about"]
                reader.problem(path, f"key {key!r} is missing: {about}")
                complete = False
        return self.model(**arguments) if complete else None

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A reference to the model's definition."""
        name = self.model.__name__
        if name not in definitions:
            definitions[name] = {}
            definitions[name] = self._definition(definitions)
        reference = {"$ref": f"#/$defs/{name}"}
        if self.shorthand is None:
            return reference
        lone: Kind = settings_of(self.model)[self.shorthand].metadata["kind"]
        return {"anyOf": [lone.schema(definitions), reference]}

    def _definition(self, definitions: dict[str, Schema]) -> Schema:
        fields = settings_of(self.model)
        schema: Schema = {
            "type": "object",
            "description": _first_line(self.model),
            "properties": {
                key: {"description": each.metadata["about"]}
                | each.metadata["kind"].schema(definitions)
                for key, each in fields.items()
            },
            "additionalProperties": False,
        }
        required = [key for key, each in fields.items() if each.default is attrs.NOTHING]
        if required:
            schema["required"] = required
        return schema


class Choices(Protocol):
    """What each key of a mapping with one key may hold."""

    def __getitem__(self, key: str) -> Kind:
        """What the key holds."""

    def __iter__(self) -> Iterator[str]:
        """All keys."""

    def __contains__(self, key: object) -> bool:
        """Whether there is such a key."""

    def about(self, key: str) -> str:
        """One line for readers."""


@attrs.frozen
class Alternatives:
    """A mapping with exactly one of several keys, and optionally the keys of a common model.

    It reads to `wrap(action, path, line, common fields)`, where the action is what the one key
    holds. The choices are looked at when a value is read, so that kinds can contain themselves.
    """

    name: str
    what: str
    choices: Choices
    wrap: type

    def read(self, value: Any, path: KeyPath, reader: Reader) -> Any:
        """An instance of `wrap`, or None after a mistake in its shape."""
        if not isinstance(value, dict):
            message = f"expected {self.what}: a mapping with one of {few(self.choices)}"
            reader.problem(path, f"{message}; got {named(value)}")
            return None
        common = settings_of(self.wrap)
        for key in value:
            if key not in common and key not in self.choices:
                message = f"unknown key {key!r}; {suggestion(key, [*self.choices, *common])}"
                reader.problem((*path, key), message, at_key=True)
        chosen = [key for key in value if key in self.choices]
        actions = [self.choices[key].read(value[key], (*path, key), reader) for key in chosen]
        arguments = {
            common[key].name: common[key].metadata["kind"].read(value[key], (*path, key), reader)
            for key in value
            if key in common
        }
        if len(chosen) > 1:
            both = " and ".join(chosen)
            reader.problem((*path, chosen[1]), f"{self.what} has one key, not {both}", at_key=True)
        if not chosen:
            if all(key in common for key in value):
                message = f"expected {self.what}: one of {few(self.choices)}"
                reader.problem(path, message)
            return None
        line = reader.document.values[path].line if path in reader.document.values else 1
        return self.wrap(verb=chosen[0], action=actions[0], path=path, line=line, **arguments)

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A reference to the definition."""
        if self.name not in definitions:
            definitions[self.name] = {}
            common = settings_of(self.wrap)
            definitions[self.name] = {
                "type": "object",
                "description": self.what,
                "properties": {
                    key: {"description": each.metadata["about"]}
                    | each.metadata["kind"].schema(definitions)
                    for key, each in common.items()
                }
                | {
                    key: {"description": self.choices.about(key)}
                    | self.choices[key].schema(definitions)
                    for key in self.choices
                },
                "additionalProperties": False,
                "oneOf": [{"required": [key]} for key in self.choices],
            }
        return {"$ref": f"#/$defs/{self.name}"}


def _first_line(model: type) -> str:
    return (model.__doc__ or "").strip().partition("\n")[0]
