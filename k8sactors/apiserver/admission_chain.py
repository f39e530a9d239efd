"""The chain of admission plugins: what a plugin is, what it sees, and how the chain waits.

Every write runs through the chain twice, as in the real server: the mutating half (`admit`) sees
the object as the client sent it, with defaults; the validating half (`validate`) sees it as it
would be stored. A plugin that must know what the store holds, or must ask a webhook, asks its
attributes; the server fetches the answer and the chain continues at that plugin, not from the
start.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

from k8sactors.api import codec
from k8sactors.api.effects import KeyState
from k8sactors.api.errors import AnswerNeededError, SuspendedError
from k8sactors.api.kind import ResourceInfo
from k8sactors.api.scheme import Scheme
from k8sactors.apiserver.cached_objects import CachedObjects
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.store import Store
from k8sactors.apiserver.watch_cache import WatchCache

Object = dict[str, Any]
Operation = Literal["CREATE", "UPDATE", "DELETE", "CONNECT"]
# Begins something that takes time; the function that it is given takes the result.
Ask = Callable[[Callable[[Any], None]], None]


class Lister(Protocol):
    """Caches of the cluster's objects (they may lag; `Cluster.get` looks in the store then)."""

    def add_resource(self, resource: str) -> WatchCache:
        """The cache of a resource."""


class Attributes:
    """One write as plugins see it.

    `obj` is the new object, or what was sent to a subresource (a Binding, an Eviction), or None for
    a deletion; `old` is the stored object, None for a creation. Plugins may set fields at the top
    of `obj` and in its metadata; everything below is shared and must be replaced, not changed.
    """

    __slots__ = (
        "_answers",
        "_every_mutating",
        "_mutating",
        "_progress",
        "_validating",
        "call",
        "obj",
        "old",
        "operation",
        "reinvocation",
        "reinvoke",
        "repeatable",
    )

    def __init__(
        self, chain: Chain, call: Call, operation: Operation, obj: Object | None, old: Object | None
    ) -> None:
        self.call = call
        self.operation = operation
        self.obj = obj
        self.old = old
        # Whether an equal object will be admitted with the same result (see `Plugin.repeatable`).
        self.repeatable = True
        # Whether all mutating plugins shall see the object once more, because a webhook or policy
        # has changed it; whether they do now.
        self.reinvoke = False
        self.reinvocation = False
        # The plugins that have not seen the write yet.
        self._mutating, self._validating = chain
        self._every_mutating = chain.mutating
        self._answers: dict[Hashable, Any] | None = None
        self._progress: dict[Plugin, Any] | None = None

    @property
    def info(self) -> ResourceInfo:
        """The resource that is written."""
        return self.call.resource.info

    @property
    def resource(self) -> str:
        """Its name, the same for all versions: `pods`, `deployments.apps`."""
        return self.call.resource.info.storage_name

    @property
    def subresource(self) -> str:
        """The subresource in the path, "" for the object itself."""
        return self.call.subresource

    @property
    def namespace(self) -> str:
        """The namespace in the path; "" for a cluster-scoped object."""
        return self.call.namespace

    @property
    def name(self) -> str:
        """The name of the object; "" while it has none."""
        return self.call.name

    @property
    def user(self) -> Any:
        """Who asks."""
        return self.call.user

    @property
    def dry_run(self) -> bool:
        """Whether nothing will be stored: a plugin must not change anything elsewhere."""
        return self.call.dry_run

    def warn(self, text: str) -> None:
        """Tell the client something although the write succeeds: a Warning header."""
        self.call.warnings = [*self.call.warnings, text]

    def annotate(self, key: str, value: str) -> None:
        """Add an annotation to the audit record of the request; the first value of a key stays."""
        annotations = self.call.audit_annotations
        if annotations is None:
            annotations = self.call.audit_annotations = {}
        annotations.setdefault(key, value)

    def lookup(self, key: bytes, wait_ns: int = 0) -> KeyState | None:
        """What the store holds under `key`; waits up to `wait_ns` for it to appear.

        Raises:
            LookupNeededError: not read yet; the chain continues at this plugin.
        """
        return self.call.lookup(key, wait_ns)

    def progress(self, plugin: Plugin, start: Callable[[], Any]) -> Any:
        """What a plugin remembers of this write while it waits; `start` makes it."""
        progress = self._progress
        if progress is None:
            progress = self._progress = {}
        if plugin not in progress:
            progress[plugin] = start()
        return progress[plugin]

    def answer(self, key: Hashable, ask: Ask) -> Any:
        """The result of `ask`, which is begun once for each key (such as a plugin) and write.

        Raises:
            AnswerNeededError: there is none yet; the chain continues at this plugin.
        """
        answers = self._answers
        if answers is None:
            answers = self._answers = {}
        if key not in answers:

            def begin(resume: Callable[[], None]) -> None:
                def arrived(result: Any) -> None:
                    answers[key] = result
                    resume()

                ask(arrived)

            raise AnswerNeededError(begin)
        return answers[key]

    def mutate(self) -> None:
        """Run the mutating half, from where it stopped.

        Raises:
            StatusError: a plugin refuses.
            SuspendedError: a plugin needs something first.
        """
        left = self._mutating
        if not left:
            return
        plugin = left[0]
        try:
            for plugin in left:
                plugin.admit(self)
        except SuspendedError:
            self._mutating = left[left.index(plugin) :]
            raise
        self._mutating = ()
        if self.reinvoke and not self.reinvocation:
            self.reinvocation = True
            self._mutating = self._every_mutating
            self.mutate()

    def validate(self) -> None:
        """Run the validating half, from where it stopped; errors as in `mutate`."""
        left = self._validating
        if not left:
            return
        plugin = left[0]
        try:
            for plugin in left:
                plugin.validate(self)
        except SuspendedError:
            self._validating = left[left.index(plugin) :]
            raise
        self._validating = ()


