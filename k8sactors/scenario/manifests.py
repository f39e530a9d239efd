"""Manifests that a scenario names: read and checked before anything starts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from k8sactors.api import decoding
from k8sactors.api.errors import Cause, UnknownKindError
from k8sactors.api.located_yaml import Document, KeyPath, Problem, YamlSourceError, load_documents
from k8sactors.api.manifest import item_of
from k8sactors.api.schema import validate
from k8sactors.api.scheme import builtin
from k8sactors.api.validation import validate_create
from k8sactors.scenario.binding import named, suggestion

Object = dict[str, Any]


def read_manifests(
    file: Path, shown: str, problems: list[Problem], *, may_be_invalid: bool = False
) -> list[Object]:
    """All objects of a manifest file; its mistakes are added to `problems`.

    Invalid objects are a mistake unless the server is meant to refuse them.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        problems.append(Problem(shown, 1, 1, "", f"cannot read this manifest: {reason}"))
        return []
    try:
        documents = load_documents(text, shown)
    except YamlSourceError as error:
        problems += error.problems
        return []
    if not documents:
        problems.append(Problem(shown, 1, 1, "", "this manifest holds no object"))
    objects: list[Object] = []
    for document in documents:
        objects += read_object(document, (), document.data, problems, may_be_invalid=may_be_invalid)
    return objects


def read_object(
    document: Document,
    path: KeyPath,
    data: Any,
    problems: list[Problem],
    *,
    may_be_invalid: bool = False,
) -> list[Object]:
    """One object, or the items of a List; mistakes are added to `problems`."""
    if not isinstance(data, dict):
        message = f"expected an object with apiVersion, kind and metadata, got {named(data)}"
        problems.append(document.problem(path, message))
        return []
    kind = data.get("kind")
    if isinstance(kind, str) and kind.endswith("List") and (kind == "List" or "items" in data):
        items = data.get("items") or []
        if not isinstance(items, list):
            message = f"expected a list of objects, got {named(items)}"
            problems.append(document.problem((*path, "items"), message))
            return []
        return [
            each
            for number, item in enumerate(items)
            for each in read_object(
                document,
                (*path, "items", number),
                item_of(data, item),
                problems,
                may_be_invalid=may_be_invalid,
            )
        ]
    before = len(problems)
    problems += _identity(document, path, data)
    if len(problems) > before:
        return []
    if not may_be_invalid:
        problems += [_located(document, path, cause) for cause in _mistakes(data)]
    return [data]


def _mistakes(data: Object) -> list[Cause]:
    """What the server would refuse: first its form, then its meaning."""
    causes = validate(data)
    if causes:
        return causes
    info = builtin().kind(data["apiVersion"], data["kind"])
    return validate_create(info, decoding.complete(info, data))


def _identity(document: Document, path: KeyPath, data: Object) -> list[Problem]:
    """Whether the object says what it is and how it is called."""
    found: list[Problem] = []
    for key, example in (("apiVersion", "apps/v1"), ("kind", "Deployment")):
        if not isinstance(data.get(key), str):
            got = named(data[key]) if key in data else "nothing"
            message = f"expected {key}, as in {example}; got {got}"
            found.append(document.problem((*path, key), message))
    if found:
        return found
    try:
        builtin().kind(data["apiVersion"], data["kind"])
    except UnknownKindError:
        known = [f"{info.api_version} {info.kind}" for info in builtin().resources()]
        asked = f"{data['apiVersion']} {data['kind']}"
        hint = suggestion(asked, known) if _is_near(asked, known) else "no such kind is served"
        message = f"no kind {data['kind']!r} in version {data['apiVersion']!r}; {hint}"
        found.append(document.problem((*path, "kind"), message))
    metadata = data.get("metadata")
    if not isinstance(metadata, dict) or not (
        isinstance(metadata.get("name"), str) or isinstance(metadata.get("generateName"), str)
    ):
        message = "expected metadata.name, a string"
        found.append(document.problem((*path, "metadata", "name"), message))
    return found


def _is_near(asked: str, known: list[str]) -> bool:
    return suggestion(asked, known).startswith("did you mean")


def _located(document: Document, path: KeyPath, cause: Cause) -> Problem:
    """A cause that the schema check found, at its place in the file."""
    where = path + parse_field(cause.field)
    return document.problem(where, cause.message, at_key=where in document.keys)


def parse_field(text: str) -> KeyPath:
    """A field path as API errors write it: `spec.containers[0].env[name].x` to its parts."""
    parts: list[str | int] = []
    for piece in text.replace("[", ".[").split("."):
        if piece.startswith("["):
            inner = piece.strip("[]\"'")
            parts.append(int(inner) if inner.isdigit() else inner)
        elif piece:
            parts.append(piece)
    return tuple(parts)
