"""What a kind does beyond the generic rules when its objects are written: the base class.

As in the real registry, each kind has a strategy: a few switches, pure hooks that prepare an object
(prepare_for_create, prepare_for_update, prepare_for_status_update, grace_period, ...), and hooks
with effects (begin_create, begin_update, after_delete), which may add guards, writes and a lease to
the transaction that stores the object. Strategies may set fields at the top of `new` and in its
metadata: the registry hands them copies of these two levels. Everything below is shared and must be
replaced, not changed.

A hook that must know what the store holds under a key, or needs a lease, asks its request; the
server then fetches it and calls the hook again (`LookupNeededError`, `LeaseNeededError`).
"""

from __future__ import annotations

from typing import Any, ClassVar, Protocol

from k8sactors.api.effects import Deletion, Effects, KeyState
from k8sactors.api.errors import ResourceName
from k8sactors.api.user import UserInfo

Object = dict[str, Any]

BACKGROUND = "Background"
FOREGROUND = "Foreground"
ORPHAN = "Orphan"

# Fields of metadata in which equal objects differ: `Strategy.signature` leaves them out.
INDIVIDUAL_METADATA = frozenset(
    {
        "name",
        "generateName",
        "namespace",
        "uid",
        "creationTimestamp",
        "resourceVersion",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "selfLink",
        "managedFields",
    }
)


class Settings(Protocol):
    """The configuration of the server, as far as strategies depend on it."""

    @property
    def service_cidr(self) -> str:
        """The range of cluster IPs."""

    @property
    def node_ports(self) -> tuple[int, int]:
        """The first and the last node port."""

    @property
    def event_ttl_seconds(self) -> int:
        """How long an Event is kept."""


class Environment(Protocol):
    """What a server offers to the hooks of all its requests."""

    @property
    def random(self) -> Any:
        """The server's random stream."""

    @property
    def settings(self) -> Settings:
        """The server's configuration."""

    def wall_ns(self) -> int:
        """Unix-epoch nanoseconds."""

    def now(self) -> str:
        """The time as metadata carries it."""


class Request(Protocol):
    """The request in which a hook is called."""

    @property
    def namespace(self) -> str:
        """The namespace in the path; "" for a cluster-scoped object."""

    @property
    def name(self) -> str:
        """The name of the object."""

    @property
    def user(self) -> UserInfo:
        """Who asks."""

    @property
    def dry_run(self) -> bool:
        """Whether everything happens but the write."""

    @property
    def environment(self) -> Environment:
        """The server's random stream, configuration and time."""

    def found(self, key: bytes) -> KeyState | None:
        """What this request has read under `key`; None: no value, or not read yet."""

    def lookup(self, key: bytes, wait_ns: int = 0) -> KeyState | None:
        """What the store holds under `key`; waits up to `wait_ns` for it to appear.

        Raises:
            LookupNeededError: not read yet; the server reads it and calls the hook again.
        """

    def lease(self, ttl_seconds: int) -> int:
        """A lease of the store that lives at least `ttl_seconds`.

        Raises:
            LeaseNeededError: none at hand; the server gets one and calls the hook again.
        """


class KindFacts(ResourceName, Protocol):
    """What a strategy needs to know of its kind; `kind.ResourceInfo` is one."""

    @property
    def initial_status(self) -> Object | None:
        """The status of a new object before any controller has seen it; None: no status."""


