"""How a strategic merge works: by the schema's merge keys, and by directives within the patch."""

from __future__ import annotations

from typing import Any

from k8sactors.api.definitions import Definition, resolve
from k8sactors.api.errors import PatchError

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
    match patch.get(_PATCH):
        case "replace":
            return {key: value for key, value in patch.items() if key != _PATCH}
        case "delete":
            return {}
        case None | "merge":
            result = dict(old)
        case other:
            raise PatchError(f"Unknown patch type found: {other}")
    if _RETAIN in patch:
        result = {key: value for key, value in result.items() if key in patch[_RETAIN]}
    properties = schema.get("properties") or {}
    extra = schema.get("additionalProperties")
    rest = extra if isinstance(extra, dict) else {}
    for key, value in patch.items():
        if key.startswith(_DELETE):
            field = key.removeprefix(_DELETE)
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
    for key, order in patch.items():
        field = key.removeprefix(_ORDER)
        if key.startswith(_ORDER) and isinstance(result.get(field), list):
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
    if merge_key is None:
        present = old or []
        added = [item for item in dict.fromkeys(value) if item not in present]
        return _ordered(present + added, value, present, None)
    return _merge_list(old or [], value, merge_key, resolve(resolved.get("items", {})))


def _merge_list(
    old: list[Object], patch: list[Object], merge_key: str, schema: Definition
) -> list[Object]:
    if any(item.get(_PATCH) == "replace" for item in patch):
        return [_clean(item) for item in patch if item.get(_PATCH) != "replace"]
    result = list(old)
    named: list[Object] = []
    for item in patch:
        if merge_key not in item:
            raise PatchError(f"map: {item} does not contain declared merge key: {merge_key}")
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