class Cluster:
    """What plugins may look up."""

    def __init__(
        self, lister: Lister, environment: Environment, store: Store, scheme: Scheme
    ) -> None:
        self.environment = environment
        self.store = store
        self.scheme = scheme
        self._lister = lister
        self._objects: dict[str, CachedObjects] = {}

    @property
    def config(self) -> APIServerConfig:
        """The server's configuration."""
        return self.environment.settings

    def get(
        self, attributes: Attributes, resource: str, namespace: str | None, name: str
    ) -> Object | None:
        """An object, from the cache or, if it is not there, from the store.

        Raises:
            LookupNeededError: the chain continues at this plugin when the key has been read.
        """
        key = key_of(resource, namespace, name)
        entry = self._lister.add_resource(resource).entries.get(key)
        if entry is not None:
            return codec.decode(entry.data, 0)
        state = attributes.lookup(key)
        return codec.decode(state.value, 0) if state is not None else None

    def decode(self, state: KeyState) -> Object:
        """The object that a key holds."""
        return codec.decode(state.value, state.mod_revision)

    def cached(self, resource: str) -> Iterable[Object]:
        """All objects of a resource that the cache holds."""
        cache = self._lister.add_resource(resource)
        return [codec.decode(entry.data, 0) for _, entry in sorted(cache.entries.items())]

    def stored(self, resource: str, namespace: str) -> list[KeyState]:
        """The cached objects of a namespace with their keys and revisions, not decoded."""
        entries = self._lister.add_resource(resource).namespaces.get(namespace, {})
        return [
            KeyState(key, entry.data, entry.mod_revision, entry.lease)
            for key, entry in sorted(entries.items())
        ]

    def cache(self, resource: str) -> WatchCache:
        """The cache of a resource; its `version` moves when anything in it changes."""
        return self._lister.add_resource(resource)

    def objects(self, resource: str) -> CachedObjects:
        """The cached objects of a resource in decoded form; all plugins share them."""
        objects = self._objects.get(resource)
        if objects is None:
            objects = self._objects[resource] = CachedObjects(self._lister.add_resource(resource))
        return objects

    def cached_version(self, resource: str, namespace: str | None, name: str) -> int:
        """The mod_revision of a cached object, 0 when there is none."""
        entry = self._lister.add_resource(resource).entries.get(key_of(resource, namespace, name))
        return entry.mod_revision if entry is not None else 0


