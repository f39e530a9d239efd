"""One object merged into another by their type, and fields taken out of an object.

Results share all that did not change with what they were made of: what is equal stays the same
Python object, so that a comparison afterwards ends early.

Source: `typed` of structured-merge-diff (Merge and RemoveItems).
"""

from __future__ import annotations

from typing import Any

from k8sactors.api.errors import SchemaMismatchError
from k8sactors.api.managed_fields.field_set import FieldSet, is_member
from k8sactors.api.managed_fields.field_types import DEDUCED, LIST, MAP, SCALAR, FieldType
from k8sactors.api.managed_fields.typed import item_element, kind_of

Object = dict[str, Any]


def merge(live: Any, applied: Any, field_type: FieldType) -> Any:
    """`live` with all that `applied` names; nothing is removed.

    Raises:
        SchemaMismatchError: an item of an applied list has no key.
    """
    if applied is live or (type(applied) is type(live) and applied == live):
        return live
    kind = kind_of(applied, field_type)
    if kind == SCALAR:
        return applied
    if applied is None:
        # Null means no items: those that are there stay.
        return live or None
    if not live or kind_of(live, field_type) != kind:
        return applied
    if kind == MAP:
        return _merge_maps(live, applied, field_type)
    return _merge_lists(live, applied, field_type) if applied else live


def _merge_maps(live: Object, applied: Object, field_type: FieldType) -> Object:
    result = live
    named, rest = field_type.fields, field_type.element or DEDUCED
    for key, theirs in applied.items():
        if key in live:
            ours = live[key]
            if type(ours) is type(theirs) and ours == theirs:
                continue
            merged = merge(ours, theirs, named.get(key) or rest)
            if merged is ours:
                continue
        else:
            merged = theirs
        if result is live:
            result = dict(live)
        result[key] = merged
    return result


def _merge_lists(live: list[Any], applied: list[Any], field_type: FieldType) -> list[Any]:
    """Items of both lists; those that were applied are in the order in which they were applied."""
    element_type = field_type.element or DEDUCED
    theirs = {item_element(field_type, item): item for item in applied}
    ours = [_live_element(field_type, item) for item in live]
    once = {element: item for element, item in zip(ours, live, strict=True) if element}
    if len(once) < len(ours):
        # An item that is there twice is not merged with, but replaced.
        for element in ours:
            if element is not None and ours.count(element) > 1:
                once.pop(element, None)
    merged = {
        element: merge(once[element], item, element_type) if element in once else item
        for element, item in theirs.items()
    }
    result = _interleave(ours, live, merged)
    if len(result) == len(live) and all(a is b for a, b in zip(result, live, strict=True)):
        return live
    return result


def _live_element(field_type: FieldType, item: Any) -> str | None:
    try:
        return item_element(field_type, item)
    except SchemaMismatchError:
        return None


def _interleave(ours: list[str | None], live: list[Any], merged: dict[str, Any]) -> list[Any]:
    """The merged items in their order, each behind the unapplied ones that stood before it.

    Unapplied live items keep their place relative to the next item that both lists have.
    """
    present = set(ours)
    shared = [element for element in merged if element in present]
    order = list(merged)
    result: list[Any] = []
    done: set[str | None] = set()
    place = turn = 0
    next_shared = 0
    while place < len(ours) or turn < len(order):
        element = ours[place] if place < len(ours) else None
        in_live = place < len(ours)
        if in_live and turn < len(order):
            wanted = shared[next_shared] if next_shared < len(shared) else None
            if element == order[turn]:
                result.append(merged[order[turn]])
                done.add(element)
                place, turn, next_shared = place + 1, turn + 1, next_shared + 1
                continue
            if element in merged and wanted is not None and element != wanted:
                # It comes later, where it was applied.
                place += 1
                continue
        if in_live:
            if element not in merged:
                result.append(live[place])
                place += 1
                continue
            if element in done:
                place += 1
        if turn < len(order):
            taken = order[turn]
            result.append(merged[taken])
            done.add(taken)
            turn += 1
            if next_shared < len(shared) and shared[next_shared] == taken:
                next_shared += 1
    return result


def remove(value: Any, removed: FieldSet, field_type: FieldType) -> Any:
    """The value without the members of a set; what is left empty is null, as in Go."""
    kind = kind_of(value, field_type)
    if kind == SCALAR or not removed or not value:
        return value
    return _remove_items(value, removed, field_type, kind) or None


def _remove_items(value: Any, removed: FieldSet, field_type: FieldType, kind: str) -> Any:
    if kind == MAP:
        kept = {}
        for key, inner in value.items():
            node = removed.get(f"f:{key}")
            if node is None:
                kept[key] = inner
            elif not is_member(node):
                kept[key] = remove(inner, node, field_type.of_field(key))
        return kept
    assert kind == LIST
    left = []
    for item in value:
        element = _live_element(field_type, item)
        node = removed.get(element) if element is not None else None
        if node is None:
            left.append(item)
        elif not is_member(node):
            left.append(remove(item, node, field_type.element or DEDUCED))
    return left


def with_named_fields(fields: FieldSet, field_type: FieldType) -> FieldSet:
    """The set with the fields that the schema names and that lead to its members."""
    result: FieldSet = {}
    for key, node in fields.items():
        if not node:
            result[key] = node
            continue
        if key[:2] == "f:":
            name = key[2:]
            inner = with_named_fields(node, field_type.of_field(name))
            named = name in field_type.fields and "." not in inner
            result[key] = {".": {}, **inner} if named else inner
        else:
            result[key] = with_named_fields(node, field_type.element or DEDUCED)
    return result