class Strategy:
    """The behaviour of an ordinary kind."""

    # Whether status is reset on create and kept on update (the kind has a status subresource).
    has_status: ClassVar[bool] = False
    # Whether metadata.generation counts changes of the specification.
    has_generation: ClassVar[bool] = False
    # PUT without resourceVersion replaces whatever is there.
    unconditional_update: ClassVar[bool] = True
    # PUT of a missing object creates it.
    create_on_update: ClassVar[bool] = False
    # DELETE answers with the object, not with a Status.
    returns_deleted: ClassVar[bool] = False
    default_propagation: ClassVar[str] = BACKGROUND
    # A status update leaves labels alone.
    status_keeps_labels: ClassVar[bool] = False

    def __init__(self, info: KindFacts) -> None:
        self.info = info

    # create

    def signature(self, obj: Object) -> bytes | None:
        """Bytes that are equal for new objects which come out equal; None: not remembered.

        For kinds that are created by the thousand: what defaults, admission and validation made of
        one object then holds for all with its signature.
        """
        del obj
        return None

    def prepare_for_create(self, obj: Object, now: str) -> None:
        """Set what a new object must have. `now` is the time as metadata carries it."""
        del now
        if self.has_status:
            obj.pop("status", None)
            status = self.info.initial_status
            if status is not None:
                obj["status"] = status
        if self.has_generation:
            obj["metadata"]["generation"] = 1

    def begin_create(self, request: Request, obj: Object) -> Effects:
        """The valid object as it will be stored, and what belongs to its transaction.

        Called again with what was read (`request.found`) when a guard has failed.

        Raises:
            StatusError: what the object claims cannot be had.
        """
        del request
        return Effects(obj)

    # update

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """Carry over what an update of the object itself may not change."""
        if self.has_status:
            carry(new, old, "status")
        if self.has_generation:
            self.count_generation(new, old)

    def prepare_for_status_update(self, new: Object, old: Object) -> None:
        """Keep all but status (and metadata that controllers may set)."""
        carry(new, old, "spec")
        metadata, before = new["metadata"], old["metadata"]
        carry(metadata, before, "ownerReferences")
        carry(metadata, before, "generation")
        if self.status_keeps_labels:
            carry(metadata, before, "labels")

    def reset_fields(self, subresource: str) -> Object:
        """The fields that a write of the object ("") or of a subresource cannot set (fieldsV1)."""
        if subresource == "status":
            metadata: Object = {"f:ownerReferences": {}}
            if self.status_keeps_labels:
                metadata["f:labels"] = {}
            return {"f:metadata": metadata, "f:spec": {}}
        return {"f:status": {}} if self.has_status and not subresource else {}

    def begin_update(self, request: Request, old: Object, new: Object) -> Effects:
        """As `begin_create`, for an update of the object itself."""
        del request, old
        return Effects(new)

    def spec_changed(self, new: Object, old: Object) -> bool:
        """Whether the change counts as a new generation."""
        return bool(new.get("spec") != old.get("spec"))

    def count_generation(self, new: Object, old: Object) -> None:
        """Set the generation that the change leads to."""
        generation = old["metadata"].get("generation", 0)
        new["metadata"]["generation"] = generation + self.spec_changed(new, old)

    # delete

    def grace_period(self, obj: Object, requested: int | None) -> int:
        """Seconds between marking and removing; 0 removes at once."""
        del obj, requested
        return 0

    def decide_deletion(self, obj: Object, finalizers: list[str], wall_ns: int) -> Deletion | None:
        """What a deletion comes to; None: the generic rules decide.

        `finalizers` are those of `obj` with the one that the propagation policy adds.

        Raises:
            StatusError: 409, it cannot be deleted now.
        """
        del obj, finalizers, wall_ns
        return None

    def released(self, old: Object, new: Object) -> bool:
        """Whether an update takes away what held a deleted object: then it is removed instead."""
        before = old["metadata"]
        if not before.get("deletionTimestamp") or new["metadata"].get("finalizers"):
            return False
        return not before.get("deletionGracePeriodSeconds")

    def after_delete(self, request: Request, obj: Object) -> Effects:
        """What belongs to the transaction that removes `obj`."""
        del request
        return Effects(obj)


def carry(new: Object, old: Object, field: str) -> None:
    """Give `new` the value (or the absence) of a field in `old`."""
    if field in old:
        new[field] = old[field]
    else:
        new.pop(field, None)
