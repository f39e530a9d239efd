"""Sets of fields, in the form in which they are stored: fieldsV1, a tree of path elements.

A set is the JSON object itself, so that nothing is parsed when it is read and nothing is built when
it is written. A key is a path element: `f:NAME` a field of an object or a key of a map, `k:{...}`
the item of a list with these keys, `v:VALUE` the item of a set. What stands below a key is a node:
`{}` is a member without members below; with `"."` among its keys, the node is a member, too;
otherwise it is only on the way to members. Sets are never changed: each operation gives a new one,
or one of its arguments, with its keys in the order of path elements.

Source: `fieldpath` of structured-merge-diff.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from k8sactors.api.go_text import go_json, go_quoted

FieldSet = dict[str, Any]

SELF: Final = "."
EMPTY: Final[FieldSet] = {}
# Path elements repeat in all objects of a kind.
REMEMBERED: Final = 65536
# The order of values of different types in keys and sets.
_RANKS: Final = {int: 0, float: 0, str: 1, bool: 2}
_LAST_RANK: Final = 3


@lru_cache(maxsize=REMEMBERED, typed=True)
def key_element(names: tuple[str, ...], *values: Any) -> str:
    """The path element of a list item with these keys, whose names are sorted."""
    return f"k:{go_json(dict(zip(names, values, strict=True)))}"


@lru_cache(maxsize=REMEMBERED, typed=True)
def value_element(value: Any) -> str:
    """The path element of a value in a set."""
    return f"v:{go_json(value)}"


def _rank(value: Any) -> tuple[int, Any]:
    rank = _RANKS.get(type(value), _LAST_RANK)
    return (rank, value if rank < _LAST_RANK else go_json(value))


@lru_cache(maxsize=REMEMBERED)
def _order(element: str) -> tuple[Any, ...]:
    """The place of a path element among its siblings: fields, then keys, then values."""
    kind, text = element[:1], element[2:]
    if kind in {"k", "v"}:
        try:
            value = json.loads(text)
        except ValueError:
            return (kind, ((_LAST_RANK, text),))
        if kind == "k" and isinstance(value, dict):
            return (kind, tuple((name, _rank(value[name])) for name in sorted(value)))
        return (kind, (_rank(value),))
    return (kind, text)


def in_order(node: FieldSet) -> FieldSet:
    """The node with its keys in the order of path elements."""
    if len(node) > 1:
        keys = list(node)
        # The fields of an object sort as texts; a node has either fields or items.
        plain = keys[-1].startswith("f:")
        ordered = sorted(keys) if plain else sorted(keys, key=_order)
        if keys != ordered:
            return {key: node[key] for key in ordered}
    return node


def is_member(node: FieldSet) -> bool:
    """Whether the field of a node is in the set itself."""
    return not node or SELF in node


def member(below: FieldSet) -> FieldSet:
    """The node of a field that is in the set, with what is below it."""
    if not below or SELF in below:
        return below
    return {SELF: EMPTY, **below}


def union(one: FieldSet, other: FieldSet) -> FieldSet:
    """What is in one of two sets."""
    if one is other or not other:
        return one
    if not one:
        return other
    result = dict(one)
    for key, theirs in other.items():
        ours = one.get(key)
        if ours is None:
            result[key] = theirs
        elif ours is not theirs and ours != theirs:
            result[key] = _union_node(ours, theirs)
    return in_order(result)


def _union_node(ours: FieldSet, theirs: FieldSet) -> FieldSet:
    if not ours:
        return member(theirs)
    if not theirs:
        return member(ours)
    return union(ours, theirs)


def difference(one: FieldSet, other: FieldSet) -> FieldSet:
    """The members of a set that are no members of another one."""
    if one is other:
        return EMPTY
    if not other:
        return one
    result: FieldSet = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            result[key] = ours
            continue
        if key == SELF:
            continue
        left = _difference_node(ours, theirs)
        if left is not None:
            result[key] = left
    return result


def _difference_node(ours: FieldSet, theirs: FieldSet) -> FieldSet | None:
    if not ours:
        return None if is_member(theirs) else ours
    if not theirs:
        if SELF not in ours:
            return ours
        return {key: node for key, node in ours.items() if key != SELF}
    return _node(difference(ours, theirs))


def _node(found: FieldSet) -> FieldSet | None:
    """A node of what an operation has found below a field; None: nothing."""
    if len(found) == 1 and SELF in found:
        return EMPTY
    return found or None


def intersection(one: FieldSet, other: FieldSet) -> FieldSet:
    """The members that two sets have in common."""
    if one is other:
        return one
    result: FieldSet = {}
    for key, ours in one.items():
        theirs = other.get(key)
        if theirs is None:
            continue
        if key == SELF:
            result[key] = EMPTY
            continue
        common = _intersection_node(ours, theirs)
        if common is not None:
            result[key] = common
    return result


def _intersection_node(ours: FieldSet, theirs: FieldSet) -> FieldSet | None:
    if not ours:
        return EMPTY if is_member(theirs) else None
    if not theirs:
        return EMPTY if SELF in ours else None
    return _node(intersection(ours, theirs))


def without(fields: FieldSet, excluded: FieldSet) -> FieldSet:
    """The set without the members of another one and all that is below them."""
    if not excluded:
        return fields
    result: FieldSet = {}
    for key, node in fields.items():
        gone = excluded.get(key)
        if gone is None:
            result[key] = node
        elif not is_member(gone):
            left = node if not node else _node(without(node, gone))
            if left is not None:
                result[key] = left
    return result


def paths(fields: FieldSet, prefix: str = "") -> Iterator[str]:
    """The paths of all members, as messages show them: members of one level, then those below."""
    for key, node in fields.items():
        if key != SELF and is_member(node):
            yield prefix + text_of(key)
    for key, node in fields.items():
        if key != SELF and node:
            yield from paths(node, prefix + text_of(key))


def text_of(element: str) -> str:
    """A path element as messages show it: `.spec`, `[name="a"]`, `[="x"]`."""
    kind, text = element[:1], element[2:]
    if kind == "k":
        keys = json.loads(text)
        return f"[{','.join(f'{name}={_shown(keys[name])}' for name in sorted(keys))}]"
    if kind == "v":
        return f"[={_shown(json.loads(text))}]"
    return f".{text}" if kind == "f" else f"[{text}]"


def _shown(value: Any) -> str:
    return go_quoted(value) if isinstance(value, str) else go_json(value)


def is_well_formed(fields: Any) -> bool:
    """Whether a value that a client has sent is a set."""
    if not isinstance(fields, dict):
        return False
    return all(_is_element(key) and is_well_formed(node) for key, node in fields.items())


def _is_element(key: Any) -> bool:
    if key == SELF:
        return True
    if not isinstance(key, str) or key[1:2] != ":" or key[:1] not in {"f", "k", "v", "i"}:
        return False
    if key[0] in {"f", "i"}:
        return True
    try:
        value = json.loads(key[2:])
    except ValueError:
        return False
    return key[0] == "v" or isinstance(value, dict)
