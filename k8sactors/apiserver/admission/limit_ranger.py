"""LimitRanger: containers, pods and claims stay within the LimitRanges of their namespace.

Source: documentation of admission controllers, "LimitRanger", and of limit ranges. Defaults are
filled in where a container says nothing, and noted in an annotation; then minimum, maximum and
ratio are checked. Pods are checked when they are created only: what they ask for cannot change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from fractions import Fraction
from typing import Any, ClassVar, Final

from k8sactors.api import errors, quantity
from k8sactors.api.pod_resources import pod_limits, pod_requests
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin

Object = dict[str, Any]
Amounts = Mapping[str, str]

LIMIT_RANGES: Final = "limitranges"
CLAIMS: Final = "persistentvolumeclaims"
ANNOTATION: Final = "kubernetes.io/limit-ranger"
_CONTAINERS: Final = (("containers", "container"), ("initContainers", "init container"))


class LimitRanger(Plugin):
    """Fills in and checks `resources`."""

    order: ClassVar[int] = 60
    resources: ClassVar[tuple[str, ...] | None] = ("pods", CLAIMS)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    subresources: ClassVar[tuple[str, ...] | None] = ("", "resize")
    repeatable: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = (LIMIT_RANGES,)
    gates: ClassVar[tuple[str, ...]] = (LIMIT_RANGES,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._ranges = cluster.objects(LIMIT_RANGES)

    def concerns(self, resource: str, subresource: str, operation: Operation) -> bool:
        """New pods, resized pods, and claims."""
        if not super().concerns(resource, subresource, operation):
            return False
        if resource == "pods":
            return (operation == "UPDATE") == (subresource == "resize")
        return not subresource

    def admit(self, attributes: Attributes) -> None:
        """Fill in what containers do not say."""
        ranges = self._ranges.of(attributes.namespace)
        obj = attributes.obj
        if not ranges or attributes.resource != "pods" or attributes.subresource:
            return
        assert obj is not None
        notes: list[str] = []
        for limit_range in ranges:
            defaults = _defaults(limit_range)
            if defaults is not None:
                notes = _fill(obj, *defaults)
                if notes:
                    metadata = obj["metadata"]
                    text = f"LimitRanger plugin set: {'; '.join(notes)}"
                    given = metadata.get("annotations") or {}
                    metadata["annotations"] = {**given, ANNOTATION: text}

    def validate(self, attributes: Attributes) -> None:
        """403 for what is outside a limit."""
        ranges = self._ranges.of(attributes.namespace)
        if not ranges:
            return
        obj = attributes.obj
        assert obj is not None
        if attributes.operation == "UPDATE" and obj["metadata"].get("deletionTimestamp"):
            return
        check = _check_pod if attributes.resource == "pods" else _check_claim
        for limit_range in ranges:
            found = [text for item in _items(limit_range) for text in check(item, obj)]
            if found:
                text = found[0] if len(found) == 1 else f"[{', '.join(dict.fromkeys(found))}]"
                raise errors.forbidden(attributes.info, attributes.name, text)


def _items(limit_range: Object) -> list[Object]:
    return (limit_range.get("spec") or {}).get("limits") or []


def _defaults(limit_range: Object) -> tuple[Amounts, Amounts] | None:
    """The default requests and limits of a container."""
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for item in _items(limit_range):
        if item.get("type") == "Container":
            requests.update(item.get("defaultRequest") or {})
            limits.update(item.get("default") or {})
    return (requests, limits) if requests or limits else None


def _fill(pod: Object, requests: Amounts, limits: Amounts) -> list[str]:
    spec = dict(pod["spec"])
    notes: list[str] = []
    for field, what in _CONTAINERS:
        filled = []
        for container in spec.get(field) or ():
            resources = container.get("resources") or {}
            given = {kind: resources.get(kind) or {} for kind in ("requests", "limits")}
            added = {
                "requests": {
                    name: requests[name] for name in requests if name not in given["requests"]
                },
                "limits": {name: limits[name] for name in limits if name not in given["limits"]},
            }
            for kind, words in (("requests", "request"), ("limits", "limit")):
                if added[kind]:
                    names = ", ".join(sorted(added[kind]))
                    notes.append(f"{names} {words} for {what} {container['name']}")
            changed = {kind: {**given[kind], **added[kind]} for kind in given if added[kind]}
            filled.append(
                {**container, "resources": {**resources, **changed}} if changed else container
            )
        if filled:
            spec[field] = filled
    if notes:
        pod["spec"] = spec
    return notes


def _check_pod(item: Object, pod: Object) -> Iterator[str]:
    kind = item.get("type")
    if kind == "Container":
        for field, _ in _CONTAINERS:
            for container in pod["spec"].get(field) or ():
                resources = container.get("resources") or {}
                requests, limits = resources.get("requests") or {}, resources.get("limits") or {}
                yield from _check(item, requests, limits)
    elif kind == "Pod":
        yield from _check(item, pod_requests(pod["spec"]), pod_limits(pod["spec"]))


def _check_claim(item: Object, claim: Object) -> Iterator[str]:
    if item.get("type") != "PersistentVolumeClaim":
        return
    requests = (claim["spec"].get("resources") or {}).get("requests") or {}
    for name, bound in (item.get("min") or {}).items():
        yield from _minimum(item, name, bound, requests, {})
    for name, bound in (item.get("max") or {}).items():
        start = f"maximum {name} usage per {item['type']} is {quantity.canonical(bound)}"
        given = requests.get(name)
        if given is None:
            yield f"{start}.  No request is specified"
        elif quantity.parse(given) > quantity.parse(bound):
            yield f"{start}, but request is {quantity.canonical(given)}"


def _check(item: Object, requests: Amounts, limits: Amounts) -> Iterator[str]:
    for name, bound in (item.get("min") or {}).items():
        yield from _minimum(item, name, bound, requests, limits)
    for name, bound in (item.get("max") or {}).items():
        yield from _maximum(item, name, bound, requests, limits)
    for name, bound in (item.get("maxLimitRequestRatio") or {}).items():
        yield from _ratio(item, name, bound, requests, limits)


def _minimum(
    item: Object, name: str, bound: str, requests: Amounts, limits: Amounts
) -> Iterator[str]:
    start = f"minimum {name} usage per {item['type']} is {quantity.canonical(bound)}"
    request, limit = requests.get(name), limits.get(name)
    if request is None:
        yield f"{start}.  No request is specified"
    elif quantity.parse(request) < quantity.parse(bound):
        yield f"{start}, but request is {quantity.canonical(request)}"
    elif limit is not None and quantity.parse(limit) < quantity.parse(bound):
        yield f"{start}, but limit is {quantity.canonical(limit)}"


def _maximum(
    item: Object, name: str, bound: str, requests: Amounts, limits: Amounts
) -> Iterator[str]:
    start = f"maximum {name} usage per {item['type']} is {quantity.canonical(bound)}"
    request, limit = requests.get(name), limits.get(name)
    if limit is None:
        yield f"{start}.  No limit is specified"
    elif quantity.parse(limit) > quantity.parse(bound):
        yield f"{start}, but limit is {quantity.canonical(limit)}"
    elif request is not None and quantity.parse(request) > quantity.parse(bound):
        yield f"{start}, but request is {quantity.canonical(request)}"


def _ratio(
    item: Object, name: str, bound: str, requests: Amounts, limits: Amounts
) -> Iterator[str]:
    start = f"{name} max limit to request ratio per {item['type']} is {quantity.canonical(bound)}"
    request = quantity.parse(requests.get(name, "0"))
    limit = quantity.parse(limits.get(name, "0"))
    if not request:
        yield f"{start}, but no request is specified or request is 0"
    elif not limit:
        yield f"{start}, but no limit is specified or limit is 0"
    else:
        ratio = Fraction(limit) / request
        if ratio > quantity.parse(bound):
            yield f"{start}, but provided ratio is {float(ratio):.6f}"
