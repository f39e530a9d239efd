"""Transcripts: what is typed, and what is then printed, to be read by people and run by a test.

    # A line about what follows.
    $ kubectl create --filename -
    < apiVersion: v1
    < ...
    configmap/settings created

    $ kubectl get configmap nothing
    Error from server (NotFound): configmaps "nothing" not found
    ? 1

A line with `$` is given to the shell; those with `<` are its standard input. What it prints, on
both outputs, is compared word by word, blank lines left out; `? 1` is the exit status where it is
not 0.
What differs from run to run is written as a placeholder: `<age>`, `<uid>` and so on
(`PLACEHOLDERS`); `...` stands for the rest of its line, and alone on a line for any number of them.
A line that begins with the name of a client in brackets, as in `[1.20] `, is for that client only;
if it is a command, so is all that belongs to it.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import attrs

from tests.clients.shell import Shell

REST: Final = "..."
PLACEHOLDERS: Final = {
    "<age>": r"(\d+[smhdy])+",
    "<duration>": r"(\d+(\.\d+)?(ms|us|µs|[smhd]))+",
    "<time>": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)",
    "<date>": r"[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d \+\d{4}",
    "<uid>": r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "<hash>": r"[0-9a-z]{6,10}",
    "<suffix>": r"[bcdfghjklmnpqrstvwxz2456789]{5}",
    "<ip>": r"\d+\.\d+\.\d+\.\d+",
    "<n>": r"\d+",
    "<port>": r"\d{2,5}",
    "<any>": r"\S+",
}
_PLACEHOLDER = re.compile("|".join(map(re.escape, PLACEHOLDERS)))
_ONLY = re.compile(r"\[(?P<client>[\w.]+)\] ")


@attrs.frozen
class Step:
    """A command and what is expected of it."""

    # Where it stands in the transcript, from 1.
    line: int
    command: str
    stdin: str
    expected: tuple[str, ...]
    status: int


def read(path: Path, client: str) -> list[Step]:
    """The steps of a transcript for one client."""
    steps: list[Step] = []
    for number, lines in _commands(path.read_text().splitlines()):
        only, command = _for_client(lines[0])
        if only not in {"", client}:
            continue
        stdin: list[str] = []
        expected: list[str] = []
        status = 0
        for full in lines[1:]:
            only, line = _for_client(full)
            if only not in {"", client}:
                continue
            if line == "<" or line.startswith("< "):
                stdin.append(line[2:] + "\n")
            elif line.startswith("? "):
                status = int(line[2:])
            else:
                expected.append(" ".join(line.split()))
        steps.append(Step(number, command[2:], "".join(stdin), tuple(expected), status))
    return steps


def _commands(lines: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """The lines of each command, the first with its number; comments and blank lines are gone."""
    start, taken = 0, list[str]()
    for number, line in enumerate(lines, 1):
        if _for_client(line)[1].startswith("$ "):
            if taken:
                yield start, taken
            start, taken = number, [line]
        elif line.strip() and not line.startswith("# "):
            taken.append(line)
    if taken:
        yield start, taken


def _for_client(line: str) -> tuple[str, str]:
    only = _ONLY.match(line)
    return ("", line) if only is None else (only["client"], line[only.end() :])


def difference(
    step: Step, status: int, printed: Sequence[str], names: Mapping[str, str] | None = None
) -> str:
    """What was not as expected, as a diff; empty if all was. `names` stand for others' values."""
    found = [" ".join(line.split()) for line in printed]
    wanted = list(step.expected)
    for placeholder, name in (names or {}).items():
        wanted = [line.replace(placeholder, name) for line in wanted]
    if status != step.status:
        found.append(f"? {status}")
        wanted.append(f"? {step.status}")
    pairs = _align(wanted, found)
    if pairs is None:
        pairs = _same_words(wanted, found)
    elif len(pairs) == len(found):
        return ""
    shown = [pairs.get(index, line) for index, line in enumerate(found)]
    return "\n".join(difflib.unified_diff(wanted, shown, "expected", "printed", lineterm="", n=2))


def _align(wanted: Sequence[str], found: Sequence[str]) -> dict[int, str] | None:
    """Each found line with the expected one that it matches, or None."""
    # The positions up to which the expected lines so far can have consumed what was found.
    reached = [{0}]
    for line in wanted:
        before = reached[-1]
        if line == REST:
            reached.append(set(range(min(before), len(found) + 1)) if before else set())
        else:
            pattern = _pattern(line)
            reached.append(
                {at + 1 for at in before if at < len(found) and pattern.fullmatch(found[at])}
            )
    if len(found) not in reached[-1]:
        return None
    return dict.fromkeys(range(len(found)), REST)


def _same_words(wanted: Sequence[str], found: Sequence[str]) -> dict[int, str]:
    """Found lines that match an expected one are shown as that, so that the diff has the others."""
    patterns = [(line, _pattern(line)) for line in wanted if line != REST]
    shown: dict[int, str] = {}
    for index, line in enumerate(found):
        for expected, pattern in patterns:
            if pattern.fullmatch(line):
                shown[index] = expected
                break
    return shown


def _pattern(line: str) -> re.Pattern[str]:
    parts: list[str] = []
    rest = line.endswith(REST)
    text = line.removesuffix(REST) if rest else line
    position = 0
    for match in _PLACEHOLDER.finditer(text):
        parts += (re.escape(text[position : match.start()]), f"(?:{PLACEHOLDERS[match[0]]})")
        position = match.end()
    parts.append(re.escape(text[position:]))
    return re.compile("".join(parts) + (".*" if rest else ""))


def check(path: Path, client: str, shell: Shell) -> None:
    """Run a transcript in a shell, to its end whatever differs.

    Raises:
        AssertionError: what differs, as diffs.
    """
    failures = []
    steps = read(path, client)
    for step in steps:
        status, printed = shell.run(step.command, step.stdin)
        found = difference(step, status, printed, {"<namespace>": shell.name})
        if found:
            failures.append(f"{path.name}:{step.line}: {step.command}\n{found}")
    assert not failures, "\n\n".join([f"{len(failures)} of {len(steps)} differ", *failures])
