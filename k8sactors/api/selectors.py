"""Label and field selectors: who is meant by `app=web,tier in (a, b)` or by a LabelSelector.

Sources: "Labels and Selectors" in the Kubernetes documentation, and the operators' meaning in the
API reference of LabelSelectorRequirement. A requirement `notin` and `!=` also matches objects
without the key; `in`, `=`, `gt`, `lt` do not. Parsing is cached: list and watch calls repeat the
same few strings.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any

import attrs

from k8sactors.api.errors import SelectorError

_TOKEN = re.compile(r"\s*(==|!=|=|,|!|\(|\)|<|>|[^\s=!,()<>]+)")
_KEY = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_VALUE = re.compile(r"(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?")
_STRUCTURED = {"In": "in", "NotIn": "notin", "Exists": "exists", "DoesNotExist": "!"}


@attrs.frozen
class Requirement:
    """One condition on one label. `operator`: in, notin, exists, !, gt, lt."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels fulfil this condition."""
        value = labels.get(self.key)
        match self.operator:
            case "in":
                return value is not None and value in self.values
            case "notin":
                return value is None or value not in self.values
            case "exists":
                return value is not None
            case "!":
                return value is None
            case _:
                return _compare(value, self.operator, self.values[0])

    def __str__(self) -> str:
        if self.operator == "exists":
            return self.key
        if self.operator == "!":
            return f"!{self.key}"
        if self.operator in {"gt", "lt"}:
            return f"{self.key}{'>' if self.operator == 'gt' else '<'}{self.values[0]}"
        if len(self.values) == 1:
            return f"{self.key}{'=' if self.operator == 'in' else '!='}{self.values[0]}"
        return f"{self.key} {self.operator} ({','.join(sorted(self.values))})"


def _compare(value: str | None, operator: str, bound: str) -> bool:
    if value is None:
        return False
    try:
        number = int(value)
    except ValueError:
        return False
    return number > int(bound) if operator == "gt" else number < int(bound)


