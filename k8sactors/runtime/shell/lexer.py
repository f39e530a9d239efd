"""From a script's text to tokens: words made of quoted and unquoted parts, and operators."""

from __future__ import annotations

import re
from typing import Final

import attrs

OPERATORS: Final = ("&&", "||", ";;", ">>", "<<", ";", "|", "&", "(", ")", "<", ">", "\n")
_REDIRECTION: Final = re.compile(r"(\d?)(>>|>&|<&|>|<)")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z_0-9]*|[0-9@*#?$!-]")
_BLANK: Final = frozenset(" \t\r")
_ENDS_WORD: Final = frozenset(" \t\r\n;|&()<>")
MAX_SCRIPT_CHARS: Final = 64 << 10
MAX_DEPTH: Final = 50


class ShellSyntaxError(Exception):
    """The script cannot be understood."""


@attrs.frozen
class Text:
    """Characters as they are; unquoted ones are patterns."""

    text: str
    quoted: bool


@attrs.frozen
class Variable:
    """`$NAME` or `${NAME:-default}`; `operator` is `:-`, `-`, `:=`, `:+`, `#` (length) or empty."""

    name: str
    quoted: bool
    operator: str = ""
    argument: str = ""


@attrs.frozen
class Substitution:
    """`$(script)`."""

    script: str
    quoted: bool


@attrs.frozen
class Arithmetic:
    """`$((expression))`."""

    expression: str
    quoted: bool


Part = Text | Variable | Substitution | Arithmetic


@attrs.frozen
class Word:
    """One word before it is expanded."""

    parts: tuple[Part, ...]

    @property
    def literal(self) -> str | None:
        """Its text if it consists of unquoted characters only: a word of the grammar."""
        match self.parts:
            case (Text(text, False),):
                return text
        return None


@attrs.frozen
class Operator:
    """An operator of the grammar."""

    text: str


@attrs.frozen
class Redirection:
    """The beginning of a redirection: descriptor and operator."""

    descriptor: int
    operator: str


Token = Word | Operator | Redirection


class Lexer:
    """Reads one script."""

    def __init__(self, script: str) -> None:
        if len(script) > MAX_SCRIPT_CHARS:
            raise ShellSyntaxError("script too long")
        self._text = script.replace("\\\n", "")
        self._at = 0

    def tokens(self) -> list[Token]:
        """All tokens.

        Raises:
            ShellSyntaxError: a quote or a bracket is not closed.
        """
        found: list[Token] = []
        text = self._text
        while self._at < len(text):
            character = text[self._at]
            if character in _BLANK:
                self._at += 1
            elif character == "#":
                end = text.find("\n", self._at)
                self._at = len(text) if end < 0 else end
            elif redirection := _REDIRECTION.match(text, self._at):
                operator = redirection[2]
                default = 0 if operator.startswith("<") else 1
                descriptor = int(redirection[1]) if redirection[1] else default
                found.append(Redirection(descriptor, operator))
                self._at = redirection.end()
            else:
                operator = next((each for each in OPERATORS if text.startswith(each, self._at)), "")
                if operator:
                    self._at += len(operator)
                    found.append(Operator(operator))
                else:
                    found.append(self._word())
        return found

    def _word(self) -> Word:
        parts: list[Part] = []
        plain: list[str] = []

        def flush() -> None:
            if plain:
                parts.append(Text("".join(plain), quoted=False))
                plain.clear()

        text = self._text
        while self._at < len(text) and text[self._at] not in _ENDS_WORD:
            character = text[self._at]
            if character == "\\":
                flush()
                parts.append(Text(text[self._at + 1 : self._at + 2], quoted=True))
                self._at += 2
            elif character == "'":
                flush()
                end = self._closing("'", self._at + 1)
                parts.append(Text(text[self._at + 1 : end], quoted=True))
                self._at = end + 1
            elif character == '"':
                flush()
                parts.extend(self._double_quoted())
            elif character in "$`":
                flush()
                parts.append(self._dollar(quoted=False))
            else:
                plain.append(character)
                self._at += 1
        flush()
        return Word(tuple(parts))

    def _closing(self, mark: str, start: int) -> int:
        end = self._text.find(mark, start)
        if end < 0:
            raise ShellSyntaxError("unterminated quoted string")
        return end

    def _double_quoted(self) -> list[Part]:
        parts: list[Part] = [Text("", quoted=True)]
        plain: list[str] = []
        text = self._text
        self._at += 1
        while True:
            if self._at >= len(text):
                raise ShellSyntaxError("unterminated quoted string")
            character = text[self._at]
            if character == '"':
                self._at += 1
                break
            if character == "\\" and text[self._at + 1 : self._at + 2] in {"$", "`", '"', "\\"}:
                plain.append(text[self._at + 1])
                self._at += 2
            elif character in "$`":
                parts.append(Text("".join(plain), quoted=True))
                plain.clear()
                parts.append(self._dollar(quoted=True))
            else:
                plain.append(character)
                self._at += 1
        parts.append(Text("".join(plain), quoted=True))
        return parts

    def _dollar(self, *, quoted: bool) -> Part:
        text, start = self._text, self._at
        if text[start] == "`":
            end = self._closing("`", start + 1)
            self._at = end + 1
            return Substitution(text[start + 1 : end], quoted)
        if text.startswith("$((", start):
            end = text.find("))", start)
            if end < 0:
                raise ShellSyntaxError("missing '))'")
            self._at = end + 2
            return Arithmetic(text[start + 3 : end], quoted)
        if text.startswith("$(", start):
            end = self._matching(start + 2)
            self._at = end + 1
            return Substitution(text[start + 2 : end], quoted)
        if text.startswith("${", start):
            end = text.find("}", start)
            if end < 0:
                raise ShellSyntaxError("missing '}'")
            self._at = end + 1
            return _braced(text[start + 2 : end], quoted=quoted)
        name = _NAME.match(text, start + 1)
        if name is None:
            self._at = start + 1
            return Text("$", quoted)
        self._at = name.end()
        return Variable(name[0], quoted)

    def _matching(self, start: int) -> int:
        """Where the bracket ends that begins before `start`; quotes hide brackets."""
        depth, at, text = 1, start, self._text
        while at < len(text):
            character = text[at]
            if character == "'":
                at = self._closing("'", at + 1)
            elif character == "\\":
                at += 1
            elif character == "(":
                depth += 1
            elif character == ")":
                depth -= 1
                if depth == 0:
                    return at
            at += 1
        raise ShellSyntaxError("missing ')'")


def _braced(inside: str, *, quoted: bool) -> Variable:
    if inside.startswith("#") and len(inside) > 1:
        return Variable(inside[1:], quoted, "#")
    name = _NAME.match(inside)
    if name is None:
        raise ShellSyntaxError("bad substitution")
    rest = inside[name.end() :]
    for operator in (":-", ":=", ":+", "-", "+"):
        if rest.startswith(operator):
            return Variable(name[0], quoted, operator, rest[len(operator) :])
    if rest:
        raise ShellSyntaxError("bad substitution")
    return Variable(name[0], quoted)
