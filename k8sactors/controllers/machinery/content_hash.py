"""A short hash of what an object says, safe in labels and names.

FNV-1a over the canonical form and a collision count, written with an alphabet without vowels and
look-alikes, as pod-template-hash and the names of ControllerRevisions have it.
"""

from __future__ import annotations

from typing import Any

import msgpack

_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
_FNV_OFFSET = 0x811C9DC5
_FNV_PRIME = 0x01000193
_MASK = 0xFFFFFFFF


def _canonical(value: Any) -> Any:
    if isinstance(value, dict):
        return [[key, _canonical(value[key])] for key in sorted(value)]
    if isinstance(value, list):
        return [_canonical(item) for item in value]
    return value


def _fnv1a(data: bytes) -> int:
    digest = _FNV_OFFSET
    for byte in data:
        digest = ((digest ^ byte) * _FNV_PRIME) & _MASK
    return digest


def content_hash(content: Any, collision_count: int) -> str:
    """The hash of a JSON value; another collision count gives another hash."""
    data = msgpack.packb([_canonical(content), collision_count])
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(_fnv1a(data)))
