"""Objects of a cluster, straight in its store: past the API servers, and without their checks.

They get the defaults of their kind, as all stored objects have them.

A test sets the scene with them (a Node without a kubelet, a pod that has failed) and looks at the
result. All API servers see the changes by their watch of the store, as they see one another's.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import codec, scheme
from k8sactors.api.decoding import to_storage, with_defaults
from k8sactors.api.meta import format_time
from k8sactors.api.patch import merge_patch
from k8sactors.apiserver.keys import end_of, key_of, prefix_of
from k8sactors.simulation import Clock
from k8sactors.store.memory import MemoryStore

Object = dict[str, Any]


class Objects:
    """The objects of a store; `resource` is the plural, with the group behind a dot if any."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._uids = 0
        self._infos = scheme.builtin().names()

    def get(self, resource: str, name: str, namespace: str = "") -> Object | None:
        """An object, or None."""
        found = self._store.range(key_of(resource, namespace, name))
        return codec.decode(found[0][1], found[0][2]) if found else None

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        """All objects of a resource, in the order of their names."""
        prefix = prefix_of(resource, namespace)
        found = self._store.range(prefix, end_of(prefix))
        return [codec.decode(value, revision) for _, value, revision in found]

    def put(self, resource: str, obj: Object) -> Object:
        """Create or replace an object; counts the generation when its spec changes."""
        metadata = obj["metadata"]
        namespace, name = metadata.get("namespace") or "", metadata["name"]
        old = self.get(resource, name, namespace)
        if old is None:
            self._uids += 1
            metadata = {
                "uid": f"00000000-0000-4000-8000-{self._uids:012d}",
                "creationTimestamp": format_time(self._clock.wall_ns()),
                "generation": 1,
                **metadata,
            }
        else:
            known = old["metadata"]
            generation = known.get("generation", 1)
            if old.get("spec") != obj.get("spec"):
                generation += 1
            kept = {field: known[field] for field in ("uid", "creationTimestamp")}
            metadata = {**kept, **metadata, "generation": generation}
        info = self._infos[resource]
        obj = to_storage(info, with_defaults(info, {**obj, "metadata": metadata}))
        data = codec.encode(obj)
        return codec.decode(data, self._store.put(key_of(resource, namespace, name), data))

    def edit(self, resource: str, name: str, namespace: str = "", **changes: Any) -> Object:
        """Merge `changes` into an object, as a JSON merge patch does.

        Raises:
            KeyError: there is none of that name.
        """
        old = self.get(resource, name, namespace)
        if old is None:
            raise KeyError(f"no {resource} {namespace}/{name}")
        return self.put(resource, merge_patch(old, changes))

    def remove(self, resource: str, name: str, namespace: str = "") -> None:
        """Delete an object, whatever its finalizers say."""
        self._store.delete(key_of(resource, namespace, name))
