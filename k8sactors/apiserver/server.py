"""The API server: the one door to the cluster's state.

A reactor: each message is handled at once, and what must wait for the store is a callback. Chain of
a request, as in the real server: authenticate (who asks), flow control (is there room), authorize
(may they), then the handler of verb and subresource: decode, mutate, validate, store, encode. Many
servers may run on one store; they share nothing else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from k8sactors.actors import Actor, Connection, Context, Message
from k8sactors.api import codec, errors
from k8sactors.api.credentials import Credentials
from k8sactors.api.effects import KeyState
from k8sactors.api.errors import AnswerNeededError, LookupNeededError, StatusError, SuspendedError
from k8sactors.api.protocol import (
    ACCESS,
    AUTHENTICATE,
    HEALTH,
    HEALTH_RESPONSE,
    REQUEST,
    REQUEST_USER,
    RESPONSE,
    WATCH,
    WATCH_USER,
)
from k8sactors.api.scheme import Scheme, builtin
from k8sactors.api.streaming import CONNECT, CONNECT_USER
from k8sactors.api.user import UserInfo
from k8sactors.apiextensions.definition import with_definitions
from k8sactors.apiserver import component_statuses
from k8sactors.apiserver.admission import plugins, selected
from k8sactors.apiserver.admission_chain import Admission, Cluster
from k8sactors.apiserver.audit import Audit, AuditRecord
from k8sactors.apiserver.audit_log import AuditLog
from k8sactors.apiserver.audit_policy import STARTED
from k8sactors.apiserver.authentication import Authentication, Known, authenticator_of
from k8sactors.apiserver.authn.lookup import finder
from k8sactors.apiserver.authn.service_account import Tokens
from k8sactors.apiserver.authorization import authorizer_of
from k8sactors.apiserver.authz.attributes import Attributes, of_access, of_request
from k8sactors.apiserver.authz.impersonation import impersonated
from k8sactors.apiserver.bootstrap import Bootstrap
from k8sactors.apiserver.call import Call, Origin, ProxiedOrigin, status_of
from k8sactors.apiserver.compaction import Compactor
from k8sactors.apiserver.component_statuses import ComponentStatuses
from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.connections import Connections
from k8sactors.apiserver.custom_resources import CustomResources
from k8sactors.apiserver.environment import Environment
from k8sactors.apiserver.feed import Feed
from k8sactors.apiserver.freshness import INITIAL_EVENTS
from k8sactors.apiserver.pages import pages
from k8sactors.apiserver.priority_and_fairness.configuration_keeper import ConfigurationKeeper
from k8sactors.apiserver.priority_and_fairness.flow_control import (
    OtherRequest,
    PriorityAndFairness,
    flow_control,
)
from k8sactors.apiserver.reads import Reads
from k8sactors.apiserver.registry import Registry
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.reviews import reviews
from k8sactors.apiserver.routes import Routes
from k8sactors.apiserver.served_resources import ServedResources
from k8sactors.apiserver.store import Store
from k8sactors.apiserver.store_client import open_raft_store
from k8sactors.apiserver.subresource import OK
from k8sactors.apiserver.subresources import subresources
from k8sactors.apiserver.watching import Watches, refuse_watch

Authorize = Callable[[Call], StatusError | None]
OpenStore = Callable[[Context, APIServerConfig], Store]

# The last unexpected errors are kept, for a look into a running server.
INTERNAL_ERRORS_MAX = 100


class _StartingError(SuspendedError):
    """The caches, which decide what a user may do, are not filled yet."""


class APIServer(Actor):
    """An API server. `authorize` returns the refusal (403) of a call, or None.

    `scheme` says what it serves; without one, the built-in kinds.
    """

    def __init__(
        self,
        config: APIServerConfig,
        *,
        open_store: OpenStore = open_raft_store,
        authorize: Authorize | None = None,
        scheme: Scheme | None = None,
    ) -> None:
        self.config = config
        self.scheme = with_definitions(builtin() if scheme is None else scheme.copy())
        self.audit = Audit(config.audit_window)
        self.authentication = Authentication(config.authenticating_proxies, self._identify)
        # Answers by (verb, resource, code).
        self.requests: dict[tuple[str, str, int], int] = {}
        self.internal_errors: deque[str] = deque(maxlen=INTERNAL_ERRORS_MAX)
        self.internal_error_count = 0
        self._open_store = open_store
        self._authorize = authorize
        self._resources: dict[str, Resource] = {}
        self._started = False
        self._audit_log: AuditLog | None = None

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
        self.flow = flow_control(config, self.feed, context, self)
        environment = self._environment = Environment(context, config, self.store)
        self.served = ServedResources(self.scheme, self.feed)
        self._resources = self.served.by_name
        tokens = environment.tokens = Tokens(
            config.service_account_key,
            config.service_account_issuer,
            config.api_audiences,
            context.random,
            environment.wall_ns,
        )
        self.authenticator = authenticator_of(environment, tokens)
        if config.audit is not None:
            self._audit_log = AuditLog(config.audit, context.random, environment.wall_ns)
        self.authorizer = environment.authorizer = authorizer_of(environment, self.feed)
        if self._authorize is None and not self.authorizer.allows_all:
            self._authorize = self.authorizer.check
        cluster = Cluster(self.feed, environment, self.store, self.scheme)
        chosen = selected(
            plugins(), config.enable_admission_plugins, config.disable_admission_plugins
        )
        admission = Admission((plugin(cluster) for plugin in chosen), self.feed)
        self.registry = Registry(self.store, environment, admission, cluster, self._unexpected)
        self.reads = Reads(self.store, self.feed)
        self.watches = Watches(self.reads, context, config)
        self.connections = Connections(context, self.registry, self._note)
        self.compactor = Compactor(self.store, context, config.compaction_interval_ns)
        flow = self.flow if isinstance(self.flow, PriorityAndFairness) else None
        keeper = ConfigurationKeeper(self.feed, self._serve, context, environment.wall_ns)
        self.bootstrap = Bootstrap(config, self._serve, context, keeper.start if flow else None)
        self._pages = pages(
            self.metrics,
            tokens,
            config.advertise_address,
            flow,
            lambda: environment.wall_ns() - environment.now_ns(),
            config.feature_gates,
        )
        asked = reviews(self.registry, self.feed, self.authenticator, self.authorizer)
        made = {component_statuses.RESOURCE: ComponentStatuses(environment).handlers()}
        self._routes = Routes(self.registry, self.reads, subresources(), asked, made)
        self.served.route(self._routes)
        self.custom_resources = CustomResources(self.served, self.feed, environment, self._serve)
        self.feed.start()
        self.watches.start()
        self.compactor.start()
        self.bootstrap.start()

    def on_stop(self) -> None:
        """Let go of the store."""
        self.feed.close()
        self.store.close()

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """A client is gone; its watches end with their streams."""
        del reason
        self.authentication.forget(connection)

    # messages

    def on_message(self, message: Message) -> None:
        """Serve a request, open a watch, tell how we are."""
        kind = message.kind
        if kind == REQUEST:
            self._receive(message)
        elif kind == WATCH:
            self._open_watch(message)
        elif kind == CONNECT:
            self._connect(message)
        elif kind == AUTHENTICATE:
            if message.connection is not None:
                self.authentication.present(message.connection, message.payload)
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
            "in_flight_mutating": self.flow.in_flight(readonly=False),
            "in_flight_readonly": self.flow.in_flight(readonly=True),
            "rejected": self.flow.rejected,
            "watches": self.watches.count,
            "watches_opened": self.watches.opened,
            "watches_too_slow": self.watches.too_slow,
            "watch_events_waiting": self.watches.waiting_events,
            "cache_revision": self.feed.revision,
            "cache_relists": self.feed.relists,
            "cached_objects": sum(len(cache.entries) for cache in self.feed.caches.values()),
            "audit_records": self.audit.count,
            "compacted_revision": self.compactor.compacted_revision,
            "internal_errors": self.internal_error_count,
        }

    # the chain

    def _receive(self, message: Message, known: Known | None = None) -> None:
        payload = message.payload
        origin: Origin = message
        if len(payload) > REQUEST_USER:
            origin = ProxiedOrigin(message)
        try:
            user = self.authentication.user_of(message.connection, payload, REQUEST_USER, known)
        except StatusError as error:
            _answer(origin, error)
            return
        except SuspendedError as needed:
            self._fetch(needed, known, partial(self._receive, message), partial(_answer, origin))
            return
        self._serve(origin, payload, user)

    def _identify(self, fields: dict[str, Any], known: Known | None) -> UserInfo:
        """The user by the credentials that an authenticating proxy passes on."""
        self._wait_for_start()
        credentials = Credentials.from_wire(fields)

        def lookup(key: bytes) -> KeyState | None:
            if known is None or key not in known:
                raise LookupNeededError(key)
            return known[key]

        user = self.authenticator.identify(credentials, finder(self.feed, lookup))
        wanted = credentials.impersonation
        return user if wanted is None else impersonated(user, wanted, self.authorizer)

    def _wait_for_start(self) -> None:
        """Come back when the caches are filled.

        Raises:
            _StartingError: they are not.
        """
        if not self.feed.ready and not self._started:
            raise _StartingError

    def _fetch(
        self,
        needed: SuspendedError,
        known: Known | None,
        again: Callable[[Known], None],
        refuse: Callable[[StatusError], None],
    ) -> None:
        """Get what is needed in order to know a user, then try again."""
        if isinstance(needed, LookupNeededError):
            key = needed.key
            self.store.read(
                key,
                lambda state, _revision: again({**(known or {}), key: state}),
                lambda error: refuse(status_of(error)),
            )
            return
        if isinstance(needed, AnswerNeededError):
            needed.begin(lambda: again(known or {}))
            return
        assert isinstance(needed, _StartingError)

        def give_up() -> None:
            refuse(errors.service_unavailable(self._starting))

        self.feed.when_reached(0, lambda: again(known or {}), give_up)

    @property
    def _starting(self) -> str:
        return f"the API server is starting: {self.feed.last_error}"

    def _check_access(self, origin: Origin, payload: list[Any], user: UserInfo) -> None:
        """Answer whether a request that the front door serves itself, or nothing, is allowed."""
        show, refuse = partial(self._show_page, origin), partial(_answer, origin)
        request = OtherRequest(of_access(user, payload), show, refuse, origin)
        try:
            admitted = self.flow.enter_other(request)
        except StatusError as error:
            _answer(origin, error)
            return
        if admitted:
            request.run()

    def _show_page(self, origin: Origin, request: OtherRequest) -> None:
        self.flow.leave_other(request)
        self._answer_page(origin, request.attributes)

    def _answer_page(self, origin: Origin, asked: Attributes) -> None:
        try:
            refusal = self.authorizer.refusal(asked)
        except AnswerNeededError as needed:
            needed.begin(partial(self._answer_page, origin, asked))
            return
        if refusal is not None:
            _answer(origin, refusal)
        else:
            page = self._pages.get(asked.path)
            origin.reply(RESPONSE, (OK, 0, None if page is None else page()))

    def _serve(self, origin: Origin, payload: list[Any], user: UserInfo) -> None:
        resource = self._resources.get(payload[1])
        if resource is None:
            if payload[0] == ACCESS:
                self._check_access(origin, payload, user)
            else:
                _answer(origin, errors.path_not_found())
            return
        call = Call(origin, payload, resource, user, self._environment, self._settle)
        try:
            admitted = self.flow.enter(call)
        except StatusError as error:
            call.refuse(error)
            return
        if admitted:
            self._handle(call)

    def _handle(self, call: Call) -> None:
        if self._started:
            self.registry.run(call, self._dispatch, call)
        else:
            self._handle_when_started(call)

    def resume(self, request: Call | OtherRequest) -> None:
        """Serve a request that has waited for its turn."""
        if isinstance(request, OtherRequest):
            request.run()
        else:
            self._handle(request)

    def reject(self, request: Call | OtherRequest, error: StatusError) -> None:
        """Answer a request that has waited in vain."""
        request.refuse(error)

    def _handle_when_started(self, call: Call) -> None:
        def started() -> None:
            self._started = True
            self.registry.run(call, self._dispatch, call)

        def give_up() -> None:
            call.fail(errors.service_unavailable(self._starting))

        self.feed.when_reached(0, started, give_up)

    def _dispatch(self, call: Call) -> None:
        if self._authorize is not None:
            refusal = self._authorize(call)
            if refusal is not None:
                raise refusal
        self._routes.find(call)(call)

    def _unexpected(self, call: Call, error: Exception) -> None:
        """A mistake of ours: the client gets 500, and it is seen (docs/decisions/0013)."""
        text = f"{call.verb} {call.resource.name}: {type(error).__name__}: {error}"
        self.internal_error_count += 1
        self.internal_errors.append(text)
        self.ctx.log.error("request failed", request=text, exc_info=error)
        call.fail(
            errors.internal_error(
                "this request caused an unexpected error. Look in the logs for details."
            )
        )
        if self.config.crash_on_internal_error:
            raise error

    def _settle(self, call: Call, code: int, revision: int) -> None:
        """A call was answered."""
        self.flow.leave(call)
        self._note(call, code, revision)

    def _note(self, call: Call, code: int, revision: int) -> None:
        if self._audit_log is not None:
            self._audit_log.add(call, code)
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
                    call.audit_annotations,
                )
            )

    def _audit_watch(self, message: Message, resource: Resource, user: UserInfo) -> None:
        name, namespace, options = message.payload[:WATCH_USER]
        asked = ["watch", name, namespace, None, None, None, options]
        call = Call(message, asked, resource, user, self._environment, self._settle)
        assert self._audit_log is not None
        self._audit_log.add(call, OK, STARTED)

    def _connect(self, message: Message, known: Known | None = None) -> None:
        payload = message.payload
        resource = self._resources.get(payload[1])
        user: UserInfo | StatusError
        try:
            user = self.authentication.user_of(message.connection, payload, CONNECT_USER, known)
            if self._authorize is not None:
                self._wait_for_start()
        except StatusError as error:
            user = error
        except SuspendedError as needed:

            def refuse(error: StatusError) -> None:
                self.connections.open(message, resource, error, self._authorize)

            self._fetch(needed, known, partial(self._connect, message), refuse)
            return
        self.connections.open(message, resource, user, self._authorize)

    def _open_watch(self, message: Message, known: Known | None = None) -> None:
        payload = message.payload
        refuse = partial(refuse_watch, message)
        try:
            user = self.authentication.user_of(message.connection, payload, WATCH_USER, known)
            name, namespace, options = payload[:WATCH_USER]
            resource = self._resources.get(name)
            if resource is None:
                raise errors.path_not_found()
            if self._authorize is not None:
                self._wait_for_start()
            attributes = of_request(
                user, "watch", resource.info, namespace or "", "", "", options or {}
            )
            request = OtherRequest(
                attributes, partial(self._begin_watch, message, resource), refuse
            )
            begins_with_all = (options or {}).get(INITIAL_EVENTS) and not attributes.name
            objects = len(resource.cache.entries) if begins_with_all else 0
            if self.flow.enter_other(request, objects):
                request.run()
        except StatusError as error:
            refuse(error)
            return
        except SuspendedError as needed:
            self._fetch(needed, known, partial(self._open_watch, message), refuse)
            return

    def _begin_watch(self, message: Message, resource: Resource, request: OtherRequest) -> None:
        """Open a watch whose turn it is; as soon as it is open, it takes part no longer."""
        name, namespace, options = message.payload[:WATCH_USER]
        user = request.attributes.user
        waits = False
        try:
            if self._authorize is not None:
                asked = ["watch", name, namespace, None, None, None, options]
                call = Call(message, asked, resource, user, self._environment, self._settle)
                refusal = self._authorize(call)
                if refusal is not None:
                    refuse_watch(message, refusal)
                    return
            if self._audit_log is not None:
                self._audit_watch(message, resource, user)
            options = options or {}
            if options.get("acknowledge") and request.flow_uids is not None:
                options = {**options, "acknowledge": request.flow_uids}
            self.watches.open(message, resource, namespace or "", options)
        except AnswerNeededError as needed:
            waits = True
            needed.begin(partial(self._begin_watch, message, resource, request))
        finally:
            if not waits:
                self.flow.leave_other(request)


def _answer(origin: Origin, error: StatusError) -> None:
    origin.reply(RESPONSE, (error.code, 0, codec.encode_value(error.status())))
