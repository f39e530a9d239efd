"""The API server: the one door to the cluster's state.

A reactor: each message is handled at once, and what must wait for the store is a callback. Chain of
a request, as in the real server: authenticate (who asks), flow control (is there room), authorize
(may they), then the handler of verb and subresource: decode, mutate, validate, store, encode. Many
servers may run on one store; they share nothing else.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.actors import Actor, Connection, Context, Message
from k8sactors.api import codec, errors, scheme
from k8sactors.api.errors import StatusError
from k8sactors.apiserver import binding, eviction, namespaces, scale
from k8sactors.apiserver.admission import PLUGINS, Admission
from k8sactors.apiserver.admission.chain import Cluster
from k8sactors.apiserver.audit import Audit, AuditRecord
from k8sactors.apiserver.bootstrap import Bootstrap
from k8sactors.apiserver.call import Call, Origin
from k8sactors.apiserver.collection_deletion import delete_collection
from k8sactors.apiserver.compaction import Compactor
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.feed import Feed
from k8sactors.apiserver.flow_control import FlowControl
from k8sactors.apiserver.protocol import (
    HEALTH,
    HEALTH_RESPONSE,
    REQUEST,
    RESPONSE,
    WATCH,
    WATCH_CANCEL,
)
from k8sactors.apiserver.reads import Reads
from k8sactors.apiserver.registry import Registry
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.services import ServiceAddresses
from k8sactors.apiserver.store import Store
from k8sactors.apiserver.store_client import open_raft_store
from k8sactors.apiserver.strategy import strategy_of
from k8sactors.apiserver.watching import Watches, unknown_resource

Handler = Callable[[Call], None]
Authorize = Callable[[Call], StatusError | None]
OpenStore = Callable[[Context, APIServerConfig], Store]

# What a malformed object can raise in a handler; the real server recovers from panics likewise.
_MALFORMED = (TypeError, KeyError, AttributeError, IndexError, ValueError)


class APIServer(Actor):
    """An API server. `authorize` returns the refusal (403) of a call, or None."""

    def __init__(
        self,
        config: APIServerConfig,
        *,
        open_store: OpenStore = open_raft_store,
        authorize: Authorize | None = None,
    ) -> None:
        self.config = config
        self.audit = Audit(config.audit_window)
        self.flow = FlowControl(config.max_mutating_in_flight, config.max_readonly_in_flight)
        # Answers by (verb, resource, code).
        self.requests: dict[tuple[str, str, int], int] = {}
        self.internal_errors: list[str] = []
        self._open_store = open_store
        self._authorize = authorize
        self._resources: dict[str, Resource] = {}
        self._started = False

    # life

    def on_start(self) -> None:
        """Open the store, fill the caches."""
        config, context = self.config, self.ctx
        self.store = self._open_store(context, config)
        self.feed = Feed(
            self.store,
            context,
            window=config.event_window,
            backoff_ns=config.relist_backoff_ns,
            timeout_ns=config.freshness_timeout_ns,
        )
        for info in scheme.resources():
            cache = self.feed.add_resource(info.name)
            self._resources[info.name] = Resource(info, strategy_of(info), cache)
        cluster = Cluster(self.feed, config)
        addresses = ServiceAddresses(config, context.random)
        admission = Admission((plugin(cluster) for plugin in PLUGINS), self.feed)
        self.registry = Registry(self.store, context, config, admission, addresses)
        self.reads = Reads(self.store, self.feed)
        self.watches = Watches(self.reads, context, config.bookmark_interval_ns)
        self.compactor = Compactor(self.store, context, config.compaction_interval_ns)
        self.bootstrap = Bootstrap(config, self._serve, context)
        self._handlers = self._routes()
        self.feed.start()
        self.watches.start()
        self.compactor.start()
        self.bootstrap.start()

    def on_stop(self) -> None:
        """Let go of the store."""
        self.feed.close()
        self.store.close()

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """A client is gone, and its watches with it."""
        del reason
        self.watches.drop_connection(connection)

    # messages

    def on_message(self, message: Message) -> None:
        """Serve a request, open or end a watch, tell how we are."""
        kind = message.kind
        if kind == REQUEST:
            self._serve(message, message.payload)
        elif kind == WATCH:
            self._open_watch(message)
        elif kind == WATCH_CANCEL:
            payload = message.payload
            message_id = payload[0] if isinstance(payload, list) else payload
            self.watches.cancel(message.connection, message_id)
        elif kind == HEALTH:
            message.reply(HEALTH_RESPONSE, self.health())

    def health(self) -> tuple[bool, str]:
        """Whether this server can serve, and if not, why."""
        if self.feed.ready:
            return True, "ok"
        return False, f"the watch cache is not in step with the store: {self.feed.last_error}"

    def metrics(self) -> dict[str, Any]:
        """Counters and gauges."""
        return {
            "requests": dict(self.requests),
            "in_flight_mutating": self.flow.mutating,
            "in_flight_readonly": self.flow.readonly,
            "rejected": self.flow.rejected,
            "watches": self.watches.count,
            "watches_opened": self.watches.opened,
            "cache_revision": self.feed.revision,
            "cache_relists": self.feed.relists,
            "cached_objects": sum(len(cache.entries) for cache in self.feed.caches.values()),
            "audit_records": self.audit.count,
            "compacted_revision": self.compactor.compacted_revision,
            "internal_errors": len(self.internal_errors),
        }

    # the chain

    def _serve(self, origin: Origin, payload: list[Any]) -> None:
        resource = self._resources.get(payload[1])
        if resource is None:
            _answer(origin, errors.path_not_found())
            return
        call = Call(origin, payload, resource, self._settle)
        try:
            self.flow.enter(readonly=call.readonly)
        except StatusError as error:
            _answer(origin, error)
            return
        if self._started:
            self._handle(call)
        else:
            self._handle_when_started(call)

    def _handle_when_started(self, call: Call) -> None:
        def started() -> None:
            self._started = True
            self._handle(call)

        def give_up() -> None:
            reason = f"the API server is starting: {self.feed.last_error}"
            call.fail(errors.service_unavailable(reason))

        self.feed.when_reached(0, started, give_up)

    def _handle(self, call: Call) -> None:
        try:
            if self._authorize is not None:
                refusal = self._authorize(call)
                if refusal is not None:
                    raise refusal
            handler = self._find_handler(call)
            handler(call)
        except StatusError as error:
            call.fail(error)
        except _MALFORMED as error:
            text = f"{call.verb} {call.resource.name}: {type(error).__name__}: {error}"
            self.internal_errors.append(text)
            self.ctx.log.exception("request failed", request=text)
            call.fail(errors.internal_error(text))

    def _find_handler(self, call: Call) -> Handler:
        """The handler of a verb on a resource or one of its subresources.

        Raises:
            StatusError: 404 or 405.
        """
        handler = self._handlers.get((call.verb, call.subresource))
        info = call.resource.info
        if info.kind == "Binding":
            # Nothing is ever stored there: it is another way to pods/binding.
            return self._bind_named if call.verb == "create" else _refuse
        if call.subresource and call.subresource not in info.subresources:
            raise errors.path_not_found()
        if handler is None:
            raise errors.method_not_allowed()
        named = call.verb not in {"list", "create", "deletecollection"} or call.subresource
        if named and not call.name:
            raise errors.method_not_allowed()
        if info.namespaced and not call.namespace and call.verb != "list":
            raise errors.path_not_found()
        return handler

    def _bind_named(self, call: Call) -> None:
        binding.bind_named(self.registry, call, self._resources["pods"])

    def _routes(self) -> dict[tuple[str, str], Handler]:
        registry, reads = self.registry, self.reads
        budgets = self.feed.add_resource(eviction.BUDGETS)
        return {
            ("get", ""): reads.get,
            ("list", ""): reads.list_objects,
            ("create", ""): registry.create,
            ("update", ""): registry.update,
            ("patch", ""): registry.patch,
            ("delete", ""): registry.delete,
            ("deletecollection", ""): lambda call: delete_collection(registry, reads, call),
            ("get", "status"): reads.get,
            ("update", "status"): registry.update,
            ("patch", "status"): registry.patch,
            ("create", "binding"): lambda call: binding.bind(registry, call),
            ("create", "eviction"): lambda call: eviction.evict(registry, call, budgets),
            ("update", "finalize"): lambda call: namespaces.finalize(registry, call),
            ("get", "scale"): lambda call: scale.get_scale(registry, call),
            ("update", "scale"): lambda call: scale.set_scale(registry, call),
            ("patch", "scale"): lambda call: scale.set_scale(registry, call),
        }

    def _settle(self, call: Call, code: int, revision: int) -> None:
        """A call was answered."""
        self.flow.leave(readonly=call.readonly)
        key = (call.verb, call.resource.name, code)
        self.requests[key] = self.requests.get(key, 0) + 1
        if not call.readonly:
            self.audit.add(
                AuditRecord(
                    self.ctx.now_ns(),
                    call.user,
                    call.verb,
                    call.resource.name,
                    call.subresource,
                    call.namespace,
                    call.name,
                    code,
                    revision,
                )
            )

    def _open_watch(self, message: Message) -> None:
        name, namespace, options = message.payload
        resource = self._resources.get(name)
        if resource is None:
            unknown_resource(message)
        else:
            self.watches.open(message, resource, namespace or "", options or {})


def _refuse(_call: Call) -> None:
    raise errors.method_not_allowed()


def _answer(origin: Origin, error: StatusError) -> None:
    origin.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))
