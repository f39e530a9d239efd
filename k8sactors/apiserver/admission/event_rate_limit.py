"""EventRateLimit: the events of one server, namespace, user or source do not flood the store.

Source: documentation of admission controllers, "EventRateLimit". Each limit is a bucket of tokens:
`burst` of them fit in, `qps` come each second, and an event takes one.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.simulation import SECOND

Object = dict[str, Any]

CACHE_SIZE: Final = 4096


class EventRateLimit(Plugin):
    """Refuses events beyond the limits of its configuration."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 170
    resources: ClassVar[tuple[str, ...] | None] = ("events", "events.events.k8s.io")
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._limits = [_Limit(limit) for limit in self.configuration().get("limits") or ()]

    def validate(self, attributes: Attributes) -> None:
        """429 when a bucket is empty."""
        if attributes.dry_run:
            return
        now_ns = self.cluster.environment.now_ns()
        refused = [limit.kind for limit in self._limits if not limit.take(attributes, now_ns)]
        if refused:
            raise errors.too_many_requests("limit reached on type " + " and ".join(refused))


class _Limit:
    """One limit: its buckets by namespace, user, source, or one for all."""

    def __init__(self, settings: Object) -> None:
        self.kind = settings.get("type", "Server")
        self._rate = settings.get("qps", 1)
        self._burst = settings.get("burst", 1)
        self._size = settings.get("cacheSize") or CACHE_SIZE
        # Tokens left, and when they were counted.
        self._buckets: dict[str, tuple[float, int]] = {}

    def take(self, attributes: Attributes, now_ns: int) -> bool:
        key = self._key(attributes)
        tokens, counted_ns = self._buckets.pop(key, (float(self._burst), now_ns))
        tokens = min(self._burst, tokens + (now_ns - counted_ns) * self._rate / SECOND)
        taken = bool(tokens >= 1)
        self._buckets[key] = (tokens - 1 if taken else tokens, now_ns)
        if len(self._buckets) > self._size:
            del self._buckets[next(iter(self._buckets))]
        return taken

    def _key(self, attributes: Attributes) -> str:
        event = attributes.obj or {}
        if self.kind == "Namespace":
            return attributes.namespace
        if self.kind == "User":
            return str(attributes.user.name)
        if self.kind == "SourceAndObject":
            source = event.get("source") or {}
            subject = event.get("involvedObject") or event.get("regarding") or {}
            fields = ("kind", "namespace", "name", "uid", "apiVersion")
            return "".join(
                [
                    source.get("component") or event.get("reportingController") or "",
                    source.get("host") or "",
                    *(subject.get(field) or "" for field in fields),
                ]
            )
        return ""
