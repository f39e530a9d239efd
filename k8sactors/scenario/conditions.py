"""What a scenario can expect: the conditions of `expect` steps."""

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import (
    Alternatives,
    Flag,
    Integer,
    Json,
    JsonObject,
    Struct,
    Text,
    setting,
)
from k8sactors.scenario.targets import Target, TargetKindOfValue

RESOURCE = Text("a resource, as in pods or deployments")
LABELS = Text("a label selector, as in app=web,tier!=cache")
PLACE = Text(
    "a place: any-node, node/<name>, or pod/<namespace>/<name>",
    r"any-node|node/[-.a-z0-9]+|pod/[-a-z0-9]+/[-.a-z0-9]+",
)
DESTINATION = Text(
    "a destination: service/<namespace>/<name>, pod/<namespace>/<name> or an address",
    r"(?:service|pod)/[-a-z0-9]+/[-.a-z0-9]+|[0-9.]+",
)


@attrs.define
class Available:
    """Deployments have all their replicas, up to date and available."""

    namespace: str | None = setting(Text(), "only in this namespace", default=None)
    name: str | None = setting(Text(), "only this one; otherwise all of them", default=None)


@attrs.define
class Count:
    """So many objects match."""

    resource: str = setting(RESOURCE, "what is counted")
    namespace: str | None = setting(Text(), "only in this namespace", default=None)
    labels: str | None = setting(LABELS, "only with these labels", default=None)
    where: dict[str, Any] = setting(
        JsonObject("a mapping from paths to values, as in spec.nodeName: worker-1"),
        "only with these values; a path may select from a list: status.conditions[type=Ready]",
        default={},
    )
    distinct: str | None = setting(
        Text("a path"), "count different values at this path, not objects", default=None
    )
    equals: int | None = setting(Integer(), "exactly", default=None)
    at_least: int | None = setting(Integer(), "or more", default=None)
    at_most: int | None = setting(Integer(), "or fewer", default=None)


@attrs.define
class Value:
    """One value of one object."""

    resource: str = setting(RESOURCE, "the kind of object")
    name: str = setting(Text(), "its name")
    at: str = setting(Text("a path, as in status.readyReplicas"), "where the value is")
    namespace: str | None = setting(Text(), "its namespace", default=None)
    equals: Any = setting(Json(), "exactly this", default=None)
    matches: str | None = setting(
        Text("a regular expression"), "matches this as a whole", default=None
    )
    at_least: int | None = setting(Integer(), "this number or more", default=None)
    at_most: int | None = setting(Integer(), "this number or less", default=None)
    absent: bool = setting(Flag(), "there is no such value", default=False)


@attrs.define
class Exists:
    """An object exists."""

    resource: str = setting(RESOURCE, "the kind of object")
    name: str = setting(Text(), "its name")
    namespace: str | None = setting(Text(), "its namespace", default=None)


@attrs.define
class EventSeen:
    """A component has reported something."""

    reason: str = setting(Text(), "the event's reason, as in FailedScheduling")
    namespace: str | None = setting(Text(), "only about objects of this namespace", default=None)
    object: str | None = setting(
        Text("kind/name, as in Pod/web-0", r"[A-Za-z]+/[-.a-z0-9*]+"),
        "only about this object; the name may end in *",
        default=None,
    )
    message: str | None = setting(Text(), "the message contains this", default=None)


@attrs.define
class StoreLeader:
    """The store has a leader, which a majority follows."""

    on: Target | None = setting(TargetKindOfValue(), "it is on this host", default=None)
    not_on: Target | None = setting(TargetKindOfValue(), "it is on another host", default=None)


@attrs.define
class ComponentLeader:
    """A component that runs more than once has one active instance."""

    of: str = setting(Text("a component, as in kube-scheduler"), "the component")
    not_on: Target | None = setting(TargetKindOfValue(), "it is on another host", default=None)


@attrs.define
class Answers:
    """A request to a destination is answered."""

    to: str = setting(DESTINATION, "the destination")
    from_: str = setting(PLACE, "where the request starts", key="from", default="any-node")
    port: int | None = setting(
        Integer(1, 65535), "the port; a Service's first one otherwise", default=None
    )
    through: str | None = setting(Text(), "some hop on the way contains this text", default=None)


@attrs.define
class ServicesAnswer:
    """Every Service that selects pods answers a request from inside the cluster."""

    namespace: str | None = setting(Text(), "only in this namespace", default=None)


@attrs.define
class Writable:
    """The API accepts a write within the given limit."""

    limit: int = setting(Integer(1), "milliseconds until it must be acknowledged", default=5000)


@attrs.define
class Condition:
    """One condition: what kind, with which arguments, and where it stands in the file."""

    verb: str
    action: Any
    path: KeyPath
    line: int


CONDITION = Alternatives(
    "Condition",
    "a condition",
    {
        "available": Struct(Available),
        "count": Struct(Count),
        "value": Struct(Value),
        "exists": Struct(Exists),
        "event": Struct(EventSeen),
        "storeLeader": Struct(StoreLeader),
        "leader": Struct(ComponentLeader),
        "answers": Struct(Answers),
        "servicesAnswer": Struct(ServicesAnswer),
        "writable": Struct(Writable),
    },
    Condition,
)
CONDITION.choices["not"] = CONDITION
