"""The name of a template: a short hash that is safe in labels and names.

FNV-1a over the template's canonical form and the Deployment's collision count, written with an
alphabet without vowels and look-alikes, as pod-template-hash has it.
"""

from typing import Any

import msgpack

Object = dict[str, Any]
HASH_LABEL = "pod-template-hash"
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


def template_hash(template: Object, collision_count: int) -> str:
    """The hash of a pod template; another collision count gives another hash."""
    data = msgpack.packb([_canonical(template), collision_count])
    return "".join(_ALPHABET[ord(digit) % len(_ALPHABET)] for digit in str(_fnv1a(data)))


def without_hash(template: Object) -> Object:
    """The template as its Deployment has it: without the hash label."""
    metadata = template.get("metadata") or {}
    labels = metadata.get("labels") or {}
    if HASH_LABEL not in labels:
        return template
    kept = {key: value for key, value in labels.items() if key != HASH_LABEL}
    return {**template, "metadata": {**metadata, "labels": kept}}


def with_hash(template: Object, digest: str) -> Object:
    """The template as a ReplicaSet has it: with the hash label."""
    metadata = template.get("metadata") or {}
    labels = {**(metadata.get("labels") or {}), HASH_LABEL: digest}
    return {**template, "metadata": {**metadata, "labels": labels}}


def same_template(left: Object, right: Object) -> bool:
    """Whether two templates are equal, not counting the hash label."""
    return _comparable(without_hash(left)) == _comparable(without_hash(right))


def _comparable(template: Object) -> Object:
    # A server may store an empty creationTimestamp in template metadata, or leave it out.
    metadata = template.get("metadata") or {}
    kept = {key: value for key, value in metadata.items() if value not in (None, {}, [])}
    return {**template, "metadata": kept}
