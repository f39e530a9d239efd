"""Which fields of two objects differ: removed, modified, added.

Source: `typed` of structured-merge-diff (Compare). A field that every object of a kind has
(`FieldType.present`) is there in both, empty or not: only what is in it comes and goes.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.managed_fields.field_set import EMPTY, SELF, FieldSet, in_order, union, without
from k8sactors.api.managed_fields.field_types import DEDUCED, LIST, MAP, SCALAR, FieldType
from k8sactors.api.managed_fields.typed import items_by_element, kind_of

Object = dict[str, Any]
_MISSING: Final = object()


class Comparison:
    """The differences of two objects; no field is in more than one of the sets."""

    __slots__ = ("added", "modified", "removed")

    def __init__(self, removed: FieldSet, modified: FieldSet, added: FieldSet) -> None:
        self.removed = removed
        self.modified = modified
        self.added = added

    def without(self, fields: FieldSet) -> Comparison:
        """The differences outside of some fields."""
        if not fields:
            return self
        return Comparison(
            without(self.removed, fields),
            without(self.modified, fields),
            without(self.added, fields),
        )

    def written(self) -> FieldSet:
        """The fields that have got a new value."""
        return union(self.modified, self.added)


def compare(old: Object, new: Object, field_type: FieldType) -> Comparison:
    """How two objects of a type differ."""
    removed: FieldSet = {}
    modified: FieldSet = {}
    added: FieldSet = {}
    _compare_maps(old, new, field_type, (removed, modified, added))
    return Comparison(in_order(removed), in_order(modified), in_order(added))


# The nodes of one place in the sets of a comparison: removed, modified, added.
_Nodes = tuple[FieldSet, FieldSet, FieldSet]


def _compare_maps(old: Object, new: Object, field_type: FieldType, nodes: _Nodes) -> None:
    removed, _, added = nodes
    get = old.get
    for key, theirs in new.items():
        ours = get(key, _MISSING)
        if ours is theirs:
            continue
        inner_type = field_type.of_field(key)
        if ours is _MISSING:
            if key in field_type.present and kind_of(theirs, inner_type) != SCALAR:
                _compare_values(f"f:{key}", None, theirs, inner_type, nodes)
            else:
                added[f"f:{key}"] = _all_of(theirs, inner_type)
        elif ours != theirs:
            _compare_values(f"f:{key}", ours, theirs, inner_type, nodes)
    for key, ours in old.items():
        if key not in new:
            removed[f"f:{key}"] = _all_of(ours, field_type.of_field(key))


def _compare_values(
    element: str, ours: Any, theirs: Any, field_type: FieldType, nodes: _Nodes
) -> None:
    """Compare two values that are not equal."""
    kind = kind_of(theirs, field_type)
    if kind == SCALAR or not (ours or theirs) or kind_of(ours, field_type) != kind:
        nodes[1][element] = EMPTY
        return
    below: _Nodes = ({}, {}, {})
    if kind == MAP:
        _compare_maps(ours or {}, theirs or {}, field_type, below)
    else:
        _compare_lists(ours, theirs, field_type, below)
    for node, found in zip(nodes, below, strict=True):
        if found:
            node[element] = in_order(found)


def _compare_lists(
    old: list[Any] | None, new: list[Any] | None, field_type: FieldType, nodes: _Nodes
) -> None:
    removed, modified, added = nodes
    item_type = field_type.element or DEDUCED
    before, after = items_by_element(field_type, old), items_by_element(field_type, new)
    for element in {**before, **after}:
        ours, theirs = before.get(element, []), after.get(element, [])
        if ours == theirs:
            continue
        if len(ours) > 1 and len(theirs) > 1:
            modified[element] = EMPTY
        elif len(ours) > 1:
            # It was there more than once, as a whole.
            removed[element] = EMPTY
            if theirs:
                added[element] = _all_of(theirs[0], item_type)
        elif len(theirs) > 1:
            if ours:
                removed[element] = _all_of(ours[0], item_type)
            added[element] = EMPTY
        elif not ours:
            added[element] = _all_of(theirs[0], item_type)
        elif not theirs:
            removed[element] = _all_of(ours[0], item_type)
        else:
            _compare_values(element, ours[0], theirs[0], item_type, nodes)


def _all_of(value: Any, field_type: FieldType) -> FieldSet:
    """The node of a value that has come or gone with all that is in it."""
    kind = kind_of(value, field_type)
    if kind == SCALAR or (not value and not field_type.present):
        return EMPTY
    node: FieldSet = {SELF: EMPTY}
    if kind == LIST:
        item_type = field_type.element or DEDUCED
        for element, items in items_by_element(field_type, value).items():
            node[element] = _all_of(items[0], item_type) if len(items) == 1 else EMPTY
    else:
        for key, inner in (value or {}).items():
            node[f"f:{key}"] = _all_of(inner, field_type.of_field(key))
        for key in field_type.present:
            if f"f:{key}" not in node:
                node[f"f:{key}"] = _all_of(None, field_type.of_field(key))
    return in_order(node) if len(node) > 1 else EMPTY
