"""Leader election on a Lease object, as client-go's leaderelection package does it.

Candidates try to write themselves into the Lease. One that sees another holder waits until the
Lease has not changed for the holder's lease duration *by its own clock*: wall clocks of different
hosts are never compared. The leader renews every retry period and gives up when it could not for
the renew deadline, which is shorter than the lease duration, so that it has stopped before
another may start. `may_act` is the fence for everything that the leader writes: it looks at the
host's clock, so that a leader that was frozen past its deadline cannot act in the instant before it
learns that it lost.
"""

from __future__ import annotations

from collections.abc import Callable

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import format_micro_time
from k8sactors.client.client import Client, Object
from k8sactors.client.errors import UnreachableError, is_not_found
from k8sactors.simulation import SECOND, Timer

JITTER_FACTOR = 1.2

# Renewals and looks at the Lease may be this late, so that many fall into one instant.
RETRY_SLACK_NS = SECOND
LEASES = "leases.coordination.k8s.io"


def _ignore_leader(_: str) -> None:
    """The default for `on_new_leader`."""


class LeaderElector:
    """Campaigns for a Lease, over and over, between `start` and `stop`.

    `on_started_leading` and `on_stopped_leading` run in the actor's turn; each start is followed by
    exactly one stop. `client` must not be fenced by this elector, or none could ever become
    leader.
    """

    def __init__(
        self,
        client: Client,
        *,
        lease_name: str,
        identity: str,
        on_started_leading: Callable[[], None],
        on_stopped_leading: Callable[[], None],
        on_new_leader: Callable[[str], None] = _ignore_leader,
        lease_namespace: str = "kube-system",
        lease_duration_ns: int = 15 * SECOND,
        renew_deadline_ns: int = 10 * SECOND,
        retry_period_ns: int = 2 * SECOND,
    ) -> None:
        assert lease_duration_ns > renew_deadline_ns > int(JITTER_FACTOR * retry_period_ns) > 0
        self._client = client
        self._ctx = client.ctx
        self._namespace = lease_namespace
        self._name = lease_name
        self.identity = identity
        self._on_started = on_started_leading
        self._on_stopped = on_stopped_leading
        self._on_new_leader = on_new_leader
        self._lease_duration_ns = lease_duration_ns
        self._renew_deadline_ns = renew_deadline_ns
        self._retry_period_ns = retry_period_ns
        self._running = False
        self._attempt = 0
        self._timer: Timer | None = None
        self._lease: Object | None = None
        self._observed_at_ns = 0
        self._renewed_at_ns = 0
        self._reported_leader = ""
        self.is_leader = False

    @property
    def leader(self) -> str:
        """Identity in the Lease as last seen; empty when it is free."""
        return (self._lease or {}).get("spec", {}).get("holderIdentity") or ""

    def may_act(self) -> bool:
        """Whether this is the leader, and its deadline has not passed by the host's clock."""
        return self.is_leader and self._ctx.now_ns() - self._renewed_at_ns < self._renew_deadline_ns

    def start(self) -> None:
        """Campaign."""
        if not self._running:
            self._running = True
            self._try()

    def stop(self, *, release: bool = True) -> None:
        """Stop leading or campaigning; a released Lease can be taken by others at once."""
        if not self._running:
            return
        self._running = False
        self._attempt += 1
        if self._timer is not None:
            self._timer.cancel()
        was_leader = self.is_leader
        self._lose()
        if was_leader and release:
            self._release()

    # --- one attempt: read the Lease, decide, write it

    def _try(self) -> None:
        self._attempt += 1
        attempt = self._attempt
        if self.is_leader:
            left_ns = self._renewed_at_ns + self._renew_deadline_ns - self._ctx.now_ns()
            if left_ns <= 0:
                self._lose()
            elif left_ns < self._retry_period_ns:
                # Do not sleep past the deadline, whatever this attempt is waiting for.
                self._ctx.after(left_ns, lambda: self._deadline(attempt))
        if self.is_leader and self._lease is not None:
            # The leader knows the Lease: it renews without reading first.
            self._read(attempt, self._lease)
        else:
            self._get(attempt)

    def _get(self, attempt: int) -> None:
        self._client.submit(
            "get",
            LEASES,
            namespace=self._namespace,
            name=self._name,
            on_done=lambda lease: self._read(attempt, lease),
            on_error=lambda error: self._read_failed(attempt, error),
            timeout_ns=self._request_timeout_ns(),
        )

    def _request_timeout_ns(self) -> int:
        if not self.is_leader:
            return self._renew_deadline_ns // 2
        left_ns = self._renewed_at_ns + self._renew_deadline_ns - self._ctx.now_ns()
        return max(1, min(self._renew_deadline_ns // 2, left_ns))

    def _deadline(self, attempt: int) -> None:
        if attempt == self._attempt and self.is_leader and not self.may_act():
            self._failed(attempt)

    def _read(self, attempt: int, lease: Object) -> None:
        if attempt != self._attempt:
            return
        self._observe(lease)
        spec = lease.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder and holder != self.identity and not self._lease_ran_out(spec):
            self._failed(attempt)
            return
        now = format_micro_time(self._ctx.wall_ns())
        transitions = spec.get("leaseTransitions") or 0
        if holder == self.identity:
            acquired = spec.get("acquireTime") or now
        else:
            acquired = now
            transitions += 1
        body = {**lease, "spec": {**spec, **self._claim(acquired, now, transitions)}}
        self._write(attempt, "update", body)

    def _read_failed(self, attempt: int, error: StatusError) -> None:
        if attempt != self._attempt:
            return
        if not is_not_found(error):
            self._failed(attempt)
            return
        now = format_micro_time(self._ctx.wall_ns())
        body = {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._name, "namespace": self._namespace},
            "spec": self._claim(now, now, 0),
        }
        self._write(attempt, "create", body)

    def _write(self, attempt: int, verb: str, body: Object) -> None:
        # The lease counts from before the write left, so that a slow answer never stretches it.
        asked_at_ns = self._ctx.now_ns()
        self._client.submit(
            verb,
            LEASES,
            namespace=self._namespace,
            name=None if verb == "create" else self._name,
            body=body,
            on_done=lambda lease: self._held(attempt, lease, asked_at_ns),
            on_error=lambda error: self._write_failed(attempt, error),
            timeout_ns=self._request_timeout_ns(),
        )

    def _held(self, attempt: int, lease: Object, asked_at_ns: int) -> None:
        if attempt != self._attempt:
            return
        self._observe(lease)
        self._renewed_at_ns = asked_at_ns
        self._again(self._retry_period_ns, RETRY_SLACK_NS)
        if not self.is_leader:
            self.is_leader = True
            self._on_started()

    def _write_failed(self, attempt: int, error: StatusError) -> None:
        if attempt != self._attempt:
            return
        known, self._lease = self._lease, None
        if self.is_leader and known is not None and not isinstance(error, UnreachableError):
            # The Lease was changed, or removed it: look again at once.
            self._get(attempt)
        else:
            self._failed(attempt)

    def _failed(self, attempt: int) -> None:
        if attempt != self._attempt:
            return
        if self.is_leader and not self.may_act():
            self._lose()
        if not self._running:
            return
        delay_ns = self._retry_period_ns
        slack_ns = RETRY_SLACK_NS
        if self.is_leader:
            slack_ns = 0
            left_ns = self._renewed_at_ns + self._renew_deadline_ns - self._ctx.now_ns()
            delay_ns = max(0, min(delay_ns, left_ns))
        else:
            # Candidates spread out, so that they do not collide again.
            delay_ns += int(delay_ns * JITTER_FACTOR * self._ctx.random.random())
        self._again(delay_ns, slack_ns)

    def _again(self, delay_ns: int, slack_ns: int) -> None:
        self._attempt += 1
        self._timer = self._ctx.after(delay_ns, self._try, slack_ns=slack_ns)

    # --- what is known of the Lease

    def _claim(self, acquired: str, renewed: str, transitions: int) -> Object:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._lease_duration_ns // SECOND,
            "acquireTime": acquired,
            "renewTime": renewed,
            "leaseTransitions": transitions,
        }

    def _observe(self, lease: Object) -> None:
        old_spec = self._lease.get("spec") if self._lease else None
        if self._lease is None or old_spec != lease.get("spec"):
            self._observed_at_ns = self._ctx.now_ns()
        self._lease = lease
        if self.leader and self.leader != self._reported_leader:
            self._reported_leader = self.leader
            self._on_new_leader(self.leader)

    def _lease_ran_out(self, spec: Object) -> bool:
        duration_ns = (spec.get("leaseDurationSeconds") or 0) * SECOND
        return self._observed_at_ns + duration_ns <= self._ctx.now_ns()

    def _lose(self) -> None:
        if self.is_leader:
            self.is_leader = False
            self._on_stopped()

    def _release(self) -> None:
        lease = self._lease
        if lease is None or self.leader != self.identity:
            return
        now = format_micro_time(self._ctx.wall_ns())
        transitions = lease["spec"].get("leaseTransitions") or 0
        # A free Lease names no holder: the server refuses an empty name.
        spec = {**self._claim(now, now, transitions), "leaseDurationSeconds": 1}
        del spec["holderIdentity"]
        # Best effort: if it does not arrive, the Lease runs out by itself.
        self._client.submit(
            "update",
            LEASES,
            namespace=self._namespace,
            name=self._name,
            body={**lease, "spec": spec},
            on_done=self._released,
            on_error=self._release_failed,
        )

    def _released(self, lease: Object) -> None:
        self._observe(lease)

    def _release_failed(self, _error: StatusError) -> None:
        self._lease = None