@attrs.frozen
class Selector:
    """All requirements must hold; `nothing` is the selector that no object matches."""

    requirements: tuple[Requirement, ...] = ()
    nothing: bool = False

    @property
    def empty(self) -> bool:
        """Whether every object matches."""
        return not self.requirements and not self.nothing

    def matches(self, labels: Mapping[str, str] | None) -> bool:
        """Whether an object with these labels is selected."""
        if self.nothing:
            return False
        if not self.requirements:
            return True
        present = labels or {}
        return all(requirement.matches(present) for requirement in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


EVERYTHING = Selector()
NOTHING = Selector(nothing=True)


def parse_label_selector(selector: str | Mapping[str, Any] | None) -> Selector:
    """A selector string or a LabelSelector object; None selects nothing, `{}` and "" everything."""
    if selector is None:
        return NOTHING
    if isinstance(selector, str):
        return _parse_text(selector)
    requirements = [
        Requirement(key, "in", (value,))
        for key, value in sorted((selector.get("matchLabels") or {}).items())
    ]
    requirements.extend(map(_requirement, selector.get("matchExpressions") or ()))
    return Selector(tuple(requirements)) if requirements else EVERYTHING


def match_labels(labels: Mapping[str, str] | None) -> Selector:
    """The selector of a plain map (Service, ReplicationController, nodeSelector)."""
    if not labels:
        return EVERYTHING
    return Selector(tuple(Requirement(key, "in", (labels[key],)) for key in sorted(labels)))


def _requirement(expression: Mapping[str, Any]) -> Requirement:
    operator = _STRUCTURED.get(expression.get("operator", ""))
    if operator is None:
        raise SelectorError(
            f'"{expression.get("operator", "")}" is not a valid label selector operator'
        )
    return _checked(
        Requirement(expression.get("key", ""), operator, tuple(expression.get("values") or ()))
    )


def _checked(requirement: Requirement) -> Requirement:
    key, operator, values = requirement.key, requirement.operator, requirement.values
    if not _KEY.fullmatch(key):
        raise SelectorError(f'key: Invalid value: "{key}": not a label key')
    if operator in {"in", "notin"} and not values:
        raise SelectorError(
            "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
        )
    if operator in {"exists", "!"} and values:
        raise SelectorError(
            "values: Invalid value: values set must be empty for exists and does not exist"
        )
    if operator in {"gt", "lt"} and not re.fullmatch(r"[+-]?\d+", values[0]):
        raise SelectorError(
            f'values[0]: Invalid value: "{values[0]}": '
            "for 'Gt', 'Lt' operators, the value must be an integer"
        )
    for value in values:
        if not _VALUE.fullmatch(value):
            raise SelectorError(f'values: Invalid value: "{value}": not a label value')
    return requirement


class _Parser:
    """Recursive descent over the tokens of a selector string."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokens(text)
        self.at = 0

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self) -> str:
        token = self.peek()
        self.at += 1
        return token

    def fail(self, expected: str) -> SelectorError:
        found = self.peek()
        return SelectorError(f"unable to parse requirement: found '{found}', expected: {expected}")

    def parse(self) -> Selector:
        requirements: list[Requirement] = []
        while self.at < len(self.tokens):
            requirements.append(_checked(self.requirement()))
            if self.at < len(self.tokens) and self.take() != ",":
                self.at -= 1
                raise self.fail("',' or end of selector")
            if self.at == len(self.tokens) and self.tokens[-1] == ",":
                raise self.fail("identifier after ','")
        return Selector(tuple(requirements)) if requirements else EVERYTHING

    def identifier(self) -> str:
        found = self.peek()
        if not found or found in "=!,()<>" or found in {"==", "!="}:
            raise self.fail("identifier")
        return self.take()

    def requirement(self) -> Requirement:
        if self.peek() == "!":
            self.take()
            return Requirement(self.identifier(), "!")
        key = self.identifier()
        operator = self.peek()
        if operator in {"", ","}:
            return Requirement(key, "exists")
        self.take()
        if operator in {"=", "==", "!="}:
            value = "" if self.peek() in {"", ","} else self.identifier()
            return Requirement(key, "notin" if operator == "!=" else "in", (value,))
        if operator in {"<", ">"}:
            return Requirement(key, "gt" if operator == ">" else "lt", (self.identifier(),))
        if operator in {"in", "notin"}:
            return Requirement(key, operator, self.values())
        self.at -= 1
        raise self.fail("in, notin, =, ==, !=, gt, lt")

    def values(self) -> tuple[str, ...]:
        if self.take() != "(":
            self.at -= 1
            raise self.fail("'('")
        values: list[str] = []
        while True:
            values.append("" if self.peek() in {",", ")"} else self.identifier())
            separator = self.take()
            if separator == ")":
                return tuple(dict.fromkeys(values))
            if separator != ",":
                self.at -= 1
                raise self.fail("',', ')'")


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    position = 0
    end = len(text.rstrip())
    while position < end:
        match = _TOKEN.match(text, position)
        if match is None:
            raise SelectorError(f"unable to parse requirement: '{text[position:]}'")
        tokens.append(match.group(1))
        position = match.end()
    return tokens


@lru_cache(maxsize=1024)
def _parse_text(text: str) -> Selector:
    return _Parser(text).parse()


@attrs.frozen
class FieldRequirement:
    """One condition on one field path: `equal` or not."""

    path: str
    equal: bool
    value: str

    def __str__(self) -> str:
        return f"{self.path}{'=' if self.equal else '!='}{self.value}"


@attrs.frozen
class FieldSelector:
    """All requirements must hold on the values that `lookup` gives for their paths."""

    requirements: tuple[FieldRequirement, ...] = ()

    @property
    def empty(self) -> bool:
        """Whether every object matches."""
        return not self.requirements

    def paths(self) -> Iterable[str]:
        """The fields that are asked for (the server refuses those it does not index)."""
        return (requirement.path for requirement in self.requirements)

    def renamed(self, names: Mapping[str, str]) -> FieldSelector:
        """The same selector on paths that another version of the kind calls differently."""
        return FieldSelector(
            tuple(
                FieldRequirement(names.get(need.path, need.path), need.equal, need.value)
                for need in self.requirements
            )
        )

    def exact(self, path: str) -> str | None:
        """The value that `path` must equal, None when the selector leaves it open."""
        for requirement in self.requirements:
            if requirement.equal and requirement.path == path:
                return requirement.value
        return None

    def matches(self, obj: Mapping[str, Any]) -> bool:
        """Whether the object's own fields fulfil all requirements."""
        return self.matches_fields(lambda path: field_value(obj, path))

    def matches_fields(self, lookup: Callable[[str], str]) -> bool:
        """Whether the values behind `lookup` fulfil all requirements."""
        return all((lookup(need.path) == need.value) is need.equal for need in self.requirements)

    def __str__(self) -> str:
        return ",".join(str(requirement) for requirement in self.requirements)


def field_value(obj: Mapping[str, Any], path: str) -> str:
    """The text of a scalar field; "" when it is absent, `true`/`false` for booleans."""
    value: Any = obj
    for part in path.split("."):
        if not isinstance(value, Mapping):
            return ""
        value = value.get(part)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_FIELD_TERM = re.compile(r"((?:[^\\,]|\\.)*)(?:,|$)")
_FIELD_SPLIT = re.compile(r"^((?:[^\\=!]|\\.|!(?!=))*)(==|!=|=)(.*)$", re.DOTALL)


@lru_cache(maxsize=1024)
def parse_field_selector(text: str) -> FieldSelector:
    r"""A field selector string; `\\`, `\,` and `\=` are escapes within values."""
    requirements: list[FieldRequirement] = []
    position = 0
    while position < len(text):
        match = _FIELD_TERM.match(text, position)
        if match is None:
            raise SelectorError(f"invalid field selector: {text[position:]}")
        position = match.end()
        term = match.group(1)
        if not term:
            continue
        parts = _FIELD_SPLIT.match(term)
        if parts is None:
            raise SelectorError(f"invalid selector: '{term}'; can't understand '{term}'")
        path, operator, value = parts.groups()
        requirements.append(
            FieldRequirement(path, operator != "!=", re.sub(r"\\([\\,=])", r"\1", value))
        )
    return FieldSelector(tuple(requirements))
