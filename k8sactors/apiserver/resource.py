"""Everything the server holds for one served resource: its facts, strategy and cache."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from k8sactors.api import codec, decoding
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.managed_fields import FieldManager
from k8sactors.api.meta import split_api_version
from k8sactors.api.strategy import Strategy
from k8sactors.apiserver.conversion_needed import ConversionNeededError, begin_all
from k8sactors.apiserver.keys import key_of, prefix_of
from k8sactors.apiserver.watch_cache import WatchCache

# Objects that are kept converted, so that all watchers of one version share the work.
CONVERTED = 4096


class Resource:
    """A resource served in one version. All versions of a kind share keys and cache.

    `present` makes of stored bytes what a client of this version gets; None in the storage version
    of a built-in kind, whose bytes leave as they are.
    """

    __slots__ = ("_field_managers", "cache", "info", "name", "present", "strategy")

    def __init__(self, info: ResourceInfo, strategy: Strategy, cache: WatchCache) -> None:
        self.info = info
        self.name = info.name
        self.strategy = strategy
        self.cache = cache
        as_stored = info.is_storage_version and info.served.from_storage is None
        self.present = None if as_stored else _converter(info)
        self._field_managers: dict[str, FieldManager] = {}

    def key(self, namespace: str, name: str) -> bytes:
        """Where an object of this resource is stored."""
        info = self.info
        return key_of(info.storage_name, namespace if info.namespaced else None, name)

    def prefix(self, namespace: str) -> bytes:
        """Where the objects of a namespace (or all of them) are stored."""
        info = self.info
        return prefix_of(info.storage_name, namespace if info.namespaced else None)

    def present_all(
        self, objects: Sequence[bytes], resume: Callable[[], None]
    ) -> list[bytes] | None:
        """What a client of this version gets of many objects.

        None: a webhook has been asked, at once for all that it must convert; `resume` comes then.

        Raises:
            StatusError: 500, the webhook has failed.
        """
        present = self.present
        if present is None:
            return list(objects)
        shown: list[bytes] = []
        needed: list[ConversionNeededError] = []
        for data in objects:
            try:
                shown.append(present(data))
            except ConversionNeededError as each:
                needed.append(each)
        if needed:
            begin_all(needed, resume)
            return None
        return shown

    def field_manager(self, subresource: str) -> FieldManager:
        """What tracks the fields that are written through a subresource; "": the object itself."""
        found = self._field_managers.get(subresource)
        if found is None:
            ignored = self.strategy.reset_fields(subresource)
            found = FieldManager(self.info, subresource, ignored)
            self._field_managers[subresource] = found
        return found


def _converter(info: ResourceInfo) -> Callable[[bytes], bytes]:
    """Converts encoded objects of the storage version; equal bytes are converted once.

    What is not such an object (a Status, a Scale, a bookmark) passes unchanged.
    """
    kind, group = info.kind, info.record.served[0].group

    @lru_cache(maxsize=CONVERTED)
    def convert(data: bytes) -> bytes:
        if not data:
            return data
        obj = codec.decode(data, 0)
        # A custom resource may have been stored in a version that was the storage version then.
        if obj.get("kind") != kind or split_api_version(obj.get("apiVersion") or "")[0] != group:
            return data
        return codec.encode(decoding.from_storage(info, obj))

    return convert
