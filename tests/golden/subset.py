"""Everything recorded must be there; what later releases add is no difference."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

VARIES = "<varies>"
# What the normal form writes in place of a node's name where that name says nothing.
ANY_NODE = "<node>"


def missing(expected: Any, actual: Any, path: str = "") -> list[str]:
    """What of `expected` is not in `actual`, one line each."""
    if expected in (VARIES, actual) or actual == ANY_NODE:
        return []
    if isinstance(expected, dict) and isinstance(actual, dict):
        return [
            line
            for key, value in expected.items()
            for line in missing(value, actual.get(key), f"{path}.{key}")
        ]
    if isinstance(expected, list) and isinstance(actual, list):
        return _missing_items(expected, actual, path)
    return [f"{path}: recorded {json.dumps(expected)}, here {json.dumps(actual)}"]


def _missing_items(expected: list[Any], actual: list[Any], path: str) -> list[str]:
    """Conditions are found by type and may be joined by others; other lists are of equal length."""
    if expected and all(isinstance(item, dict) and "status" in item for item in expected):
        by_type = {item["type"]: item for item in actual}
        return [
            line
            for item in expected
            for line in missing(item, by_type.get(item["type"]), f"{path}[{item['type']}]")
        ]
    if len(expected) != len(actual):
        return [f"{path}: recorded {json.dumps(expected)}, here {json.dumps(actual)}"]
    pairs = zip(expected, actual, strict=True)
    in_order = [line for n, (e, a) in enumerate(pairs) for line in missing(e, a, f"{path}[{n}]")]
    if in_order and None not in assign(expected, actual):
        return []
    return in_order


def assign(expected: Sequence[Any], actual: Sequence[Any]) -> list[int | None]:
    """For each expected item the index of an actual one that contains it, each used once."""
    fits = [[n for n, a in enumerate(actual) if not missing(e, a)] for e in expected]
    taken: dict[int, int] = {}

    def place(item: int, tried: set[int]) -> bool:
        for index in fits[item]:
            if index in tried:
                continue
            tried.add(index)
            if index not in taken or place(taken[index], tried):
                taken[index] = item
                return True
        return False

    for item in range(len(expected)):
        place(item, set())
    placed = {item: index for index, item in taken.items()}
    return [placed.get(item) for item in range(len(expected))]


def object_differences(expected: Sequence[Any], actual: Sequence[Any], where: str) -> list[str]:
    """Differences between two lists of `{count, object}` groups."""
    wanted = [g["object"] for g in expected if g["count"] != VARIES for _ in range(g["count"])]
    optional = [g["object"] for g in expected if g["count"] == VARIES]
    have = [group["object"] for group in actual for _ in range(group["count"])]
    places = assign(wanted, have)
    used = {index for index in places if index is not None}
    left = [item for index, item in enumerate(have) if index not in used]
    surplus = [item for item in left if all(missing(known, item) for known in optional)]
    lines = []
    for item, place in zip(wanted, places, strict=True):
        if place is not None:
            continue
        name = f"{where} {item['kind']}/{item['name']}"
        candidates = [o for o in surplus if (o["kind"], o["name"]) == (item["kind"], item["name"])]
        if candidates:
            closest = min(candidates, key=lambda o: len(missing(item, o)))
            surplus.remove(closest)
            lines += [f"{name} {line}" for line in missing(item, closest)]
        else:
            lines.append(f"{name} is not there")
    lines += [f"{where} {item['kind']}/{item['name']} was not recorded" for item in surplus]
    return lines
