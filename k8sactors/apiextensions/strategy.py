"""What custom resources do beyond the generic rules, as `customresource/strategy.go` says."""

from __future__ import annotations

from typing import Any

from k8sactors.api.kind import ResourceInfo
from k8sactors.api.strategy import Strategy, carry

Object = dict[str, Any]
_APART = frozenset({"metadata", "apiVersion", "kind"})


class CustomResourceStrategy(Strategy):
    """The strategy of every custom resource; whether it has a status is its version's matter."""

    unconditional_update = False

    def __init__(self, info: ResourceInfo) -> None:
        super().__init__(info)
        self._has_status = "status" in info.subresources

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """A new object has no status yet."""
        del now
        if self._has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """The status has a way of its own; every other change counts as a generation."""
        if self._has_status:
            carry(new, old, "status")
        self.count_generation(new, old)

    def prepare_for_status_update(self, new: Object, old: Object) -> None:
        """All but the status stays as it was, labels too."""
        status = new.get("status")
        version = new["metadata"].get("resourceVersion")
        managed = new["metadata"].get("managedFields")
        new.clear()
        new.update(old)
        new["metadata"] = dict(old["metadata"])
        for field, value in (("resourceVersion", version), ("managedFields", managed)):
            if value is not None:
                new["metadata"][field] = value
        if status is None:
            new.pop("status", None)
        else:
            new["status"] = status

    def spec_changed(self, new: Object, old: Object) -> bool:
        """Any field counts, but metadata, and status where it has a way of its own."""
        apart = _APART | {"status"} if self._has_status else _APART
        return any(
            new.get(field) != old.get(field)
            for field in [*new, *(field for field in old if field not in new)]
            if field not in apart
        )
