"""Semantic rules: may this object exist, and may that one become this one?

Objects come here defaulted and of the right form (`schema`). Every function adds to a list of
causes, in the order in which the server reports them, so that an author sees all mistakes at
once. Rules that need other objects (quota, allocation, references) are admission's or the
registry's matter. Source: the API reference and what a real API server answers.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api.errors import Cause
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.validation.metadata import check_metadata, check_metadata_update

__all__ = ["validate_create", "validate_update"]


def validate_create(info: ResourceInfo, obj: dict[str, Any]) -> list[Cause]:
    """Why this new (defaulted) object is refused; empty when it is not."""
    causes: list[Cause] = []
    check_metadata(info, obj, causes)
    check = info.record.check
    if check is not None:
        check(obj, causes)
    rules = info.served.rules
    if rules is not None:
        rules.check_create(obj, causes)
    return causes


def validate_update(
    info: ResourceInfo, old: dict[str, Any], new: dict[str, Any], *, subresource: str = ""
) -> list[Cause]:
    """Why `old` may not become `new` (defaulted).

    With `subresource="status"` only metadata and status are looked at: the rest is the old one.
    Binding goes through its own subresource, not through here.
    """
    causes: list[Cause] = []
    if new.get("metadata") != old.get("metadata"):
        check_metadata(info, new, causes)
        check_metadata_update(old, new, causes)
    rules = info.served.rules
    if rules is not None:
        rules.check_update(old, new, causes)
    if subresource:
        check_status = info.record.check_status
        if subresource == "status" and check_status is not None:
            check_status(old, new, causes)
        return causes
    if old.get("spec") is None or old.get("spec") != new.get("spec"):
        check = info.record.check
        if check is not None:
            check(new, causes)
    check_update = info.record.check_update
    if check_update is not None:
        check_update(old, new, causes)
    return causes
