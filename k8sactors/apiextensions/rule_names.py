"""The names of fields in rules: what is no identifier, or a word of the language, is escaped.

Source: KEP-2876 ("Field paths and field names"), `k8s.io/apiserver/pkg/cel/escaping.go`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

_KEYWORDS: Final = frozenset(
    {
        "true",
        "false",
        "null",
        "in",
        "as",
        "break",
        "const",
        "continue",
        "else",
        "for",
        "function",
        "if",
        "import",
        "let",
        "loop",
        "package",
        "namespace",
        "return",
        "var",
        "void",
        "while",
    }
)
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED: Final = re.compile(r"__|[./-]")
_IDENTIFIER: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


@lru_cache(maxsize=4096)
def escaped(name: str) -> str:
    """The identifier by which rules name a field; a name that has none stays as it is."""
    if name in _KEYWORDS:
        return f"__{name}__"
    changed = _ESCAPED.sub(lambda match: _ESCAPES[match[0]], name)
    return changed if _IDENTIFIER.fullmatch(changed) else name
