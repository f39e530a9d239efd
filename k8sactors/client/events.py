"""EventRecorder: what components tell the user about an object, as client-go's record package.

Best effort: events wait in a bounded queue and are dropped when it is full or the write fails. The
correlator keeps the API server from being flooded: the same event again raises the count of the
first one (a patch); many events that differ only in their message are combined into one; a single
object that never stops is throttled.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from typing import TypeVar

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_time
from k8sactors.client.client import Client, Object
from k8sactors.client.errors import FencedError, UnreachableError, is_not_found
from k8sactors.simulation import SECOND

MAX_QUEUED = 20_000
MAX_IN_FLIGHT = 128
CACHE_SIZE = 4096
# More than this many different messages about one thing within the interval are combined.
MAX_SIMILAR = 10
SIMILAR_INTERVAL_NS = 600 * SECOND
# Each source may send this many events about one object at once, then one per refill time.
SPAM_BURST = 25
SPAM_REFILL_NS = 300 * SECOND
CLOCK_SPREAD_BITS = 20
MAX_TRIES = 12
RETRY_NS = 10 * SECOND

Value = TypeVar("Value")


@attrs.define
class _Similar:
    messages: dict[str, None]
    since_ns: int


@attrs.define
class _Seen:
    count: int
    name: str
    first: str


@attrs.define
class _Bucket:
    tokens: float
    at_ns: int


class _Cache(OrderedDict[Hashable, Value]):
    """A bounded mapping that forgets what was used longest ago."""

    def touch(self, key: Hashable) -> Value | None:
        """The value, which counts as used now."""
        value = self.get(key)
        if value is not None:
            self.move_to_end(key)
        return value

    def store(self, key: Hashable, value: Value) -> None:
        """Keep a value; the one used longest ago makes room."""
        self[key] = value
        if len(self) > CACHE_SIZE:
            self.popitem(last=False)


class EventRecorder:
    """Records events in the name of a component, on `host` if it runs on a node."""

    def __init__(self, client: Client, component: str, host: str = "") -> None:
        self._client = client
        self._ctx = client.ctx
        self._source = {"component": component, "host": host} if host else {"component": component}
        self._component = component
        self._instance = host
        self._similar: _Cache[_Similar] = _Cache()
        self._seen: _Cache[_Seen] = _Cache()
        self._buckets: _Cache[_Bucket] = _Cache()
        self._queue: deque[tuple[str, Object, bool]] = deque()
        # Events that are being sent, by name, and what became of them meanwhile.
        self._under_way: dict[str, Object | None] = {}
        self._last_stamp_ns = 0
        self.recorded = 0
        self.dropped = 0

    def event(self, obj: Object, event_type: str, reason: str, message: str) -> None:
        """Tell that something happened to an object; `event_type` is Normal or Warning."""
        self.recorded += 1
        metadata = obj["metadata"]
        about = (
            obj.get("kind"),
            metadata.get("namespace"),
            metadata["name"],
            metadata.get("uid"),
        )
        if len(self._queue) >= MAX_QUEUED or self._is_spam(about):
            self.dropped += 1
            return
        similar_key = (about, event_type, reason)
        key: Hashable = (similar_key, message)
        if self._is_one_of_many(similar_key, message):
            key = similar_key
            message = "(combined from similar events): " + message
        now = format_time(self._ctx.wall_ns())
        seen = self._seen.touch(key)
        repeated = seen is not None
        if seen is None:
            seen = _Seen(1, f"{metadata['name']}.{self._stamp():x}", now)
            self._seen.store(key, seen)
        else:
            seen.count += 1
        event = self._build(obj, seen, now)
        event["type"] = event_type
        event["reason"] = reason
        event["message"] = message
        self._queue.append((seen.name, event, repeated))
        self._send_more()

    def _stamp(self) -> int:
        # Two components may tell about one object in the same virtual nanosecond: some low bits are
        # the actor's own.
        spread = self._ctx.random.getrandbits(CLOCK_SPREAD_BITS)
        self._last_stamp_ns = max(self._ctx.wall_ns() + spread, self._last_stamp_ns + 1)
        return self._last_stamp_ns

    def _build(self, obj: Object, seen: _Seen, now: str) -> Object:
        metadata = obj["metadata"]
        namespace = metadata.get("namespace")
        involved = {
            "kind": obj.get("kind"),
            "apiVersion": obj.get("apiVersion"),
            "name": metadata["name"],
            "uid": metadata.get("uid"),
            "namespace": namespace,
            "resourceVersion": metadata.get("resourceVersion"),
        }
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": seen.name, "namespace": namespace or "default"},
            "involvedObject": {key: value for key, value in involved.items() if value},
            "source": self._source,
            "firstTimestamp": seen.first,
            "lastTimestamp": now,
            "count": seen.count,
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
        }

    # --- correlation

    def _is_spam(self, about: Hashable) -> bool:
        now_ns = self._ctx.now_ns()
        bucket = self._buckets.touch(about)
        if bucket is None:
            self._buckets.store(about, _Bucket(SPAM_BURST - 1, now_ns))
            return False
        bucket.tokens = min(SPAM_BURST, bucket.tokens + (now_ns - bucket.at_ns) / SPAM_REFILL_NS)
        bucket.at_ns = now_ns
        if bucket.tokens < 1:
            return True
        bucket.tokens -= 1
        return False

    def _is_one_of_many(self, key: Hashable, message: str) -> bool:
        now_ns = self._ctx.now_ns()
        similar = self._similar.touch(key)
        if similar is None or now_ns - similar.since_ns > SIMILAR_INTERVAL_NS:
            self._similar.store(key, _Similar({message: None}, now_ns))
            return False
        similar.since_ns = now_ns
        messages = similar.messages
        messages[message] = None
        if len(messages) < MAX_SIMILAR:
            return False
        messages.pop(next(iter(messages)))
        return True

    # --- sending

    def _send_more(self) -> None:
        while self._queue and len(self._under_way) < MAX_IN_FLIGHT:
            name, event, repeated = self._queue.popleft()
            if name in self._under_way:
                # Its predecessor may not exist yet. Counts add up: the last one says everything.
                self._under_way[name] = event
            else:
                self._send(name, event, repeated=repeated)

    def _send(self, name: str, event: Object, *, repeated: bool) -> None:
        self._under_way[name] = None
        if repeated:
            self._patch(name, event)
        else:
            self._create(event)

    def _create(self, event: Object, tries: int = 1) -> None:
        def failed(error: StatusError) -> None:
            # Trying again is safe: a second one of that name is refused.
            again = isinstance(error, UnreachableError) and not isinstance(error, FencedError)
            if again and tries < MAX_TRIES and not self._client.closed:
                self._ctx.after(RETRY_NS, lambda: self._create(event, tries + 1))
            else:
                self._lost(event)

        self._client.submit(
            "create",
            "events",
            namespace=event["metadata"]["namespace"],
            body=event,
            on_done=lambda _answer: self._sent(event),
            on_error=failed,
            decode=False,
        )

    def _patch(self, name: str, event: Object) -> None:
        def failed(error: StatusError) -> None:
            if is_not_found(error):
                # Events expire on the server; the count continues in a new one.
                self._create(event)
            else:
                self._lost(event)

        self._client.submit(
            "patch",
            "events",
            namespace=event["metadata"]["namespace"],
            name=name,
            body={key: event[key] for key in ("count", "lastTimestamp", "message")},
            options={"patchType": "merge"},
            on_done=lambda _answer: self._sent(event),
            on_error=failed,
            decode=False,
        )

    def _sent(self, event: Object) -> None:
        name = event["metadata"]["name"]
        successor = self._under_way.pop(name)
        if successor is not None:
            self._send(name, successor, repeated=True)
        self._send_more()

    def _lost(self, event: Object) -> None:
        self.dropped += 1
        self._sent(event)