class Plugin:
    """One admission plugin."""

    # The name by which it is enabled and disabled; by default that of its class.
    name: ClassVar[str] = ""
    # Whether it runs without having been enabled.
    default: ClassVar[bool] = True
    # Its place in the chain: ten times its place in the real server's list of plugins.
    order: ClassVar[int]
    resources: ClassVar[tuple[str, ...] | None] = None  # None: all
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE",)
    subresources: ClassVar[tuple[str, ...] | None] = ("",)  # None: the object and all subresources
    # Whether equal objects get equal results while the `inputs` do not change: then an object like
    # one before it need not be looked at again.
    repeatable: ClassVar[bool] = False
    inputs: ClassVar[tuple[str, ...]] = ()
    # Resources without whose objects it has nothing to do: while there are none, it sees only
    # writes to the resources in `ungated`.
    gates: ClassVar[tuple[str, ...]] = ()
    ungated: ClassVar[tuple[str, ...]] = ()

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    @classmethod
    def plugin_name(cls) -> str:
        """Its name in `--enable-admission-plugins` and `--disable-admission-plugins`."""
        return cls.name or cls.__name__

    def configuration(self) -> Object:
        """What the configuration of the server says for this plugin; {} when it says nothing."""
        return self.cluster.config.admission_configuration.get(self.plugin_name()) or {}

    def admit(self, attributes: Attributes) -> None:
        """Complete the object, or refuse it by raising a StatusError."""

    def validate(self, attributes: Attributes) -> None:
        """Refuse the object by raising a StatusError."""

    def concerns(self, resource: str, subresource: str, operation: Operation) -> bool:
        """Whether the plugin sees such a write."""
        return (
            operation in self.operations
            and (self.resources is None or resource in self.resources)
            and (self.subresources is None or subresource in self.subresources)
        )


class Chain(NamedTuple):
    """The plugins that see one kind of write, in order."""

    mutating: tuple[Plugin, ...]
    validating: tuple[Plugin, ...]


class Admission:
    """All plugins; which of them see a write is found once for each kind of write."""

    def __init__(self, plugins: Iterable[Plugin], lister: Lister) -> None:
        self._plugins = sorted(plugins, key=lambda plugin: (plugin.order, type(plugin).__name__))
        self._chains: dict[tuple[str, str, Operation, bool], Chain] = {}
        self._version = 0
        for name in dict.fromkeys(name for plugin in self._plugins for name in plugin.inputs):
            lister.add_resource(name).observers.append(self._input_changed)
        self._gates = {
            name: lister.add_resource(name)
            for name in dict.fromkeys(name for plugin in self._plugins for name in plugin.gates)
        }
        for cache in self._gates.values():
            self._watch_gate(cache)

    def _input_changed(self) -> None:
        self._version += 1

    def _watch_gate(self, cache: WatchCache) -> None:
        """Find the chains again when the first object appears, and when the last one goes."""
        was_empty = not cache.entries

        def changed() -> None:
            nonlocal was_empty
            empty = not cache.entries
            if empty != was_empty:
                was_empty = empty
                self._chains.clear()

        cache.observers.append(changed)

    def state_version(self) -> int:
        """A number that moves when what the repeatable plugins look at has changed."""
        return self._version

    def attributes(
        self,
        call: Call,
        operation: Operation,
        obj: Object | None,
        old: Object | None = None,
        *,
        again: bool = False,
    ) -> Attributes:
        """The write with its chain; `again`: an equal object has been admitted before."""
        key = (call.resource.info.storage_name, call.subresource, operation, again)
        chain = self._chains.get(key)
        if chain is None:
            chain = self._chains[key] = self._chain(*key)
        return Attributes(chain, call, operation, obj, old)

    def _chain(self, resource: str, subresource: str, operation: Operation, again: bool) -> Chain:
        plugins = [
            plugin
            for plugin in self._plugins
            if plugin.concerns(resource, subresource, operation)
            and not (again and plugin.repeatable)
            and not self._is_gated(plugin, resource)
        ]
        return Chain(
            tuple(plugin for plugin in plugins if type(plugin).admit is not Plugin.admit),
            tuple(plugin for plugin in plugins if type(plugin).validate is not Plugin.validate),
        )

    def _is_gated(self, plugin: Plugin, resource: str) -> bool:
        """Whether the plugin lets such writes pass until an object of its gates exists."""
        return (
            bool(plugin.gates)
            and resource not in plugin.ungated
            and not any(self._gates[name].entries for name in plugin.gates)
        )
