"""The chain of admission plugins, and what a plugin sees of the cluster."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from k8sactors.api import codec
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.errors import LookupNeededError
from k8sactors.apiserver.keys import key_of

if TYPE_CHECKING:
    from k8sactors.apiserver.call import Call
    from k8sactors.apiserver.watch_cache import WatchCache

Object = dict[str, Any]


class Lister(Protocol):
    """Caches of the cluster's objects (they may lag; `Cluster.get` looks in the store then)."""

    def add_resource(self, resource: str) -> WatchCache:
        """The cache of a resource."""


class Cluster:
    """What plugins may look up."""

    def __init__(self, lister: Lister, config: APIServerConfig) -> None:
        self.config = config
        self._lister = lister

    def get(self, call: Call, resource: str, namespace: str | None, name: str) -> Object | None:
        """An object, from the cache or, if it is not there, from the store.

        Raises:
            LookupNeededError: the registry reads the key and calls the plugin again.
        """
        key = key_of(resource, namespace, name)
        entry = self._lister.add_resource(resource).entries.get(key)
        if entry is not None:
            return codec.decode(entry.data, 0)
        known = call.known
        if known is None or key not in known:
            raise LookupNeededError(key)
        state = known[key]
        return codec.decode(state.value, 0) if state is not None else None

    def cached(self, resource: str) -> Iterable[Object]:
        """All objects of a resource that the cache holds."""
        cache = self._lister.add_resource(resource)
        return [codec.decode(entry.data, 0) for _, entry in sorted(cache.entries.items())]

    def cache_version(self, resource: str) -> int:
        """A number that moves when anything in a resource's cache changes."""
        return self._lister.add_resource(resource).version

    def cached_version(self, resource: str, namespace: str | None, name: str) -> int:
        """The mod_revision of a cached object, 0 when there is none."""
        entry = self._lister.add_resource(resource).entries.get(key_of(resource, namespace, name))
        return entry.mod_revision if entry is not None else 0


class Plugin:
    """One admission plugin. Plugins change the new object in place at its two upper levels."""

    resources: ClassVar[tuple[str, ...] | None] = None  # None: all
    verbs: ClassVar[tuple[str, ...]] = ("create",)
    # Whether equal objects get equal results while the `inputs` do not change: then an object like
    # one before it need not be looked at again.
    repeatable: ClassVar[bool] = False
    inputs: ClassVar[tuple[str, ...]] = ()

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def admit(self, call: Call, obj: Object | None) -> None:
        """Complete the object, or refuse it by raising a StatusError."""


class Admission:
    """The plugins that concern each resource and verb, found once."""

    def __init__(self, plugins: Iterable[Plugin], lister: Lister) -> None:
        self._plugins = list(plugins)
        self._chains: dict[tuple[str, str, bool], list[Plugin]] = {}
        inputs = dict.fromkeys(name for plugin in self._plugins for name in plugin.inputs)
        self._inputs = [lister.add_resource(name) for name in inputs]

    def state_version(self) -> int:
        """A number that moves when what the repeatable plugins look at has changed."""
        return sum(cache.version for cache in self._inputs)

    def admit(self, call: Call, verb: str, obj: Object | None, *, again: bool = False) -> None:
        """Run the chain; `again`: an equal object has been admitted before.

        Raises:
            StatusError: a plugin refused.
            LookupNeededError: a plugin must know what the store holds.
        """
        chain = self._chains.get((call.resource.name, verb, again))
        if chain is None:
            name = call.resource.name
            chain = [
                plugin
                for plugin in self._plugins
                if verb in plugin.verbs
                and (plugin.resources is None or name in plugin.resources)
                and not (again and plugin.repeatable)
            ]
            self._chains[(name, verb, again)] = chain
        for plugin in chain:
            plugin.admit(call, obj)
