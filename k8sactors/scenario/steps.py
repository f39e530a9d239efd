"""What a scenario can do: its steps, in the words of the file."""

from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import (
    Alternatives,
    Choice,
    Duration,
    Flag,
    Fraction,
    Integer,
    JsonObject,
    ListOf,
    Struct,
    Text,
    setting,
)
from k8sactors.scenario.conditions import (
    CONDITION,
    DESTINATION,
    LABELS,
    PLACE,
    RESOURCE,
    Condition,
)
from k8sactors.scenario.targets import Target, TargetKindOfValue
from k8sactors.simulation import SECOND

DEFAULT_LIMIT_NS = 60 * SECOND
SAVED_NAME = Text("a name of letters, digits, - and _", r"[\w-]+")


@attrs.define
class Refusal:
    """The request must be refused."""

    code: int = setting(Integer(400, 599), "the status code, as in 409")
    reason: str | None = setting(Text(), "the reason, as in Conflict", default=None)
    message: str | None = setting(Text(), "the message contains this", default=None)


_FAILS = Struct(Refusal, shorthand="code")


@attrs.define
class Apply:
    """Create objects, or bring existing ones to what is given."""

    files: list[str] = setting(
        ListOf(Text("a path")), "manifest files, relative to the scenario", default=[]
    )
    objects: list[dict[str, Any]] = setting(
        ListOf(JsonObject("an object with apiVersion, kind and metadata")),
        "objects written here",
        default=[],
    )
    manifests: bool = setting(
        Flag(), "also what was given with --manifest on the command line", default=False
    )
    fails: Refusal | None = setting(_FAILS, "the request must be refused", default=None)


@attrs.define
class Delete:
    """Delete one object, or all that have certain labels."""

    resource: str = setting(RESOURCE, "the kind of object")
    namespace: str | None = setting(Text(), "its namespace", default=None)
    name: str | None = setting(Text(), "its name", default=None)
    labels: str | None = setting(LABELS, "all with these labels", default=None)
    propagation: str | None = setting(
        Choice(("Background", "Foreground", "Orphan")), "what becomes of dependents", default=None
    )
    grace_ns: int | None = setting(
        Duration(), "time that a pod gets to end", key="grace", default=None
    )
    fails: Refusal | None = setting(_FAILS, "the request must be refused", default=None)


@attrs.define
class Scale:
    """Change the number of replicas."""

    name: str = setting(Text(), "its name")
    replicas: int = setting(Integer(), "how many")
    resource: str = setting(RESOURCE, "the kind of object", default="deployments")
    namespace: str | None = setting(Text(), "its namespace", default=None)


@attrs.define
class Patch:
    """Change some fields of an object."""

    resource: str = setting(RESOURCE, "the kind of object")
    name: str = setting(Text(), "its name")
    patch: dict[str, Any] = setting(JsonObject(), "the patch")
    namespace: str | None = setting(Text(), "its namespace", default=None)
    type: str = setting(
        Choice(("merge", "strategic")), "how lists are merged: replaced, or by key", default="merge"
    )
    fails: Refusal | None = setting(_FAILS, "the request must be refused", default=None)


@attrs.define
class Replace:
    """Write back an object as an earlier step saved it, with changes (a full update)."""

    saved: str = setting(SAVED_NAME, "the name given with `as` in a get step")
    set: dict[str, Any] = setting(JsonObject(), "merged into the saved object first")
    fails: Refusal | None = setting(_FAILS, "the request must be refused", default=None)


@attrs.define
class Get:
    """Read one object or list several, and print a table."""

    resource: str = setting(RESOURCE, "the kind of object")
    namespace: str | None = setting(Text(), "its namespace; all otherwise", default=None)
    name: str | None = setting(Text(), "its name", default=None)
    labels: str | None = setting(LABELS, "only with these labels", default=None)
    save: str | None = setting(
        SAVED_NAME, "keep the object under this name for a replace step", key="as", default=None
    )


@attrs.define
class Between:
    """The link between two hosts, or groups of hosts."""

    between: list[Target] = setting(ListOf(TargetKindOfValue(), 2), "the two ends")
    one_way: bool = setting(
        Flag(), "only the direction from the first to the second", default=False
    )


@attrs.define
class Degrade:
    """Make a link worse."""

    between: list[Target] = setting(ListOf(TargetKindOfValue(), 2), "the two ends")
    delay_ns: int = setting(Duration(), "added to the latency", key="delay", default=0)
    jitter_ns: int = setting(Duration(), "random part of the delay", key="jitter", default=0)
    loss: float = setting(Fraction(), "share of datagrams lost", default=0.0)
    duplicate: float = setting(Fraction(), "share of datagrams doubled", default=0.0)
    reorder: float = setting(Fraction(), "share of datagrams delayed past others", default=0.0)


@attrs.define
class Partition:
    """Cut all links between groups of hosts."""

    groups: list[list[Target]] = setting(
        ListOf(ListOf(TargetKindOfValue()), 2), "hosts that still reach each other"
    )


@attrs.define
class Heal:
    """Undo all cuts and degradations."""

    restart: bool = setting(
        Flag(), "also start dead hosts and actors again, and resume paused ones", default=False
    )


@attrs.define
class Injection:
    """One fault."""

    verb: str
    action: Any
    path: KeyPath
    line: int
    save: str | None = setting(
        SAVED_NAME, "remember what was hit, to name it later as $name", key="as", default=None
    )


INJECTION = Alternatives(
    "Injection",
    "a fault",
    {
        "kill": TargetKindOfValue(),
        "restart": TargetKindOfValue(),
        "pause": TargetKindOfValue(),
        "resume": TargetKindOfValue(),
        "cut": Struct(Between),
        "mend": Struct(Between),
        "isolate": TargetKindOfValue(),
        "partition": Struct(Partition),
        "degrade": Struct(Degrade),
        "heal": Struct(Heal),
    },
    Injection,
)


@attrs.define
class Expect:
    """Wait until all conditions hold at the same time."""

    that: list[Condition] = setting(ListOf(CONDITION), "the conditions")
    within_ns: int = setting(
        Duration(), "virtual time until they must hold", key="within", default=DEFAULT_LIMIT_NS
    )
    stays_ns: int = setting(
        Duration(), "virtual time for which they must then go on to hold", key="stays", default=0
    )


@attrs.define
class Probe:
    """Send one request and print every hop of its way; it must be answered."""

    to: str = setting(DESTINATION, "the destination")
    from_: str = setting(PLACE, "where the request starts", key="from", default="any-node")
    port: int | None = setting(
        Integer(1, 65535), "the port; a Service's first one otherwise", default=None
    )
    refused: bool = setting(Flag(), "it must not be answered", default=False)


@attrs.define
class AddWorker:
    """Add a worker host to the running cluster."""

    zone: str | None = setting(Text(), "its zone; the first one otherwise", default=None)


@attrs.define
class Step:
    """One step: what to do, with which arguments, and where it stands in the file."""

    verb: str
    action: Any
    path: KeyPath
    line: int
    name: str | None = setting(Text(), "what the step is for, in the report", default=None)


STEP = Alternatives(
    "Step",
    "a step",
    {
        "apply": Struct(Apply),
        "delete": Struct(Delete),
        "scale": Struct(Scale),
        "patch": Struct(Patch),
        "replace": Struct(Replace),
        "get": Struct(Get),
        "inject": INJECTION,
        "expect": Struct(Expect),
        "probe": Struct(Probe),
        "advance": Duration(),
        "addWorker": Struct(AddWorker),
    },
    Step,
)
STEP.choices["parallel"] = ListOf(STEP)
