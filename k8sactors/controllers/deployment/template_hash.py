"""The name of a template: the label pod-template-hash, and templates without it."""

from __future__ import annotations

from typing import Any

from k8sactors.controllers.machinery.content_hash import content_hash

Object = dict[str, Any]
HASH_LABEL = "pod-template-hash"


def template_hash(template: Object, collision_count: int) -> str:
    """The hash of a pod template; another collision count gives another hash."""
    return content_hash(template, collision_count)


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
