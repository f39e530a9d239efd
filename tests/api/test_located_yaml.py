"""YAML is read as Kubernetes reads it, and every part knows its place."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api.located_yaml import Position, YamlSourceError, load_documents, show_path


def data(text: str) -> Any:
    return load_documents(text, "f.yaml")[0].data


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2024-01-01", "2024-01-01"),
        ("12:30:45", "12:30:45"),
        ("0644", 420),
        ("0o644", 420),
        ("0x1F", 31),
        ("-7", -7),
        ("089", 89),
        ("1e3", 1000),
        ("1.5", 1.5),
        ("100m", "100m"),
        ("1.2.3", "1.2.3"),
        ("yes", True),
        ("off", False),
        ("'yes'", "yes"),
        ("~", None),
        ("null", None),
        ("'0644'", "0644"),
        ('"1"', "1"),
        ("=", "="),
    ],
)
def test_scalars_are_resolved_as_kubernetes_resolves_them(text: str, value: Any) -> None:
    read = data(f"key: {text}")["key"]
    assert read == value
    assert type(read) is type(value)


def test_keys_are_strings() -> None:
    assert data("1: a\ntrue: b") == {"1": "a", "true": "b"}


def test_every_key_and_value_knows_its_place() -> None:
    document = load_documents("a:\n  - b: 1\n    c: two\n", "f.yaml")[0]
    assert document.keys["a", 0, "c"] == Position(3, 5)
    assert document.values["a", 0, "c"] == Position(3, 8)


def test_a_problem_prints_file_line_column_and_key() -> None:
    document = load_documents("a:\n  - b: 1\n", "f.yaml")[0]
    assert str(document.problem(("a", 0, "b"), "bad")) == "f.yaml:2:8: a[0].b: bad"
    assert str(document.problem(("a", 0, "b"), "bad", at_key=True)) == "f.yaml:2:5: a[0].b: bad"


def test_a_problem_with_something_missing_points_to_its_parent() -> None:
    document = load_documents("a:\n  - b: 1\n", "f.yaml")[0]
    assert str(document.problem(("a", 0, "x", "y"), "bad")) == "f.yaml:2:5: a[0].x.y: bad"


def test_several_documents_keep_the_lines_of_the_file() -> None:
    documents = load_documents("---\na: 1\n---\n# nothing\n---\nb: 2\n", "f.yaml")
    assert [document.data for document in documents] == [{"a": 1}, {"b": 2}]
    assert documents[1].keys["b",].line == 6


def test_all_duplicate_keys_are_reported() -> None:
    with pytest.raises(YamlSourceError) as caught:
        load_documents("a: 1\na: 2\nb:\n  c: 1\n  c: 2\n", "f.yaml")
    assert [str(problem) for problem in caught.value.problems] == [
        "f.yaml:2:1: a: this key is already set in line 1",
        "f.yaml:5:3: b.c: this key is already set in line 4",
    ]


def test_a_syntax_error_has_a_place() -> None:
    with pytest.raises(YamlSourceError) as caught:
        load_documents("a: [1, 2\nb: 3\n", "f.yaml")
    assert (caught.value.problems[0].line, caught.value.problems[0].file) == (2, "f.yaml")


def test_aliases_and_merge_keys_are_expanded() -> None:
    text = "base: &b {x: 1, y: 2}\nother:\n  <<: *b\n  y: 3\nsame: *b\n"
    read = data(text)
    assert read["other"] == {"x": 1, "y": 3}
    assert read["same"] == {"x": 1, "y": 2}


def test_a_file_that_multiplies_itself_is_refused() -> None:
    levels = "\n".join(f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 10)}]" for n in range(1, 9))
    with pytest.raises(YamlSourceError, match="after expanding aliases"):
        load_documents(f"l0: &l0 [x]\n{levels}\n", "f.yaml")


def test_paths_read_like_the_file() -> None:
    assert show_path(("a", 0, "b-c", "d.e/f")) == "a[0].b-c['d.e/f']"
