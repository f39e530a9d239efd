"""What a server serves: its resources by name, which come and go with custom kinds."""

from __future__ import annotations

from collections.abc import Iterable

from k8sactors.api.kind import Kind, ResourceInfo
from k8sactors.api.scheme import Scheme
from k8sactors.apiserver.feed import Feed
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.routes import Routes
from k8sactors.apiserver.watch_cache import WatchCache


class ServedResources:
    """The resources of a server, each with its cache and its routes."""

    def __init__(self, scheme: Scheme, feed: Feed) -> None:
        self._scheme = scheme
        self._feed = feed
        self._routes: Routes | None = None
        served = {info: self._resource(info) for info in scheme.resources()}
        self.by_name = {name: served[info] for name, info in scheme.names().items()}

    def route(self, routes: Routes) -> None:
        """Tell the routes of all resources, from now on."""
        self._routes = routes
        for resource in dict.fromkeys(self.by_name.values()):
            routes.add(resource, self.by_name)

    def _routed(self) -> Routes:
        assert self._routes is not None
        return self._routes

    def _resource(self, info: ResourceInfo) -> Resource:
        cache = self._feed.add_resource(info.storage_name, info.record.fields)
        return Resource(info, info.record.strategy(info), cache)

    def add_kind(self, kind: Kind) -> None:
        """Serve one more kind, from when its cache has been filled: a custom resource."""
        infos = self._scheme.add(kind)

        def filled() -> None:
            self._serve_resources(infos, cache)

        cache = self._feed.add_while_running(kind.storage_name, kind.fields, filled)

    def _serve_resources(self, infos: Iterable[ResourceInfo], cache: WatchCache) -> None:
        served = {info: Resource(info, info.record.strategy(info), cache) for info in infos}
        for name, info in self._scheme.names().items():
            if info in served:
                self.by_name[name] = served[info]
        for resource in served.values():
            self._routed().add(resource, self.by_name)

    def replace_kind(self, old: Kind, new: Kind) -> None:
        """Serve another form of a kind: its objects and their watches stay."""
        storage_name = old.storage_name
        cache = self._feed.caches.get(storage_name)
        if cache is None or old.fields is not new.fields or self._feed.is_filling(storage_name):
            self.remove_kind(old)
            self.add_kind(new)
            return
        self._forget(old)
        self._serve_resources(self._scheme.add(new), cache)

    def remove_kind(self, kind: Kind) -> None:
        """Serve a kind no longer; watches of its objects end, the objects stay in the store."""
        self._forget(kind)
        self._feed.remove_resource(kind.storage_name)

    def _forget(self, kind: Kind) -> None:
        self._scheme.remove(kind)
        for name in [name for name, each in self.by_name.items() if each.info.record is kind]:
            del self.by_name[name]
        for info in kind.infos():
            self._routed().remove(info.name)
