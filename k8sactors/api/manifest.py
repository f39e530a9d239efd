"""Manifests: the objects in a YAML or JSON text, each with the places of its keys.

`located_yaml` reads the text; this module knows that the documents are Kubernetes objects: lists
are flattened, and what is not an object at all is refused with file, line, column and key.
"""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.errors import Cause, ManifestError
from k8sactors.api.located_yaml import Document, KeyPath, Problem, YamlSourceError, load_documents

# What every object says of itself.
IDENTITY = ("apiVersion", "kind")


@attrs.frozen
class Manifest:
    """One object, and where it stands: `root` is its path within the document."""

    obj: dict[str, Any]
    document: Document
    root: KeyPath = ()

    def locate(self, cause: Cause) -> Problem:
        """A cause with the place of its field (or of the nearest one that is there)."""
        path = (*self.root, *self._path(cause.field))
        problem = self.document.problem(path, cause.message, at_key=True)
        return attrs.evolve(problem, key=cause.field)

    def _path(self, field: str) -> KeyPath:
        """The steps of `spec.containers[0].image`; keys with dots stand in brackets."""
        parts = field.replace("]", "").replace("[", ".").split(".")
        return tuple(int(part) if part.isdigit() else part for part in parts if part)


def load(text: str, file: str = "<text>") -> list[Manifest]:
    """All objects of a text, in order; raises ManifestError for the first that is invalid."""
    try:
        documents = load_documents(text, file)
    except YamlSourceError as error:
        raise _refused(error.problems[0]) from error
    found: list[Manifest] = []
    for document in documents:
        if document.data is not None:
            _collect(document.data, document, (), found)
    return found


def _refused(problem: Problem) -> ManifestError:
    return ManifestError(
        problem.message,
        file=problem.file,
        line=problem.line,
        column=problem.column,
        key=problem.key,
    )


def _collect(data: Any, document: Document, root: KeyPath, found: list[Manifest]) -> None:
    if not isinstance(data, dict):
        raise _refused(document.problem(root, "expected an object with apiVersion and kind"))
    for field in IDENTITY:
        value = data.get(field)
        if not isinstance(value, str) or not value:
            text = f"expected a non-empty string in '{field}'"
            raise _refused(document.problem((*root, field), text))
    if is_list(data):
        for index, item in enumerate(data["items"]):
            _collect(item_of(data, item), document, (*root, "items", index), found)
        return
    found.append(Manifest(drop_nulls(data), document, root))


def is_list(data: dict[str, Any]) -> bool:
    """Whether an object of this apiVersion and kind is a list: a `List`, a `ConfigMapList`, ..."""
    kind = data.get("kind")
    return isinstance(kind, str) and kind.endswith("List") and isinstance(data.get("items"), list)


def item_of(listed: dict[str, Any], item: Any) -> Any:
    """An item of a list; what it does not say of its kind follows from that of the list.

    The items in an answer of the API server say nothing: a `ConfigMapList` of `v1` holds objects of
    kind `ConfigMap` of `v1`.
    """
    kind = listed["kind"].removesuffix("List")
    if not kind or not isinstance(item, dict) or all(field in item for field in IDENTITY):
        return item
    return {"apiVersion": listed.get("apiVersion"), "kind": kind, **item}


def drop_nulls(value: Any) -> Any:
    """The value without null fields, which say the same as absent ones."""
    if isinstance(value, dict):
        return {key: drop_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [drop_nulls(item) for item in value]
    return value
