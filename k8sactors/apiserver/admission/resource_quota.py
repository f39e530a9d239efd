"""ResourceQuota: what a namespace uses stays within its quotas.

Source: documentation of resource quotas, and of admission controllers, "ResourceQuota". The real
server writes the new usage first and the object afterwards. Here both go into one transaction that
demands the quota as it was read: whatever is counted exists, and creates that race through several
servers cannot overdraw a quota. The writes of one server to a namespace with a quota wait for each
other, so that they do not fail at each other's charge. The usage goes down again when the quota
controller counts.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Final, NamedTuple

from k8sactors.api import codec, errors
from k8sactors.api import quota as quotas
from k8sactors.api.effects import Guard, KeyState, Write
from k8sactors.api.errors import StatusError
from k8sactors.api.quota import CLAIMS, PODS, SERVICES, Amounts
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.store import Committed

Object = dict[str, Any]

QUOTAS: Final = "resourcequotas"
# The real server's: how often a charge is computed again after another server was faster.
TRIES_MAX: Final = 16
# Updates of these can raise what they use.
_UPDATED: Final = {(PODS, "resize"), (SERVICES, ""), (CLAIMS, "")}


class Charge(NamedTuple):
    """What a write uses up of the quotas of its namespace."""

    call: Call
    resource: str
    obj: Object
    added: Amounts


class ResourceQuota(Plugin):
    """Charges creates, and updates that use up more than before."""

    order: ClassVar[int] = 360
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    subresources: ClassVar[tuple[str, ...] | None] = ("", "resize")
    gates: ClassVar[tuple[str, ...]] = (QUOTAS,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._cache = cluster.cache(QUOTAS)
        self._quotas = cluster.objects(QUOTAS)
        self._ledgers: dict[str, _Ledger] = {}

    def concerns(self, resource: str, subresource: str, operation: Operation) -> bool:
        """New objects of all kinds, and updates of the few whose usage can rise."""
        if not super().concerns(resource, subresource, operation):
            return False
        if operation == "UPDATE":
            return (resource, subresource) in _UPDATED
        return not subresource

    def validate(self, attributes: Attributes) -> None:
        """403 when a quota does not suffice; what passes is charged when it is stored."""
        namespace = attributes.namespace
        if namespace not in self._cache.namespaces:
            return
        obj = attributes.obj
        assert obj is not None
        resource = attributes.resource
        wall_ns = self.cluster.environment.wall_ns()
        added = quotas.usage(resource, obj, wall_ns)
        negative = sorted(name for name, amount in added.items() if amount.value < 0)
        if negative:
            text = f"quota usage is negative for resource(s): {','.join(negative)}"
            raise errors.forbidden(attributes.info, attributes.name, text)
        if attributes.old is not None:
            added = quotas.subtract(added, quotas.usage(resource, attributes.old, wall_ns))
        added = {name: amount for name, amount in added.items() if amount.value}
        charge = Charge(attributes.call, resource, obj, added)
        concerned = False
        for quota in self._quotas.of(namespace):
            if _charged(quota, charge) is not None:
                concerned = True
        attributes.call.commit = None
        if concerned and not attributes.dry_run:
            ledger = self._ledgers.get(namespace)
            if ledger is None:
                ledger = self._ledgers[namespace] = _Ledger(self.cluster, namespace)
            attributes.call.commit = ledger.commit_of(charge)


def _charged(quota: Object, charge: Charge) -> Object | None:
    """The quota with what the write adds; None: it is not concerned.

    Raises:
        StatusError: 403, it does not suffice.
    """
    hard = quotas.hard_limits(quota)
    names = quotas.tracked(charge.resource, hard)
    if not names or not quotas.matches(quota, charge.resource, charge.obj):
        return None
    name, used = quota["metadata"]["name"], quotas.used_amounts(quota)
    missing = quotas.unspecified(charge.resource, names, charge.obj)
    problem = ""
    if missing:
        problem = f"failed quota: {name}: must specify {missing}"
    elif not all(each in used for each in names):
        problem = f"status unknown for quota: {name}, resources: {','.join(sorted(names))}"
    if problem:
        raise errors.forbidden(charge.call.resource.info, charge.call.name, problem)
    asked = {each: charge.added[each] for each in names if each in charge.added}
    if not asked:
        return None
    total = quotas.add(used, asked)
    over = [
        each for each in asked if asked[each].value > 0 and total[each].value > hard[each].value
    ]
    if over:
        shown = [
            quotas.describe({each: amounts[each] for each in over})
            for amounts in (asked, used, hard)
        ]
        text = (
            f"exceeded quota: {name}, requested: {shown[0]}, used: {shown[1]}, limited: {shown[2]}"
        )
        raise errors.forbidden(charge.call.resource.info, charge.call.name, text)
    return {**quota, "status": {**quota["status"], "used": quotas.texts(total)}}


class _Commit(NamedTuple):
    """A transaction that waits for its turn, with the arguments of `Store.commit`."""

    charge: Charge
    guards: Sequence[Guard]
    writes: Sequence[Write]
    reads: Sequence[bytes]
    on_done: Callable[[Committed], None]
    on_error: Callable[[StoreError], None]


class _Ledger:
    """The charges of one namespace, one after the other."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._waiting: deque[_Commit] = deque()
        self._busy = False
        # Newer states than the cache may have: what this server has written or read itself.
        self._known: dict[bytes, KeyState | None] = {}

    def commit_of(self, charge: Charge) -> Callable[..., None]:
        """What commits a write that is charged."""

        def commit(
            guards: Sequence[Guard],
            writes: Sequence[Write],
            reads: Sequence[bytes],
            on_done: Callable[[Committed], None],
            on_error: Callable[[StoreError], None],
        ) -> None:
            self._waiting.append(_Commit(charge, guards, writes, reads, on_done, on_error))
            if not self._busy:
                self._next()

        return commit

    def _next(self) -> None:
        # A refusal is answered at once: the loop takes the place of a recursion over all of them.
        while self._waiting and not self._busy:
            self._busy = True
            self._try(self._waiting.popleft(), 1)

    def _done(self) -> None:
        self._busy = False
        self._next()

    def _states(self) -> list[KeyState]:
        """The quotas of the namespace in their newest known states."""
        cached = {state.key: state for state in self._cluster.stored(QUOTAS, self._namespace)}
        for key, state in list(self._known.items()):
            seen = cached.get(key)
            if state is None or (seen is not None and seen.mod_revision >= state.mod_revision):
                # Gone, until the cache shows it again; or the cache has caught up.
                del self._known[key]
                if state is None and seen is not None:
                    del cached[key]
            else:
                cached[key] = state
        return [cached[key] for key in sorted(cached)]

    def _try(self, commit: _Commit, attempt: int) -> None:
        charge = commit.charge
        changed: list[tuple[KeyState, bytes]] = []
        try:
            for state in self._states():
                new = _charged(codec.decode(state.value, 0), charge)
                if new is not None:
                    changed.append((state, codec.encode(new)))
        except StatusError as error:
            self._busy = False
            charge.call.fail(error)
            return
        own_guards = [Guard(state.key, state.mod_revision) for state, _ in changed]
        own_writes = [Write(state.key, data, state.lease) for state, data in changed]
        count = len(commit.reads)

        def done(committed: Committed) -> None:
            found = list(committed.found)
            if committed.succeeded:
                for state, data in changed:
                    written = KeyState(state.key, data, committed.revision, state.lease)
                    self._known[state.key] = written
            elif self._note(changed, found[count:]) and attempt < TRIES_MAX:
                self._try(commit, attempt + 1)
                self._next()
                return
            elif self._lost(changed, found[count:]):
                charge.call.fail(
                    errors.conflict(QUOTAS, changed[0][0].key.decode().rpartition("/")[2])
                )
                self._done()
                return
            commit.on_done(committed._replace(found=found[:count]))
            self._done()

        def failed(error: StoreError) -> None:
            # The outcome may be unknown: what is in the cache by then counts.
            self._known.clear()
            commit.on_error(error)
            self._done()

        self._cluster.store.commit(
            (*commit.guards, *own_guards),
            (*commit.writes, *own_writes),
            (*commit.reads, *(state.key for state, _ in changed)),
            done,
            failed,
        )

    def _note(self, changed: list[tuple[KeyState, bytes]], found: list[KeyState | None]) -> bool:
        """Remember the quotas as they are; whether one has changed under the charge."""
        moved = self._lost(changed, found)
        for (state, _), now in zip(changed, found, strict=True):
            self._known[state.key] = now
        return moved

    @staticmethod
    def _lost(changed: list[tuple[KeyState, bytes]], found: list[KeyState | None]) -> bool:
        return any(
            now is None or now.mod_revision != state.mod_revision
            for (state, _), now in zip(changed, found, strict=True)
        )
