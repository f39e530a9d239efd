"""Patches: merge patch (RFC 7386), JSON patch (RFC 6902) and Kubernetes' strategic merge.

All three return a new object and leave the old one alone. `strategic` takes the merge keys from
the schema of the kind; its directives are `$patch` (replace, delete, merge), `$retainKeys`,
`$deleteFromPrimitiveList/<field>` and `$setElementOrder/<field>` (design proposal "Strategic
Merge Patch").
"""

from __future__ import annotations

import copy
from typing import Any, cast

import jsonpatch
import jsonpointer

from k8sactors.api import strategic
from k8sactors.api.definitions import Definition, definition
from k8sactors.api.errors import UNPROCESSABLE, PatchError

Object = dict[str, Any]

OPERATIONS_MAX = 10_000
# What the library raises for an operation that it cannot carry out: it looks up members of strings
# and numbers without asking first whether they are containers.
_REFUSALS = (
    jsonpatch.JsonPatchException,
    jsonpointer.JsonPointerException,
    TypeError,
    KeyError,
    AttributeError,
    IndexError,
)


def merge_patch(obj: Any, patch: Any) -> Any:
    """RFC 7386: objects merge, null deletes, anything else replaces."""
    if not isinstance(patch, dict):
        return patch
    result = dict(obj) if isinstance(obj, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value)
    return result


def json_patch(obj: Object, operations: list[Object]) -> Object:
    """RFC 6902; raises PatchError when an operation fails (a failed `test` included)."""
    try:
        # The library changes nested containers in place: this is the one place that must copy.
        result = jsonpatch.JsonPatch(operations).apply(copy.deepcopy(obj), in_place=True)
    except _REFUSALS as error:
        raise PatchError(str(error), UNPROCESSABLE) from error
    if not isinstance(result, dict):
        raise PatchError("the patched value is not an object", UNPROCESSABLE)
    return cast("Object", result)


def strategic_merge(obj: Object, patch: Object, schema: Definition | None = None) -> Object:
    """Strategic merge; without a schema, the one of the object's own kind is taken."""
    if not isinstance(patch, dict):
        raise PatchError("a strategic merge patch must be an object")
    if schema is None:
        schema = definition(obj["apiVersion"], obj["kind"])
    return strategic.merge_object(obj, patch, schema)
