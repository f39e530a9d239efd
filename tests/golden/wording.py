"""Events whose words have changed since the recorded release, in words that fit both.

docs/compatibility.md says what changed and why.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Object = dict[str, Any]

COMPONENTS = {"taint-eviction-controller": "taint-controller"}


def _without_former_size(message: str) -> str:
    return re.sub(r" from \d+( to \d+)$", r"\1", message)


def _without_preemptor(message: str) -> str:
    return re.sub(r"^Preempted by (?:pod )?\S+ on", "Preempted by <pod> on", message)


def _external_provisioner(message: str) -> str:
    found = re.search(r"external provisioner [\"'](.+?)[\"']", message)
    return f"waiting for {found[1]}" if found else message


MESSAGES: dict[str, Callable[[str], str]] = {
    "ScalingReplicaSet": _without_former_size,
    "Preempted": _without_preemptor,
    "ExternalProvisioning": _external_provisioner,
}


def comparable(event: Object) -> Object:
    """The event in words that do not depend on the release."""
    component = COMPONENTS.get(event["component"], event["component"])
    reword = MESSAGES.get(event["reason"], str)
    event = {**event, "component": component, "message": reword(event["message"])}
    if "parsed" in event:
        event["parsed"] = reasons_without_blanks(event["parsed"])
    return event


def reasons_without_blanks(value: Any) -> Any:
    """A taint without a value was recorded as `key: `, a resource with the comma after it."""
    if isinstance(value, dict):
        return {key.rstrip(": ,"): reasons_without_blanks(item) for key, item in value.items()}
    if isinstance(value, list):
        return [reasons_without_blanks(item) for item in value]
    return value
