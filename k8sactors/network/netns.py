"""Messages between a node's kernel and what runs in a pod's network namespace."""

from __future__ import annotations

import attrs

from k8sactors.actors.record import Record

NETNS_CONNECT = "netns.connect"  # [ip, port, protocol] -> Answer, or code "Refused" / "NoRoute"
NETNS_LOOKUP = "netns.lookup"  # [namespace, pod] -> ip


@attrs.frozen
class Answer(Record):
    """What a program said to a connection."""

    namespace: str
    pod: str
    container: str
    image: str
    text: str
