"""How deep a text nests is known before a parser reads it, and as the parser would see it."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from k8sactors.api.located_yaml import YamlSourceError, load_documents
from k8sactors.api.nesting import MAX_DEPTH, MAX_SIZE_BYTES, check_json_depth, deep_yaml_brackets
from k8sactors.simulation import Random

WORDS = (
    "[[[[[",
    "{{{{ x }}",
    "]]",
    "it's [",
    'say "[[" [',
    "a: [[[",
    "# [[[[",
    "x # [[[[",
    "a\n[[[[\n  {{{\n",
    "- [[[\n- {{{",
    "|\n [[[",
    "--- [[[[",
    "plain [[ text {{ over several words " * 5,
    "\\[[[ \\",
    "",
    "'",
    '"',
    "&[",
    "http://[::1]:80",
)
STYLES = ("'", '"', "|", ">", None)


def random_value(random: Random, depth: int) -> Any:
    if depth == 0 or random.random() < 0.2:
        return random.choice((random.choice(WORDS), 1, None, True))
    items = [random_value(random, depth - 1) for _ in range(random.randint(1, 3))]
    if random.random() < 0.5:
        return items
    return {
        random.choice(("a", "b [", "c-d", "{x", "'q'", "7")) + str(n): each
        for n, each in enumerate(items)
    }


def bracket_depth(text: str) -> int:
    """What the parser sees."""
    depth = deepest = 0
    open_flow: list[bool] = []
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            open_flow.append(bool(event.flow_style))
            depth += open_flow[-1]
            deepest = max(depth, deepest)
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= open_flow.pop()
    return deepest


@pytest.mark.parametrize("seed", range(300))
def test_brackets_are_counted_as_the_parser_counts_them(seed: int) -> None:
    random = Random(seed)
    text = "".join(
        yaml.safe_dump(
            random_value(random, random.randint(1, 7)),
            default_flow_style=random.choice((True, False, None)),
            default_style=random.choice(STYLES),
            width=random.choice((20, 80, 10_000)),
            indent=random.choice((2, 4)),
            explicit_start=True,
        )
        for _ in range(random.randint(1, 3))
    )
    depth = bracket_depth(text)
    assert deep_yaml_brackets(text, depth) is None, text
    if depth:
        assert deep_yaml_brackets(text, depth - 1) is not None, text


@pytest.mark.parametrize(
    "text",
    [
        "a: |\n  [[[\n  ]\nb: 1",
        "- a: |2-\n    [[[\n  b: {c: [d]}",
        "a: # [[[\n  b: 'it''s [[['",
        "a: foo\n  [[[ bar\n  {{{\nb: c",
        "foo\n[[[\n[[[",
        "&x a: foo\n  [[[",
        '{"a":"[[[", b: it\'s, c: [x#, "y"]}',
        "a: b[[[[c",
        "? a\n: [b]\n? 'c[[['\n: d",
        "a: 'x\n  [[[\n  y'\nb: 1",
        "a: >\n\n  [[[\n\n  [[[\n# [[[\nb: [x]",
        "a:\r\n- b: |\r\n   [[[\r\n- c\r\n",
        "- - |\n    [[[\n  - b",
        "a: [b, # [[[\n  c]",
    ],
)
def test_brackets_in_text_do_not_count(text: str) -> None:
    assert bracket_depth(text) <= 2
    assert deep_yaml_brackets(text, 2) is None


def test_the_place_of_the_first_bracket_too_many_is_told() -> None:
    text = "a: 1\nb: " + "[" * 5000 + "]" * 5000
    with pytest.raises(YamlSourceError) as caught:
        load_documents(text, "f.yaml")
    problem = caught.value.problems[0]
    assert (problem.line, problem.column) == (2, 4 + MAX_DEPTH)
    assert problem.message == "not valid YAML: nested more than 100 levels deep"


@pytest.mark.parametrize("opening", ["- ", "[", "{a: ", "a:\n"])
def test_nesting_up_to_the_limit_is_read(opening: str) -> None:
    if opening == "a:\n":
        text = "".join(" " * n + "a:\n" for n in range(MAX_DEPTH))
    else:
        closing = {"[": "]", "{a: ": "}"}.get(opening, "")
        text = opening * MAX_DEPTH + "x" + closing * MAX_DEPTH
    assert load_documents(text, "f.yaml")


def test_a_text_that_is_too_large_is_refused_unread() -> None:
    with pytest.raises(YamlSourceError, match="larger than 32 MiB"):
        load_documents("[" * (MAX_SIZE_BYTES + 1), "f.yaml")


def test_brackets_of_json_are_counted_outside_strings() -> None:
    check_json_depth(json.dumps(["[" * 500, '"\\[' * 200]).encode())
    check_json_depth(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH)
    check_json_depth(b"[[]]," * 500)
    with pytest.raises(ValueError, match="nested more than 100 levels deep"):
        check_json_depth(b'{"a":' * (MAX_DEPTH + 1))
