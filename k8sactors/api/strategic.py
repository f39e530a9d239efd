"""How a strategic merge works: by the schema's merge keys, and by directives within the patch.

A patch that does not fit is refused in the words, and with the codes, of the real server
(`util/strategicpatch` and `util/mergepatch`; what its handler does not know of is a 500).
"""

from __future__ import annotations

from typing import Any

from k8sactors.api.definitions import Definition, resolve
from k8sactors.api.errors import INTERNAL, UNPROCESSABLE, PatchError
from k8sactors.api.go_text import go_format

_PATCH = "$patch"
_RETAIN = "$retainKeys"
_DELETE = "$deleteFromPrimitiveList/"
_ORDER = "$setElementOrder/"

Object = dict[str, Any]


def _clean(value: Any) -> Any:
    """A new value without directives and nulls."""
    if isinstance(value, dict):
        return {
            key: _clean(item)
            for key, item in value.items()
            if item is not None and not key.startswith("$")
        }
    if isinstance(value, list):
        return [
            _clean(item)
            for item in value
            if not (isinstance(item, dict) and item.get(_PATCH) in {"delete", "replace"})
        ]
    return value


def merge_object(old: Object, patch: Object, schema: Definition) -> Object:
    """One object; raises PatchError for a directive that is not known."""
    directive = patch.get(_PATCH)
    if directive == "replace":
        return {key: value for key, value in patch.items() if key != _PATCH}
    if directive == "delete":
        return {}
    if directive is not None and directive != "merge":
        text = f"unknown patch type: {directive} in map: {go_format(patch)}"
        raise PatchError(text, INTERNAL)
    result = dict(old)
    if _RETAIN in patch:
        _check_retained(patch)
        result = {key: value for key, value in result.items() if key in patch[_RETAIN]}
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    rest = extra if isinstance(extra, dict) else {}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
            if not isinstance(value, list):
                raise PatchError("invalid patch format of primitive list")
            if field in result:
                result[field] = [item for item in result[field] if item not in value]
        elif key.startswith("$"):
            continue
        elif value is None:
            result.pop(key, None)
        else:
            inner = properties.get(key, rest)
            result[key] = _merge_value(result.get(key), value, inner)
            if result[key] == [] and value:
                # An emptied list is not written back (omitempty).
                del result[key]
    return _in_order(result, patch, properties)


def _in_order(result: Object, patch: Object, properties: Definition) -> Object:
    """The merged object with its lists in the order that the patch demands."""
    for key, order in patch.items():
        if not key.startswith(_ORDER):
            continue
        if not isinstance(order, list):
            raise PatchError("invalid patch format of setElementOrder list")
        field = key.removeprefix(_ORDER)
        if isinstance(result.get(field), list):
            merge_key = properties.get(field, {}).get("x-kubernetes-patch-merge-key")
            result[field] = _ordered(result[field], order, result[field], merge_key)
    return result


def _merge_value(old: Any, value: Any, schema: Definition) -> Any:
    resolved = resolve(schema)
    if isinstance(value, dict):
        return merge_object(old, value, resolved) if isinstance(old, dict) else _clean(value)
    strategy = schema.get("x-kubernetes-patch-strategy", "").split(",")
    if not isinstance(value, list) or "merge" not in strategy:
        return _clean(value)
    merge_key = schema.get("x-kubernetes-patch-merge-key")
    present = old or []
    _check_items(present, value)
    if merge_key is None or not all(isinstance(item, dict) for item in value):
        added: list[Any] = []
        added.extend(item for item in value if item not in present and item not in added)
        return _ordered(present + added, value, present, None)
    return _merge_list(present, value, merge_key, resolve(resolved.get("items", {})))


def _check_retained(patch: Object) -> None:
    retained = patch[_RETAIN]
    if not isinstance(retained, list):
        raise PatchError("invalid patch format of retainKeys")
    if any(key not in retained for key in patch if not key.startswith("$")):
        raise PatchError("patch content doesn't match retainKeys list", UNPROCESSABLE)


def _check_items(old: list[Any], patch: list[Any]) -> None:
    """The items of a merged list are all of one type, and no lists."""
    types = list(dict.fromkeys(type(item) for item in (*old, *patch)))
    if types and types[0] is list:
        raise PatchError("lists of lists are not supported", UNPROCESSABLE)
    if len(types) > 1:
        shown = f"[{go_format(old)} {go_format(patch)}]"
        raise PatchError(f"list element types are not identical: {shown}", INTERNAL)


def _merge_list(
    old: list[Object], patch: list[Object], merge_key: str, schema: Definition
) -> list[Object]:
    if any(item.get(_PATCH) == "replace" for item in patch):
        return [_clean(item) for item in patch if item.get(_PATCH) != "replace"]
    result = list(old)
    named: list[Object] = []
    for item in patch:
        if merge_key not in item:
            text = f"map: {go_format(item)} does not contain declared merge key: {merge_key}"
            raise PatchError(text, INTERNAL)
        places = [n for n, have in enumerate(result) if have.get(merge_key) == item[merge_key]]
        if item.get(_PATCH) == "delete":
            result = [have for n, have in enumerate(result) if n not in places]
            continue
        named.append(item)
        if places:
            result[places[0]] = merge_object(result[places[0]], item, schema)
        else:
            result.append(_clean(item))
    return _ordered(result, named, old, merge_key)


def _ordered(
    items: list[Any], wished: list[Any], before: list[Any], merge_key: str | None
) -> list[Any]:
    """Items that the patch names in its order, the others where they stood among those.

    An item that is new goes in front of what the patch does not name.
    """

    def identity(item: Any) -> Any:
        return item.get(merge_key) if merge_key and isinstance(item, dict) else item

    order = [identity(item) for item in wished]
    places = [identity(item) for item in before]
    named = [item for item in items if identity(item) in order]
    named.sort(key=lambda item: order.index(identity(item)))
    others = [item for item in items if identity(item) not in order]
    result: list[Any] = []
    for item in named:
        if identity(item) in places:
            place = places.index(identity(item))
            while others and places.index(identity(others[0])) < place:
                result.append(others.pop(0))
        result.append(item)
    return result + others
