"""Everything the server holds for one served resource: its facts, strategy and cache."""

from __future__ import annotations

from k8sactors.api.scheme import ResourceInfo
from k8sactors.apiserver.keys import key_of, prefix_of
from k8sactors.apiserver.strategy import Strategy
from k8sactors.apiserver.watch_cache import WatchCache


class Resource:
    """A served resource."""

    __slots__ = ("cache", "info", "name", "strategy")

    def __init__(self, info: ResourceInfo, strategy: Strategy, cache: WatchCache) -> None:
        self.info = info
        self.name = info.name
        self.strategy = strategy
        self.cache = cache

    def key(self, namespace: str, name: str) -> bytes:
        """Where an object of this resource is stored."""
        return key_of(self.name, namespace if self.info.namespaced else None, name)

    def prefix(self, namespace: str) -> bytes:
        """Where the objects of a namespace (or all of them) are stored."""
        return prefix_of(self.name, namespace if self.info.namespaced else None)
