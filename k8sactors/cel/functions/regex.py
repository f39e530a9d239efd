"""Regular expressions: `find` and `findAll` (RE2 and Python agree on what both understand)."""

from __future__ import annotations

import re
from functools import lru_cache

from k8sactors.cel.declaration import Overload, Type, method


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as error:
        raise ValueError(f"illegal regex: {error}") from error


def _find(text: str, pattern: str) -> str:
    found = _compiled(pattern).search(text)
    return "" if found is None else found[0]


def _find_all(text: str, pattern: str, limit: int = -1) -> list[str]:
    found = [match[0] for match in _compiled(pattern).finditer(text)]
    return found if limit < 0 else found[:limit]


_STRINGS = Type.List(Type.STRING)
OVERLOADS: tuple[Overload, ...] = (
    method("find", [Type.STRING, Type.STRING], Type.STRING, _find),
    method("findAll", [Type.STRING, Type.STRING], _STRINGS, _find_all),
    method("findAll", [Type.STRING, Type.STRING, Type.INT], _STRINGS, _find_all),
)
