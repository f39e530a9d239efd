"""Semantic versions (semver.org, 2.0.0): `semver("1.2.3").isLessThan(semver("2.0.0"))`."""

from __future__ import annotations

import re
from typing import Any

from k8sactors.cel.declaration import Overload, Type, function, method
from k8sactors.cel.types import SEMVER

_NUMBER = r"(0|[1-9]\d*)"
_PART = r"(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_SYNTAX = re.compile(
    rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(?:-({_PART}(?:\.{_PART})*))?"
    r"(?:\+[0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*)?",
    re.ASCII,
)


def _match(text: str) -> re.Match[str]:
    found = _SYNTAX.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is not a semantic version")
    return found


def _normalized(text: str) -> str:
    """A leading `v`, missing numbers and leading zeros are mended."""
    core, mark, rest = text.removeprefix("v").partition("-")
    numbers = [each.lstrip("0") or "0" for each in core.split(".")]
    return ".".join([*numbers, "0", "0"][: max(len(numbers), 3)]) + mark + rest


def _rank(text: str) -> tuple[Any, ...]:
    """Comparable as section 11 says: a pre-release comes before its version."""
    major, minor, patch, before = _match(text).groups()
    parts: tuple[Any, ...] = ((2,),)
    if before is not None:
        parts = tuple(
            (0, int(part), "") if part.isdecimal() else (1, 0, part) for part in before.split(".")
        )
    return int(major), int(minor), int(patch), parts


def _compare(one: Any, other: Any) -> int:
    first, second = _rank(one.text), _rank(other.text)
    return (first > second) - (first < second)


def _is_semver(text: str, normalize: bool = False) -> bool:
    return _SYNTAX.fullmatch(_normalized(text) if normalize else text) is not None


def _made(text: str, normalize: bool = False) -> Any:
    return SEMVER.make(_match(_normalized(text) if normalize else text)[0])


_ONE = SEMVER
OVERLOADS: tuple[Overload, ...] = (
    function("semver", [Type.STRING], _ONE, _made),
    function("semver", [Type.STRING, Type.BOOL], _ONE, _made),
    function("isSemver", [Type.STRING], Type.BOOL, _is_semver),
    function("isSemver", [Type.STRING, Type.BOOL], Type.BOOL, _is_semver),
    method("major", [_ONE], Type.INT, lambda v: _rank(v.text)[0]),
    method("minor", [_ONE], Type.INT, lambda v: _rank(v.text)[1]),
    method("patch", [_ONE], Type.INT, lambda v: _rank(v.text)[2]),
    method("isLessThan", [_ONE, _ONE], Type.BOOL, lambda v, w: _compare(v, w) < 0),
    method("isGreaterThan", [_ONE, _ONE], Type.BOOL, lambda v, w: _compare(v, w) > 0),
    method("compareTo", [_ONE, _ONE], Type.INT, _compare),
)
