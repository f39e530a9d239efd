"""What the watch cache knows of one object: its bytes, and what selectors ask about.

Bytes are decoded only when a selector must be evaluated, and then once per version: labels and the
kind's selectable fields are kept, the object itself is not (hundreds of thousands of live dicts
make the garbage collector slow).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api import codec, selectors

_NO_LABELS: dict[str, str] = {}

# The field labels that a kind supports besides metadata.name and metadata.namespace (conversion
# functions of the real API types). Any other is a 400.
FIELD_LABELS: dict[str, tuple[str, ...]] = {
    "pods": (
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
    ),
    "nodes": ("spec.unschedulable",),
    "namespaces": ("status.phase",),
    "secrets": ("type",),
    "services": ("spec.clusterIP", "spec.type"),
    "replicationcontrollers": ("status.replicas",),
    "replicasets.apps": ("status.replicas",),
    "jobs.batch": ("status.successful",),
    "events": (
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ),
    "certificatesigningrequests.certificates.k8s.io": ("spec.signerName",),
}
METADATA_LABELS = ("metadata.name", "metadata.namespace")


class Entry:
    """One version of one object."""

    __slots__ = (
        "_fields",
        "_labels",
        "_node",
        "data",
        "key",
        "lease",
        "mod_revision",
        "name",
        "namespace",
    )

    def __init__(
        self, key: bytes, namespace: str, name: str, data: bytes, mod_revision: int, lease: int
    ) -> None:
        self.key = key
        self.namespace = namespace
        self.name = name
        self.data = data
        self.mod_revision = mod_revision
        self.lease = lease
        self._labels: Mapping[str, str] | None = None
        self._node: str | None = None
        self._fields: dict[str, str] | None = None

    def learn(self, resource: str, obj: dict[str, Any] | None = None) -> None:
        """Take labels and fields from `obj`, the object in `data` (decoded when not given)."""
        if obj is None:
            obj = codec.decode(self.data, 0)
        self.learn_place(obj)
        paths = FIELD_LABELS.get(resource)
        value = selectors.field_value
        self._fields = {path: value(obj, path) for path in paths} if paths else {}

    def learn_place(self, obj: dict[str, Any]) -> None:
        """Take what most watchers ask for: labels, and the node of a pod."""
        metadata = obj.get("metadata")
        self._labels = (metadata.get("labels") if metadata else None) or _NO_LABELS
        spec = obj.get("spec")
        self._node = (spec.get("nodeName") if isinstance(spec, dict) else None) or ""

    def labels(self) -> Mapping[str, str]:
        """The object's labels."""
        if self._labels is None:
            self.learn_place(codec.decode(self.data, 0))
        assert self._labels is not None
        return self._labels

    def node(self) -> str:
        """The node that a pod is assigned to, "" for none."""
        if self._node is None:
            self.learn_place(codec.decode(self.data, 0))
        assert self._node is not None
        return self._node

    def field(self, resource: str, path: str) -> str:
        """The value that a field selector compares with."""
        if path == "metadata.name":
            return self.name
        if path == "metadata.namespace":
            return self.namespace
        if path == "spec.nodeName" and resource == "pods":
            return self.node()
        if self._fields is None:
            self.learn(resource)
        assert self._fields is not None
        return self._fields.get(path, "")


class Change:
    """An event as the cache keeps it: the version before and the version after (None: deleted)."""

    __slots__ = ("_item", "entry", "old", "revision")

    def __init__(self, revision: int, old: Entry | None, entry: Entry | None) -> None:
        self.revision = revision
        self.old = old
        self.entry = entry
        self._item: list[Any] | None = None

    @property
    def item(self) -> list[Any]:
        """What a watcher without selector gets: one list, the same for all of them."""
        item = self._item
        if item is None:
            entry, old = self.entry, self.old
            if entry is None:
                assert old is not None
                item = ["DELETED", self.revision, old.data]
            else:
                item = ["ADDED" if old is None else "MODIFIED", self.revision, entry.data]
            self._item = item
        return item
