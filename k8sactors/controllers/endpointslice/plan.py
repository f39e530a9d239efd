"""How endpoints are spread over EndpointSlices: the fewest writes, not the fewest slices.

An endpoint stays in the slice where it is. New ones go into slices that have to be written anyway,
then into one with room, then into new slices (KEP-0752).
"""

from __future__ import annotations

from typing import Any

import attrs

Object = dict[str, Any]
MAX_ENDPOINTS = 100


@attrs.define
class SlicePlan:
    """What to do with the slices of one Service."""

    create: list[Object] = attrs.field(factory=list)
    update: list[Object] = attrs.field(factory=list)
    delete: list[Object] = attrs.field(factory=list)

    def reuse(self) -> None:
        """Turn a deletion and a creation into one update, as long as there are both."""
        while self.create and self.delete:
            body = self.create.pop()
            self.update.append(_with(self.delete.pop(0), body, body["endpoints"]))


def ports_key(ports: list[Object] | None) -> tuple[Any, ...]:
    """Identifies the set of ports that a slice is about."""
    return tuple(
        sorted(
            (
                port.get("name") or "",
                port.get("port") or 0,
                port.get("protocol") or "TCP",
                port.get("appProtocol") or "",
            )
            for port in ports or ()
        )
    )


def endpoint_key(endpoint: Object) -> tuple[Any, ...]:
    """Identifies an endpoint, whatever its conditions are."""
    return endpoint["addresses"][0], (endpoint.get("targetRef") or {}).get("uid")


def fit(
    existing: list[Object], desired: dict[tuple[Any, ...], Object], base: Object, plan: SlicePlan
) -> None:
    """Plan the slices of one set of ports. `base` is the slice to be, without endpoints."""
    changed: list[Object] = []
    unchanged: list[Object] = []
    for each in existing:
        kept = []
        for endpoint in each.get("endpoints") or ():
            wanted = desired.pop(endpoint_key(endpoint), None)
            if wanted is not None:
                kept.append(wanted)
        if not kept:
            plan.delete.append(each)
        elif kept != each.get("endpoints") or _needs_metadata(each, base):
            changed.append(_with(each, base, kept))
        else:
            unchanged.append(each)
    left = list(desired.values())
    changed.sort(key=lambda each: -len(each["endpoints"]))
    for each in changed:
        room = MAX_ENDPOINTS - len(each["endpoints"])
        each["endpoints"] = [*each["endpoints"], *left[:room]]
        left = left[room:]
    if left and len(left) < MAX_ENDPOINTS:
        _fill_one(unchanged, left, base, changed)
    plan.update.extend(changed)
    for start in range(0, len(left), MAX_ENDPOINTS):
        plan.create.append({**base, "endpoints": left[start : start + MAX_ENDPOINTS]})


def _fill_one(
    unchanged: list[Object], left: list[Object], base: Object, changed: list[Object]
) -> None:
    """Put all that is left into the fullest slice that has room for it."""
    roomy = [each for each in unchanged if len(each["endpoints"]) + len(left) <= MAX_ENDPOINTS]
    if roomy:
        fullest = max(roomy, key=lambda each: len(each["endpoints"]))
        changed.append(_with(fullest, base, [*fullest["endpoints"], *left]))
        left.clear()


def _needs_metadata(each: Object, base: Object) -> bool:
    metadata, wanted = each["metadata"], base["metadata"]
    return bool(
        (metadata.get("labels") or {}) != wanted["labels"]
        or (metadata.get("ownerReferences") or []) != wanted["ownerReferences"]
    )


def _with(each: Object, base: Object, endpoints: list[Object]) -> Object:
    wanted = base["metadata"]
    metadata = {
        **each["metadata"],
        "labels": wanted["labels"],
        "ownerReferences": wanted["ownerReferences"],
    }
    return {**each, "metadata": metadata, "ports": base["ports"], "endpoints": endpoints}
