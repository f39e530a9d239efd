"""What a fault hits: names of hosts and actors, and names of the roles that they play.

| written as | means |
|---|---|
| `worker-2` | the host |
| `worker-2/kubelet` | one actor (a process) on a host |
| `store-leader`, `store-follower` | the leading store member, or one that follows |
| `leader:kube-scheduler` | the instance that holds the component's lease |
| `node-of:shop/web` | the host that runs a pod of that name, or one whose name begins with it |
| `host-of:<target>` | the host of an actor |
| `zone:zone-b` | every host of the zone |
| `workers`, `control-planes`, `store-members` | every host of that role |
| `$name` | what an earlier step hit and saved with `as: name` |
"""

from __future__ import annotations

import re
from enum import Enum
from typing import Any

import attrs

from k8sactors.api.located_yaml import KeyPath
from k8sactors.scenario.binding import Reader, Schema, named

ROLES = ("workers", "control-planes", "store-members")
STORE_ROLES = ("store-leader", "store-follower")
ELECTED = ("kube-scheduler", "kube-controller-manager")
ACTORS = (
    "etcd",
    "apiserver",
    "kube-scheduler",
    "kube-controller-manager",
    "kubelet",
    "kube-proxy",
    "containerd",
    "cni",
    "dataplane",
)

_NAME = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
PATTERN = (
    rf"(?:host-of:)?(?:{_NAME}(?:/{_NAME})?|leader:{_NAME}|node-of:{_NAME}/{_NAME}"
    rf"|zone:{_NAME}|\$[\w-]+)"
)


class TargetKind(Enum):
    """How a target is named."""

    HOST = "host"
    ACTOR = "actor"
    STORE = "store"
    ELECTED = "elected"
    NODE_OF = "node-of"
    ZONE = "zone"
    ROLE = "role"
    SAVED = "saved"


@attrs.frozen
class Target:
    """A parsed target."""

    # As written.
    text: str
    # How it is named.
    kind: TargetKind
    # The host, role, component, zone or saved name; `namespace/name` for NODE_OF.
    name: str
    # The actor's name for ACTOR.
    actor: str = ""
    # The host is meant, not the actor on it.
    whole_host: bool = False

    def __str__(self) -> str:
        return self.text


@attrs.frozen
class TargetKindOfValue:
    """The kind of a value that names a target (see `binding.Kind`)."""

    def read(self, value: Any, path: KeyPath, reader: Reader) -> Target:
        """The parsed target."""
        if not isinstance(value, str) or not re.fullmatch(PATTERN, value):
            message = (
                "expected a target: a host (worker-2), an actor (worker-2/kubelet), store-leader, "
                "leader:kube-scheduler, node-of:namespace/pod, host-of:<target>, zone:<zone>, "
                f"workers, control-planes, store-members or $saved; got {named(value)}"
            )
            reader.problem(path, message)
            return Target("", TargetKind.HOST, "")
        target = parse_target(value)
        if target.kind is TargetKind.ACTOR and target.actor not in ACTORS:
            message = f"no actor is called {target.actor!r}; expected one of: {', '.join(ACTORS)}"
            reader.problem(path, message)
        if target.kind is TargetKind.ELECTED and target.name not in ELECTED:
            message = f"{target.name!r} elects no leader; expected one of: {', '.join(ELECTED)}"
            reader.problem(path, message)
        return target

    def schema(self, definitions: dict[str, Schema]) -> Schema:
        """A string of one of the forms."""
        definitions["Target"] = {
            "type": "string",
            "description": "a host, an actor, or the one that plays a role at that moment",
            "pattern": f"^(?:{PATTERN})$",
        }
        return {"$ref": "#/$defs/Target"}


def parse_target(text: str) -> Target:
    """Parse a target that is known to match `PATTERN`."""
    inner = text.removeprefix("host-of:")
    whole_host = inner != text
    if inner.startswith("$"):
        return Target(text, TargetKind.SAVED, inner[1:], whole_host=whole_host)
    prefix, colon, rest = inner.partition(":")
    if colon:
        kind = {
            "leader": TargetKind.ELECTED,
            "node-of": TargetKind.NODE_OF,
            "zone": TargetKind.ZONE,
        }[prefix]
        return Target(text, kind, rest, whole_host=whole_host)
    if inner in STORE_ROLES:
        return Target(text, TargetKind.STORE, inner, whole_host=whole_host)
    if inner in ROLES:
        return Target(text, TargetKind.ROLE, inner, whole_host=whole_host)
    host, slash, actor = inner.partition("/")
    kind = TargetKind.ACTOR if slash else TargetKind.HOST
    return Target(text, kind, host, actor, whole_host=whole_host)
