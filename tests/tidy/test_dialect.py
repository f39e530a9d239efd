"""One dialect: each rule is a pattern; a violation is told with file, line and rule."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import attrs
import pytest

ROOT = Path(__file__).parents[2]
PRODUCT = ("k8sactors", "raftstore", "benches")
CODE = (*PRODUCT, "tests", ".ci")
PROSE = ("README.md", "CHANGELOG.md", "Makefile", "pyproject.toml", "docs", "scenarios")
MAX_LINES = 500
Find = Callable[[Path, str], Iterator[tuple[int, str]]]


@attrs.frozen
class Rule:
    """What to write instead, where the rule holds, and how a violation is found."""

    remedy: str
    places: tuple[str, ...]
    find: Find
    suffixes: tuple[str, ...] = (".py",)


def pattern(expression: str, flags: int = 0) -> Find:
    compiled = re.compile(expression, flags)

    def find(_path: Path, text: str) -> Iterator[tuple[int, str]]:
        for number, line in enumerate(text.splitlines(), 1):
            match = compiled.search(line)
            if match and "dialect:" not in line:
                yield number, match[0]

    return find


def fields_without_comment_above(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Text that documents a field elsewhere than above it: a string below, a comment behind."""
    lines = text.splitlines()
    for node in ast.walk(ast.parse(text, str(path))):
        if not isinstance(node, ast.ClassDef) or not is_attrs(node):
            continue
        for before, after in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
                and isinstance(after.value.value, str)
            ):
                yield after.lineno, "a string below a field"
        for statement in node.body:
            if isinstance(statement, ast.AnnAssign):
                line = lines[(statement.end_lineno or statement.lineno) - 1]
                if "  # " in line and "# noqa" not in line and "# type:" not in line:
                    yield statement.lineno, "a comment behind a field"


def is_attrs(node: ast.ClassDef) -> bool:
    return any(
        ast.unparse(decorator).startswith(("attrs.define", "attrs.frozen"))
        for decorator in node.decorator_list
    )


def too_long(_path: Path, text: str) -> Iterator[tuple[int, str]]:
    count = len(text.splitlines())
    if count > MAX_LINES:
        yield MAX_LINES + 1, f"{count} lines"


def sentence_cut_in_two(path: Path, text: str) -> Iterator[tuple[int, str]]:
    """Docstrings whose first paragraph ends within a bracket, or whose second begins with one."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(ast.parse(text, str(path))):
        if isinstance(node, kinds) and (documentation := ast.get_docstring(node)):
            first, _, rest = documentation.partition("\n\n")
            if first.count("(") > first.count(")") or rest.startswith("("):
                yield getattr(node, "lineno", 1), first


def module_name(path: Path, _text: str) -> Iterator[tuple[int, str]]:
    if path.stem in {"desk", "passing", "moves", "chores", "forms", "made", "truth", "guide"}:
        yield 1, path.name


# Also within a name, between underscores.
PEOPLE = (
    r"(?<![a-z])(somebody|nobody|whoever|anybody|everybody|someone|everyone|anyone|no.one)(?![a-z])"
)
WORDS = (
    r"(?<![a-z])(anew|for.ever|that.is.none|beside|(go|goes|went)_on"
    r"|(go|goes|going|went|gone) on (with|to|from|where))(?![a-z])"
)
UNITS = r"\b\w+_(secs?|millis|msecs?|nanos|usecs?|minutes_s)\b(?=\s*[:=,)])"

RULES: dict[str, Rule] = {
    "people": Rule(
        "name the subject: the client, leader, caller, member, kubelet",
        (*CODE, *PROSE),
        pattern(PEOPLE, re.IGNORECASE),
        (".py", ".md", ".yaml", ".toml", ".txt", ""),
    ),
    "plain words": Rule(
        "write again, forever, invalid, next to, resume or continue",
        (*CODE, *PROSE),
        pattern(WORDS, re.IGNORECASE),
        (".py", ".md", ".yaml", ".toml", ".txt", ""),
    ),
    "units last": Rule("end the name in _ns, _ms, _s or _seconds", CODE, pattern(UNITS)),
    "type-only imports": Rule(
        "move the class to what owns it, or state a Protocol",
        CODE,
        pattern(r"^\s*if (typing\.)?TYPE_CHECKING"),
    ),
    "abstract methods": Rule(
        "mark it abc.abstractmethod, or state a Protocol: mypy then finds a missing one",
        CODE,
        pattern(r"^\s*raise NotImplementedError"),
    ),
    "attrs": Rule(
        "import attrs, and write attrs.define or attrs.frozen",
        CODE,
        pattern(
            r"^\s*(from attrs? import|import attr$|from dataclasses import|import dataclasses)"
        ),
    ),
    "one second": Rule(
        "import SECOND or MILLISECOND from k8sactors.simulation or raftstore.units",
        PRODUCT,
        pattern(r"^_?(SECOND|MILLISECOND|NS_PER_SECOND|SECOND_NS)\w*(: \w+)? = [\d_*]+$"),
    ),
    "field documentation": Rule(
        "write a comment on the line above the field", PRODUCT, fields_without_comment_above
    ),
    "docstrings": Rule("end the first sentence in the first paragraph", CODE, sentence_cut_in_two),
    "file length": Rule(f"keep a file under {MAX_LINES} lines: one idea each", PRODUCT, too_long),
    "module names": Rule("use the field's word", PRODUCT, module_name),
}
# Where a rule's own words must stand.
EXEMPT = {
    ("abstract methods", "tests/tidy/test_dialect.py"),
    ("one second", "k8sactors/simulation/clock.py"),
    ("one second", "raftstore/units.py"),
    ("people", "tests/tidy/test_dialect.py"),
    ("units last", "tests/tidy/test_dialect.py"),
    ("plain words", "tests/tidy/test_dialect.py"),
}


def files(places: tuple[str, ...], suffixes: tuple[str, ...]) -> Iterator[Path]:
    for place in places:
        top = ROOT / place
        found = [top] if top.is_file() else sorted(top.rglob("*"))
        yield from (
            path
            for path in found
            if path.is_file()
            and path.suffix in suffixes
            and "__pycache__" not in path.parts
            and not path.name.startswith(".")
        )


def violations(name: str, rule: Rule) -> Iterator[str]:
    for path in files(rule.places, rule.suffixes):
        shown = str(path.relative_to(ROOT))
        if (name, shown) not in EXEMPT:
            for line, found in rule.find(path, path.read_text()):
                yield f"{shown}:{line}: {name}: {found!r}: {rule.remedy}"


@pytest.mark.parametrize("name", list(RULES))
def test_rule_is_kept(name: str) -> None:
    found = list(violations(name, RULES[name]))
    assert not found, f"{len(found)} violations:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("people", "# Whoever asks gets an answer.\n"),
        ("plain words", "# It waits for ever.\n"),
        ("units last", "timeout_secs: int = 3\n"),
        ("type-only imports", "if TYPE_CHECKING:\n"),
        ("abstract methods", "        raise NotImplementedError\n"),
        ("attrs", "from attrs import define\n"),
        ("one second", "_SECOND_NS = 1_000_000_000\n"),
        ("field documentation", "@attrs.define\nclass A:\n    b: int  # behind\n"),
        ("field documentation", '@attrs.define\nclass A:\n    b: int\n    """Below."""\n'),
        ("docstrings", '"""Leader election (Raft.\n\n5.2)."""\n'),
        ("file length", "pass\n" * (MAX_LINES + 1)),
    ],
)
def test_rule_finds_its_violation(name: str, text: str) -> None:
    assert list(RULES[name].find(Path("module.py"), text))
