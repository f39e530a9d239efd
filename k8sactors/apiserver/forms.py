"""The form of objects on their way in: strict decoding, defaults, validation; with a memory.

A replica set makes thousands of pods that differ in their names only. What was found out about one
specification holds for all equal ones: its form is right, these are its defaults, and it is valid.
Specifications are compared as encoded bytes; names are always checked.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from k8sactors.api import codec, defaulting, errors, schema, validation
from k8sactors.api.scheme import ResourceInfo

Object = dict[str, Any]

MEMORY = 1024
# Fields of metadata that differ between objects of one shape; all others are part of the shape.
_INDIVIDUAL = frozenset(
    {
        "name",
        "generateName",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    }
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_MAX = 253


class Finished(NamedTuple):
    """A pod's specification and status after defaults and admission."""

    spec: Object
    status: Object
    depends_on: int


class Forms:
    """Decides whether objects are well-formed and valid, and completes them."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._pods: dict[bytes, Finished] = {}

    def recall(self, obj: Object, depends_on: int) -> tuple[bytes | None, Finished | None]:
        """The shape of a new pod, and what became of the last pod of that shape.

        `depends_on` names the state of the cluster that admission has looked at: a memory of
        another state does not count.
        """
        if not _name_is_right(obj["metadata"].get("name")):
            return None, None
        shape = _shape(obj)
        if shape is None:
            return None, None
        finished = self._pods.get(shape)
        if finished is None or finished.depends_on != depends_on:
            self.misses += 1
            return shape, None
        self.hits += 1
        return shape, finished

    def remember(self, shape: bytes, pod: Object, depends_on: int) -> None:
        """A pod of this shape was found right, and this is what it has become."""
        if len(self._pods) >= MEMORY:
            del self._pods[next(iter(self._pods))]
        self._pods[shape] = Finished(pod["spec"], pod["status"], depends_on)

    def complete(self, obj: Object) -> Object:
        """The object with its defaults.

        Raises:
            StatusError: 400, unknown fields or wrong types.
        """
        self.check_form(obj)
        return defaulting.apply(obj)

    def check_new(self, info: ResourceInfo, obj: Object) -> None:
        """Semantic validation of a new object.

        Raises:
            StatusError: 422.
        """
        causes = validation.validate_create(info, obj)
        if causes:
            raise errors.invalid(info, obj["metadata"].get("name") or "", causes)

    def check_changed(self, info: ResourceInfo, old: Object, new: Object) -> None:
        """Semantic validation of an update.

        Raises:
            StatusError: 422.
        """
        causes = validation.validate_update(info, old, new)
        if causes:
            raise errors.invalid(info, old["metadata"]["name"], causes)

    def check_form(self, obj: Object) -> None:
        """Strict decoding.

        Raises:
            StatusError: 400.
        """
        causes = schema.validate(obj)
        if causes:
            raise schema.decoding_error(obj, causes)


def _shape(obj: Object) -> bytes | None:
    """The bytes of everything that equal objects have in common; None for an unusual object."""
    metadata = obj["metadata"]
    spec = obj.get("spec")
    if not isinstance(spec, dict) or any(key not in _TOP for key in obj):
        return None
    common = [metadata[key] for key in metadata if key not in _INDIVIDUAL]
    common.append([key for key in metadata if key not in _INDIVIDUAL])
    common.append(spec)
    return codec.encode_value(common)


_TOP = frozenset({"apiVersion", "kind", "metadata", "spec", "status"})


def _name_is_right(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= _NAME_MAX and _NAME.fullmatch(name) is not None
