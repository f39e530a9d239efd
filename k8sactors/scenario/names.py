"""Kinds of value that many steps and conditions share."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Text


@attrs.frozen
class ResourceName(Text):
    """A resource that the cluster serves."""

    what: str = "a resource, as in pods or deployments"


@attrs.frozen
class ZoneName(Text):
    """A zone of the cluster."""

    what: str = "a zone, as in zone-a"


METER_NAMESPACE = "k8sactors-meter"
"""Where availability is measured: its objects change all the time and belong to no application."""

RESOURCE = ResourceName()
ZONE = ZoneName()
LABELS = Text("a label selector, as in app=web,tier!=cache")
PLACE = Text(
    "a place: any-node, node/<name>, or pod/<namespace>/<name>",
    r"any-node|node/[-.a-z0-9]+|pod/[-a-z0-9]+/[-.a-z0-9]+",
)
DESTINATION = Text(
    "a destination: service/<namespace>/<name>, pod/<namespace>/<name> or an address",
    r"(?:service|pod)/[-a-z0-9]+/[-.a-z0-9]+|[0-9.]+",
)
