"""From words to arguments: variables, substitutions, splitting into fields, file names."""

from __future__ import annotations

import posixpath
import re
from fnmatch import translate
from typing import Protocol

from k8sactors.runtime.process import Process
from k8sactors.runtime.shell.lexer import Arithmetic, Part, Substitution, Text, Variable, Word

_PATTERN = re.compile(r"[*?\[]")


class Variables(Protocol):
    """The shell, as expansion needs it."""

    process: Process
    status: int
    variables: dict[str, str]
    parameters: list[str]

    async def output_of(self, script: str) -> str:
        """What a script prints."""

    def calculate(self, expression: str) -> int:
        """The value of an arithmetic expression."""


class Expander:
    """Expands words for a shell."""

    def __init__(self, shell: Variables) -> None:
        self._shell = shell

    async def text(self, word: Word) -> str:
        """A word as one text: in assignments and redirections nothing is split."""
        return "".join([await self._value(part) for part in word.parts])

    async def fields(self, word: Word) -> list[str]:
        """The arguments that a word becomes."""
        fields: list[str] = []
        current: str | None = None
        patterned = False
        for part in word.parts:
            if isinstance(part, Variable) and part.name == "@" and part.quoted:
                for place, text in enumerate(self._shell.parameters):
                    if place:
                        fields.append(current or "")
                        current = ""
                    current = (current or "") + text
                continue
            value = await self._value(part)
            if part.quoted or isinstance(part, Text):
                current = (current or "") + value
                patterned = patterned or (not part.quoted and bool(_PATTERN.search(value)))
                continue
            pieces = value.split()
            if value[:1].isspace() and current is not None:
                fields.append(current)
                current = None
            for place, piece in enumerate(pieces):
                if place:
                    fields.append(current or "")
                    current = ""
                current = (current or "") + piece
            if pieces and value[-1:].isspace():
                fields.append(current or "")
                current = None
        if current is not None:
            fields.append(current)
        if patterned:
            return [name for field in fields for name in self._matching(field)]
        home = self._shell.variables.get("HOME", "/")
        if word.parts and word.literal in {"~", "~/"}:
            return [home]
        return fields

    def _matching(self, pattern: str) -> list[str]:
        """The names of files that a pattern in its last component matches; else itself."""
        process = self._shell.process
        folder, name = posixpath.split(pattern)
        path = process.path(folder or ".")
        if not process.files.is_directory(path):
            return [pattern]
        matches = re.compile(translate(name)).match
        found = [
            posixpath.join(folder, each)
            for each in process.files.names(path)
            if matches(each) and (name.startswith(".") or not each.startswith("."))
        ]
        return found or [pattern]

    async def _value(self, part: Part) -> str:
        match part:
            case Text(text, _):
                return text
            case Substitution(script, _):
                return await self._shell.output_of(script)
            case Arithmetic(expression, _):
                return str(self._shell.calculate(expression))
            case Variable():
                return self._variable(part)

    def _variable(self, part: Variable) -> str:
        value = self._lookup(part.name)
        match part.operator:
            case "#":
                return str(len(value or ""))
            case ":-" | "-" | ":=":
                missing = value is None or (part.operator != "-" and not value)
                if missing and part.operator == ":=":
                    self._shell.variables[part.name] = part.argument
                return part.argument if missing else value or ""
            case ":+" | "+":
                return part.argument if value else ""
        return value or ""

    def _lookup(self, name: str) -> str | None:
        shell = self._shell
        if name == "?":
            return str(shell.status)
        if name == "$":
            return str(shell.process.pid)
        if name in {"@", "*"}:
            return " ".join(shell.parameters)
        if name == "#":
            return str(len(shell.parameters))
        if name == "0":
            return shell.process.argv[0]
        if name.isdecimal():
            place = int(name) - 1
            return shell.parameters[place] if place < len(shell.parameters) else None
        return shell.variables.get(name)
