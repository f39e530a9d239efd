"""What became of new objects, for others that are equal to them but for their identity.

A replica set makes thousands of pods that differ in their names only. What was found out about one
specification holds for all equal ones: its form is right, these are its defaults, and it is valid.
`Strategy.signature` tells which objects are equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from k8sactors.api.strategy import INDIVIDUAL_METADATA

Object = dict[str, Any]

ENTRIES_MAX = 1024


class Created(NamedTuple):
    """A new object after defaults, admission and validation, without what is its own."""

    fields: Object
    metadata: Object
    admission_version: int
    # The fields of its creator (fieldsV1), when they are tracked.
    owned: Object | None


class CreationCache:
    """The last outcomes, by resource, namespace (whose limits hold) and signature."""

    def __init__(self) -> None:
        self.hits = 0
        self.misses = 0
        self._created: dict[tuple[str, str, bytes], Created] = {}

    def find(
        self, resource: str, namespace: str, signature: bytes, admission_version: int
    ) -> Created | None:
        """The outcome of an equal object.

        `admission_version` names the state of the cluster that admission has looked at: an outcome
        from another state does not count.
        """
        created = self._created.get((resource, namespace, signature))
        if created is None or created.admission_version != admission_version:
            self.misses += 1
            return None
        self.hits += 1
        return created

    def remember(
        self, resource: str, namespace: str, signature: bytes, obj: Object, admission_version: int
    ) -> None:
        """Keep the outcome; the oldest one makes room."""
        if len(self._created) >= ENTRIES_MAX:
            del self._created[next(iter(self._created))]
        fields = {key: value for key, value in obj.items() if key != "metadata"}
        metadata = {
            key: value for key, value in obj["metadata"].items() if key not in INDIVIDUAL_METADATA
        }
        entries = obj["metadata"].get("managedFields")
        owned = entries[0]["fieldsV1"] if entries else None
        created = Created(fields, metadata, admission_version, owned)
        self._created[resource, namespace, signature] = created
