"""How checks look at pods, and the words that they share."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from k8sactors.api.pod_references import containers

Fields = Mapping[str, Any]


class Violation(NamedTuple):
    """Why a pod is not allowed at a level: `reason (detail)`."""

    reason: str
    detail: str

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


class Setters(NamedTuple):
    """Who has set a field to a value that a check forbids."""

    pod: bool
    names: list[str]

    def __bool__(self) -> bool:
        return self.pod or bool(self.names)

    def __str__(self) -> str:
        parts = ["pod"] if self.pod else []
        if self.names:
            parts.append(named("container", self.names))
        return " and ".join(parts)


def context(holder: Fields) -> Fields:
    """The security context of a pod or container."""
    found: Fields = holder.get("securityContext") or {}
    return found


def visit(spec: Fields, test: Callable[[Fields], bool]) -> list[str]:
    """The names of the containers for which `test` holds."""
    return [each["name"] for each in containers(spec) if test(each)]


def setters(spec: Fields, test: Callable[[Fields], bool]) -> Setters:
    """The pod and the containers whose security context has what `test` looks for."""
    return Setters(test(context(spec)), visit(spec, lambda each: test(context(each))))


def contexts(spec: Fields) -> Iterator[Fields]:
    """The security contexts of a pod and of its containers."""
    yield context(spec)
    for each in containers(spec):
        yield context(each)


def plural(word: str, count: int) -> str:
    """The word for so many."""
    return word if count == 1 else f"{word}s"


def quoted(values: Iterable[Any]) -> str:
    """`"a", "b"`."""
    return ", ".join(json.dumps(str(value), ensure_ascii=False) for value in values)


def named(word: str, names: list[str]) -> str:
    """`container "a"`, or `containers "a", "b"`."""
    return f"{plural(word, len(names))} {quoted(names)}"


def uses_user_namespace(spec: Fields) -> bool:
    """Whether root in the pod is not root on the node (KEP-127)."""
    return spec.get("hostUsers") is False


def is_windows(spec: Fields) -> bool:
    """Whether the pod says that it runs on Windows."""
    return (spec.get("os") or {}).get("name") == "windows"
