"""Objects and their types: the fields that a configuration names, and what does not fit.

Source: `typed` of structured-merge-diff (its validation and ToFieldSet).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from k8sactors.api.errors import SchemaMismatchError
from k8sactors.api.go_text import go_format, go_quoted
from k8sactors.api.managed_fields.field_set import (
    EMPTY,
    SELF,
    FieldSet,
    in_order,
    key_element,
    member,
    text_of,
    value_element,
)
from k8sactors.api.managed_fields.field_types import (
    BOOLEAN,
    DEDUCED,
    LIST,
    MAP,
    NUMERIC,
    SCALAR,
    STRING,
    UNTYPED,
    FieldType,
)


def kind_of(value: Any, field_type: FieldType) -> str:
    """MAP or LIST where the items of a value merge one by one, SCALAR where it is a whole."""
    if field_type.leaf:
        return SCALAR
    kind = field_type.kind
    if isinstance(value, dict):
        return MAP if kind != LIST else SCALAR
    if isinstance(value, list):
        return LIST if kind == LIST else SCALAR
    if value is None and kind in {MAP, LIST}:
        return kind
    return SCALAR


def item_element(list_type: FieldType, item: Any) -> str:
    """The path element of an item of a set or map.

    Raises:
        SchemaMismatchError: it has no key.
    """
    names = list_type.keys
    if not names:
        if isinstance(item, dict):
            raise SchemaMismatchError(
                "associative list without keys has an element that's a map type"
            )
        if isinstance(item, list):
            raise SchemaMismatchError("not supported: associative list with lists as elements")
        if item is None:
            raise SchemaMismatchError(
                "associative list without keys has an element that's an explicit null"
            )
        return value_element(item)
    if not isinstance(item, dict):
        what = "a null element" if item is None else "non-map elements"
        raise SchemaMismatchError(f"associative list with keys may not have {what}")
    try:
        # Most items have all their keys.
        return key_element(names, *[item[name] for name in names])
    except (KeyError, TypeError):
        return _element_of_some_keys(list_type, item)


def _element_of_some_keys(list_type: FieldType, item: dict[str, Any]) -> str:
    defaults = (list_type.element or DEDUCED).defaults
    found: dict[str, Any] = {}
    for name in list_type.keys:
        value = item.get(name, defaults.get(name))
        if isinstance(value, dict | list):
            raise SchemaMismatchError(f"key field {go_quoted(name)} is no scalar")
        if value is not None or name in item:
            found[name] = value
    if not found:
        names = " ".join(go_quoted(name) for name in list_type.keys)
        raise SchemaMismatchError(
            f"associative list with keys has an element that omits all key fields [{names}] (and "
            "doesn't have default values for any key fields)"
        )
    return key_element(tuple(found), *found.values())


def field_set(obj: dict[str, Any], field_type: FieldType) -> FieldSet:
    """The fields that a configuration names: its leaves, items, and keys of maps.

    Raises:
        SchemaMismatchError: an item of a list has no key, or two have the same.
    """
    return _map_node(obj, field_type)


def _collect(value: Any, field_type: FieldType) -> FieldSet | None:
    """The node of a value; None: it adds nothing to the set."""
    kind = kind_of(value, field_type)
    if kind == SCALAR:
        return EMPTY
    if not value:
        return None
    if kind == MAP:
        return _map_node(value, field_type)
    node: FieldSet = {}
    element_type = field_type.element or DEDUCED
    for item in value:
        element = item_element(field_type, item)
        if element in node:
            raise SchemaMismatchError(f"duplicate entries for key {text_of(element)}")
        node[element] = member(_collect(item, element_type) or EMPTY)
    return in_order(node)


def _map_node(value: dict[str, Any], field_type: FieldType) -> FieldSet:
    named, rest = field_type.fields, field_type.element or DEDUCED
    if rest.leaf and not named:
        return {f"f:{key}": EMPTY for key in sorted(value)}
    node: FieldSet = {}
    for key, inner in value.items():
        inner_type = named.get(key)
        if inner_type is None:
            node[f"f:{key}"] = member(_collect(inner, rest) or EMPTY)
            continue
        if inner_type.leaf:
            node[f"f:{key}"] = EMPTY
            continue
        found = _collect(inner, inner_type)
        if found is not None:
            node[f"f:{key}"] = found
        elif inner is None or isinstance(inner, dict):
            node[f"f:{key}"] = EMPTY
    return in_order(node)


def live_field_set(obj: dict[str, Any], field_type: FieldType) -> FieldSet:
    """As `field_set`, of an object that is stored: items with the same key are one."""
    return _live_map(obj, field_type)


def _live_node(value: Any, field_type: FieldType) -> FieldSet | None:
    kind = kind_of(value, field_type)
    if kind == SCALAR:
        return EMPTY
    if not value:
        return None
    if kind == MAP:
        return _live_map(value, field_type)
    node: FieldSet = {}
    for element, items in items_by_element(field_type, value).items():
        only = _live_node(items[0], field_type.element or DEDUCED) if len(items) == 1 else None
        node[element] = member(only or EMPTY)
    return in_order(node)


def _live_map(value: dict[str, Any], field_type: FieldType) -> FieldSet:
    node: FieldSet = {}
    for key, inner in value.items():
        found = _live_node(inner, field_type.of_field(key))
        if key not in field_type.fields:
            node[f"f:{key}"] = member(found or EMPTY)
        elif found is not None:
            node[f"f:{key}"] = found
        elif inner is None or isinstance(inner, dict):
            node[f"f:{key}"] = EMPTY
    return in_order(node)


def reconciled(fields: FieldSet, field_type: FieldType) -> FieldSet:
    """The set by a schema in which what it goes into may have become atomic; else itself.

    Source: `typed` of structured-merge-diff (ReconcileFieldSetWithSchema).
    """
    result = fields
    for key, node in fields.items():
        if not node or key == SELF:
            continue
        inner_type = field_type.of_field(key[2:]) if key[:2] == "f:" else field_type.element
        if inner_type is None:
            continue
        new = EMPTY if inner_type.leaf else reconciled(node, inner_type)
        if new is not node:
            if result is fields:
                result = dict(fields)
            result[key] = new
    return result


def items_by_element(list_type: FieldType, items: list[Any] | None) -> dict[str, list[Any]]:
    """The items of a set or map by their path elements; what has no key is left out."""
    found: dict[str, list[Any]] = {}
    for item in items or ():
        try:
            element = item_element(list_type, item)
        except SchemaMismatchError:
            continue
        found.setdefault(element, []).append(item)
    return found


def mismatches(obj: dict[str, Any], field_type: FieldType) -> str:
    """What does not fit in a configuration, as the real server words it; "" when all fits."""
    found = list(_mismatches(obj, field_type, ""))
    if len(found) > 1:
        return "\n".join(["errors:", *(f"  {text}" for text in found)])
    return "".join(found)


def _at(path: str, text: str) -> str:
    return f"{path}: {text}" if path else text


def _mismatches(value: Any, field_type: FieldType, path: str) -> Iterator[str]:
    kind = field_type.kind
    if value is None:
        return
    if kind == SCALAR:
        text = _scalar_mismatch(value, field_type.scalar)
        if text:
            yield _at(path, text)
    elif kind == MAP:
        if isinstance(value, dict):
            yield from _map_mismatches(value, field_type, path)
        else:
            yield _at(path, f"expected map, got &{{{go_format(value)}}}")
    elif kind == LIST:
        if isinstance(value, list):
            yield from _list_mismatches(value, field_type, path)
        else:
            yield _at(path, f"expected list, got &{{{go_format(value)}}}")


def _map_mismatches(value: dict[str, Any], field_type: FieldType, path: str) -> Iterator[str]:
    for key, inner in value.items():
        inner_type = field_type.fields.get(key) or field_type.element
        if inner_type is None:
            yield f"{path}.{key}: field not declared in schema"
        else:
            yield from _mismatches(inner, inner_type, f"{path}.{key}")


def _list_mismatches(value: list[Any], field_type: FieldType, path: str) -> Iterator[str]:
    seen: set[str] = set()
    element_type = field_type.element or DEDUCED
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if not field_type.atomic:
            try:
                element = item_element(field_type, item)
            except SchemaMismatchError as error:
                yield _at(path, f"element {index}: {error}")
                return
            place = f"{path}{text_of(element)}"
            if element in seen:
                yield _at(path, f"duplicate entries for key {text_of(element)}")
            seen.add(element)
        yield from _mismatches(item, element_type, place)


def _go_value(value: Any) -> str:
    return go_quoted(value) if isinstance(value, str) else go_format(value)


def _scalar_mismatch(value: Any, scalar: str) -> str:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if scalar == NUMERIC and not number:
        return f"expected numeric (int or float), got {_go_type(value)}"
    if scalar == STRING and not isinstance(value, str):
        return f"expected string, got &value.valueUnstructured{{Value:{_go_value(value)}}}"
    if scalar == BOOLEAN and not isinstance(value, bool):
        return f"expected boolean, got &{{{go_format(value)}}}"
    if scalar == UNTYPED and isinstance(value, dict | list):
        return f"expected any scalar, got &{{{go_format(value)}}}"
    return ""


def _go_type(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case str():
            return "string"
        case list():
            return "[]interface {}"
        case _:
            return "map[string]interface {}"
