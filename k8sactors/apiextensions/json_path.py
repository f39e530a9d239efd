"""The simple JSON paths of definitions: printer columns, scale, selectable fields.

`.spec.list[0].k`, `.status.conditions[?(@.type=="Ready")].status`, `.metadata.labels['a.b']`,
`.items[*].name`. Source: `client-go/util/jsonpath`, as far as a definition may use it.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import attrs

_STEP: Final = re.compile(
    r"\.(?P<name>(?:[^.\[\]\\]|\\.)+)"
    r"|\[\s*['\"](?P<quoted>[^'\"]*)['\"]\s*\]"
    r"|\[(?P<index>-?\d+)\]"
    r"|(?:\[\*\]|\.\*)(?P<all>)"
    r"|\[\?\(\s*@(?P<left>[^=!<>\s]*)\s*(?P<operator>==|!=)\s*"
    r"(?P<right>\"[^\"]*\"|'[^']*'|-?[\d.]+|true|false)\s*\)\]"
)
LENGTH_MAX: Final = 4096


@attrs.frozen
class _Step:
    name: str | None
    index: int | None
    # A condition on items: path, operator, value.
    condition: tuple[str, str, str] | None


class JsonPathError(ValueError):
    """The text is no path of the supported form."""


@lru_cache(maxsize=1024)
def parse(text: str) -> tuple[_Step, ...]:
    """The steps of a path.

    Raises:
        JsonPathError: it is none.
    """
    bare = text.strip()
    if bare.startswith("{") and bare.endswith("}"):
        bare = bare[1:-1]
    bare = bare.removeprefix("$")
    if not bare or len(bare) > LENGTH_MAX:
        raise JsonPathError(text)
    steps: list[_Step] = []
    place = 0
    while place < len(bare):
        found = _STEP.match(bare, place)
        if found is None:
            raise JsonPathError(text)
        place = found.end()
        name = found["name"]
        if name == "*":
            steps.append(_Step(None, None, None))
        elif name is not None:
            steps.append(_Step(re.sub(r"\\(.)", r"\1", name), None, None))
        elif found["quoted"] is not None:
            steps.append(_Step(found["quoted"], None, None))
        elif found["index"] is not None:
            steps.append(_Step(None, int(found["index"]), None))
        elif found["operator"] is not None:
            condition = (found["left"], found["operator"], found["right"])
            steps.append(_Step(None, None, condition))
        else:
            steps.append(_Step(None, None, None))
    return tuple(steps)


def names_of(text: str) -> tuple[str, ...] | None:
    """The fields of a path of names alone (`.spec.replicas`); None: it is none."""
    try:
        steps = parse(text)
    except JsonPathError:
        return None
    if not text.startswith(".") or any(step.name is None for step in steps):
        return None
    return tuple(step.name for step in steps if step.name is not None)


def find(obj: Any, text: str) -> list[Any]:
    """The values at a path, in order; none where a field is missing."""
    found = [obj]
    for step in parse(text):
        found = [value for each in found for value in _step(each, step)]
        if not found:
            break
    return found


def _step(value: Any, step: _Step) -> list[Any]:
    if step.name is not None:
        return [value[step.name]] if isinstance(value, dict) and step.name in value else []
    if step.index is not None:
        inside = isinstance(value, list) and -len(value) <= step.index < len(value)
        return [value[step.index]] if inside else []
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return []
    if step.condition is None:
        return items
    return [item for item in items if _holds(item, step.condition)]


def _holds(item: Any, condition: tuple[str, str, str]) -> bool:
    path, operator, wanted = condition
    found = find(item, path) if path else [item]
    if not found:
        return False
    equal = _text_of(found[0]) == wanted.strip("\"'")
    return equal is (operator == "==")


def _text_of(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
