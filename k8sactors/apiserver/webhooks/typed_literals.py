"""Typed literals of mutating policies as maps: `Object.spec{replicas: 3}`, `JSONPatch{op: "add"}`.

The real server compiles them with types of their own (KEP-3962). Their values are used as JSON, so
a map with the same keys says the same: `Object.spec{replicas: 3}` becomes `{"replicas": 3}`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

# A text, a name with dots, or one other character.
_LEXEME: Final = re.compile(
    r"""[rR]?(?:'''.*?'''|\"\"\".*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|[A-Za-z_]\w*(?:\s*\.\s*[A-Za-z_]\w*)*|//[^\n]*|\s+|.""",
    re.DOTALL,
)
_TYPE: Final = re.compile(r"(?:Object(?:\.\w+)*|JSONPatch)")


@lru_cache(maxsize=1024)
def as_maps(expression: str) -> str:
    """The expression with maps in place of its typed literals."""
    lexemes = _LEXEME.findall(expression)
    written: list[str] = []
    # For each open bracket: whether it is that of a typed literal.
    brackets: list[bool] = []
    at_key = False
    for index, lexeme in enumerate(lexemes):
        text = lexeme
        following = next((each for each in lexemes[index + 1 :] if not each.isspace()), "")
        if _TYPE.fullmatch(lexeme) and following == "{":
            text = ""
        elif lexeme in {"{", "(", "["}:
            before = next((each for each in reversed(lexemes[:index]) if not each.isspace()), "")
            typed = lexeme == "{" and bool(_TYPE.fullmatch(before))
            brackets.append(typed)
            at_key = typed
        elif lexeme in {"}", ")", "]"}:
            if brackets:
                brackets.pop()
            at_key = False
        elif lexeme == ",":
            at_key = bool(brackets) and brackets[-1]
        elif at_key and lexeme != "?" and not lexeme.isspace():
            if following == ":":
                text = f'"{lexeme}"'
            at_key = False
        written.append(text)
    return "".join(written)
