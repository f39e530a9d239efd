"""From tokens to a tree of commands."""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.runtime.shell.lexer import (
    MAX_DEPTH,
    Lexer,
    Operator,
    Redirection,
    ShellSyntaxError,
    Token,
    Word,
)

_RESERVED: Final = frozenset(
    {"if", "then", "elif", "else", "fi", "while", "until", "for", "do", "done", "in", "{", "}", "!"}
)
_SEPARATORS: Final = frozenset({";", "&", "\n"})


@attrs.frozen
class Redirect:
    """A redirection with its target."""

    descriptor: int
    operator: str
    target: Word


@attrs.frozen
class Simple:
    """Assignments, words, redirections."""

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...]


@attrs.frozen
class If:
    """Conditions with their bodies, in order; the last condition may be None (else)."""

    branches: tuple[tuple[Sequence | None, Sequence], ...]
    redirects: tuple[Redirect, ...] = ()


@attrs.frozen
class Loop:
    """`while`, or `until`."""

    condition: Sequence
    body: Sequence
    until: bool
    redirects: tuple[Redirect, ...] = ()


@attrs.frozen
class For:
    """`for name in words`."""

    name: str
    words: tuple[Word, ...]
    body: Sequence
    redirects: tuple[Redirect, ...] = ()


@attrs.frozen
class Group:
    """`{ ...; }`, or `( ... )` in a subshell."""

    body: Sequence
    subshell: bool
    redirects: tuple[Redirect, ...] = ()


Command = Simple | If | Loop | For | Group


@attrs.frozen
class Pipeline:
    """Commands joined by `|`."""

    commands: tuple[Command, ...]
    negated: bool


@attrs.frozen
class Item:
    """A pipeline; `operator` is what joins it to the one before it: `;`, `&&` or `||`."""

    operator: str
    pipeline: Pipeline
    # It runs next to what follows (`&`).
    background: bool = False


@attrs.frozen
class Sequence:
    """Pipelines in order."""

    items: tuple[Item, ...]


def parse(script: str) -> Sequence:
    """The tree of a script.

    Raises:
        ShellSyntaxError: it is not well formed.
    """
    parser = _Parser(Lexer(script).tokens())
    sequence = parser.sequence(frozenset(), 0)
    if parser.peek() is not None:
        raise parser.unexpected()
    return sequence


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0

    def peek(self) -> Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def unexpected(self) -> ShellSyntaxError:
        token = self.peek()
        match token:
            case Operator(text) | Redirection(_, text):
                shown = "newline" if text == "\n" else text
            case Word():
                shown = token.literal or "word"
            case _:
                shown = "end of file"
        return ShellSyntaxError(f'syntax error: unexpected "{shown}"')

    def _operator(self) -> str:
        token = self.peek()
        return token.text if isinstance(token, Operator) else ""

    def _reserved(self) -> str:
        token = self.peek()
        text = token.literal if isinstance(token, Word) else None
        return text if text in _RESERVED and text is not None else ""

    def _expect(self, word: str) -> None:
        if self._reserved() != word and self._operator() != word:
            raise self.unexpected()
        self._at += 1

    def _skip_newlines(self) -> None:
        while self._operator() == "\n":
            self._at += 1

    def sequence(self, ends: frozenset[str], depth: int) -> Sequence:
        if depth > MAX_DEPTH:
            raise ShellSyntaxError("syntax error: nested too deeply")
        items: list[Item] = []
        operator = ";"
        while True:
            while self._operator() in _SEPARATORS - {"&"}:
                self._at += 1
            if self.peek() is None or self._reserved() in ends or self._operator() in ends:
                break
            pipeline = self._pipeline(depth)
            following = self._operator()
            if following in {"&&", "||"}:
                items.append(Item(operator, pipeline))
                operator = following
                self._at += 1
                self._skip_newlines()
                continue
            items.append(Item(operator, pipeline, background=following == "&"))
            operator = ";"
            if following in _SEPARATORS:
                self._at += 1
            elif self.peek() is not None and following not in ends and self._reserved() not in ends:
                raise self.unexpected()
        if operator != ";" or (ends and not items):
            raise self.unexpected()
        return Sequence(tuple(items))

    def _pipeline(self, depth: int) -> Pipeline:
        negated = False
        while self._reserved() == "!":
            negated = not negated
            self._at += 1
        commands = [self._command(depth)]
        while self._operator() == "|":
            self._at += 1
            self._skip_newlines()
            commands.append(self._command(depth))
        return Pipeline(tuple(commands), negated)

    def _command(self, depth: int) -> Command:
        word = self._reserved()
        if word == "if":
            command: Command = self._if(depth)
        elif word in {"while", "until"}:
            self._at += 1
            condition = self.sequence(frozenset({"do"}), depth + 1)
            command = Loop(condition, self._body(depth), word == "until")
        elif word == "for":
            command = self._for(depth)
        elif word == "{" or self._operator() == "(":
            subshell = word != "{"
            end = ")" if subshell else "}"
            self._at += 1
            body = self.sequence(frozenset({end}), depth + 1)
            self._expect(end)
            command = Group(body, subshell)
        elif word:
            raise self.unexpected()
        else:
            return self._simple()
        redirects = tuple(self._redirects())
        return attrs.evolve(command, redirects=redirects) if redirects else command

    def _body(self, depth: int) -> Sequence:
        self._expect("do")
        body = self.sequence(frozenset({"done"}), depth + 1)
        self._expect("done")
        return body

    def _if(self, depth: int) -> If:
        branches: list[tuple[Sequence | None, Sequence]] = []
        ends = frozenset({"elif", "else", "fi"})
        while self._reserved() in {"if", "elif"}:
            self._at += 1
            condition = self.sequence(frozenset({"then"}), depth + 1)
            self._expect("then")
            branches.append((condition, self.sequence(ends, depth + 1)))
        if self._reserved() == "else":
            self._at += 1
            branches.append((None, self.sequence(frozenset({"fi"}), depth + 1)))
        self._expect("fi")
        return If(tuple(branches))

    def _for(self, depth: int) -> For:
        self._at += 1
        token = self.peek()
        name = token.literal if isinstance(token, Word) else None
        if name is None:
            raise self.unexpected()
        self._at += 1
        words: list[Word] = []
        if self._reserved() == "in":
            self._at += 1
            while isinstance(token := self.peek(), Word):
                words.append(token)
                self._at += 1
        while self._operator() in {";", "\n"}:
            self._at += 1
        return For(name, tuple(words), self._body(depth))

    def _simple(self) -> Simple:
        words: list[Word] = []
        redirects: list[Redirect] = []
        while True:
            token = self.peek()
            if isinstance(token, Word):
                words.append(token)
                self._at += 1
            elif isinstance(token, Redirection):
                redirects.append(self._redirect(token))
            else:
                break
        if not words and not redirects:
            raise self.unexpected()
        return Simple(tuple(words), tuple(redirects))

    def _redirects(self) -> list[Redirect]:
        found: list[Redirect] = []
        while isinstance(token := self.peek(), Redirection):
            found.append(self._redirect(token))
        return found

    def _redirect(self, token: Redirection) -> Redirect:
        self._at += 1
        target = self.peek()
        if not isinstance(target, Word):
            raise self.unexpected()
        self._at += 1
        return Redirect(token.descriptor, token.operator, target)
