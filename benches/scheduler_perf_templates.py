"""Templates of objects: YAML with those expressions of Go's text/template that scheduler_perf uses.

`{{.Index}}`, `{{.Count}}`, the operation's own parameters, and the arithmetic functions AddInt,
SubtractInt, MultiplyInt, DivideInt, Mod and their Float forms, nested with parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from operator import mul
from pathlib import Path
from typing import Any

import yaml

from benches.scheduler_perf_files import WorkloadFileError

__all__ = ["Template"]

Object = dict[str, Any]

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.DOTALL)
_TOKEN = re.compile(r'\s*(\(|\)|\.\w+|-?\d+(?:\.\d+)?|"[^"]*"|\w+)')


def _product(*numbers: float) -> float:
    return reduce(mul, numbers, 1.0)


_FUNCTIONS: dict[str, Callable[..., float]] = {
    "AddInt": lambda *n: int(sum(n)),
    "AddFloat": lambda *n: float(sum(n)),
    "SubtractInt": lambda a, b: int(a - b),
    "SubtractFloat": lambda a, b: a - b,
    "MultiplyInt": lambda *n: int(_product(*n)),
    "MultiplyFloat": _product,
    "DivideInt": lambda a, b: int(a / b),
    "DivideFloat": lambda a, b: a / b,
    "Mod": lambda a, b: int(a) % int(b),
}


class Template:
    """One file; without expressions it is read once, and all its objects share their parts."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._text = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise WorkloadFileError(path, 1, f"template cannot be read: {error}") from error
        self._constant: Object | None = None
        if not _ACTION.search(self._text):
            self._constant = self._parse(self._text)

    def render(self, values: Mapping[str, Any]) -> Object:
        """An object; its metadata may be changed, all else must not be."""
        if self._constant is not None:
            return {**self._constant, "metadata": dict(self._constant.get("metadata") or {})}
        text = _ACTION.sub(lambda found: self._evaluated(found, values), self._text)
        rendered = self._parse(text)
        return {**rendered, "metadata": dict(rendered.get("metadata") or {})}

    def _parse(self, text: str) -> Object:
        try:
            parsed = yaml.load(text, _FastLoader)  # noqa: S506 - a safe loader
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            raise WorkloadFileError(self.path, line, f"not YAML: {error.problem}") from error
        if not isinstance(parsed, dict) or not parsed.get("kind") or not parsed.get("apiVersion"):
            raise WorkloadFileError(self.path, 1, "a template must have apiVersion and kind")
        return parsed

    def _evaluated(self, found: re.Match[str], values: Mapping[str, Any]) -> str:
        try:
            tokens = _tokens(found[1])
            value = _call(tokens, values)
            _end(tokens)
        except (ValueError, TypeError, ZeroDivisionError) as error:
            line = self._text.count("\n", 0, found.start()) + 1
            raise WorkloadFileError(
                self.path,
                line,
                f"cannot evaluate {found[0]}: {error}; known are values such as .Index and the"
                f" functions {', '.join(sorted(_FUNCTIONS))}",
            ) from error
        return str(value)


_FastLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _tokens(text: str) -> list[str]:
    tokens, position = [], 0
    while position < len(text):
        found = _TOKEN.match(text, position)
        if found is None:
            raise ValueError(f"{text[position:]!r} is not understood")
        tokens.append(found[1])
        position = found.end()
    return tokens


def _end(tokens: list[str]) -> None:
    if tokens:
        raise ValueError(f"{tokens[0]!r} is not expected")


def _call(tokens: list[str], values: Mapping[str, Any]) -> Any:
    """A function with its arguments, or one operand."""
    if not tokens or tokens[0][0] in '(."-' or tokens[0][0].isdigit():
        return _operand(tokens, values)
    name = tokens.pop(0)
    function = _FUNCTIONS.get(name)
    if function is None:
        raise ValueError(f"there is no function {name!r}")
    arguments = []
    while tokens and tokens[0] != ")":
        arguments.append(_number(_operand(tokens, values)))
    return function(*arguments)


def _operand(tokens: list[str], values: Mapping[str, Any]) -> Any:
    if not tokens:
        raise ValueError("an operand is missing")
    first = tokens.pop(0)
    if first == "(":
        value = _call(tokens, values)
        if not tokens or tokens.pop(0) != ")":
            raise ValueError("a parenthesis is not closed")
        return value
    if first[0] == ".":
        if first[1:] not in values:
            raise ValueError(f"there is no value {first}")
        return values[first[1:]]
    return first[1:-1] if first[0] == '"' else _number(first)


def _number(value: Any) -> float:
    """Whole numbers stay whole."""
    if isinstance(value, int | float):
        return value
    text = str(value)
    return int(text) if re.fullmatch(r"-?\d+", text) else float(text)
