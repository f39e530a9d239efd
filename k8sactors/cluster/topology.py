"""Which hosts a cluster has and what runs on each: single, stacked and external.

`stacked` puts a store member on every control-plane host, and each API server talks to the member
next to it. `external` gives the members hosts of their own, and each API server knows all of them.
`single` is one control plane with one member, for learning and development.
"""

from __future__ import annotations

import attrs

from k8sactors.cluster.errors import ImpossibleClusterError
from k8sactors.cluster.spec import ClusterSpec


@attrs.frozen
class HostPlan:
    """A host to create: its zone and its roles."""

    name: str
    zone: str
    control_plane: bool = False
    store_member: bool = False
    worker: bool = False


def plan(spec: ClusterSpec) -> list[HostPlan]:
    """The hosts of a cluster, in order of creation.

    Raises:
        ImpossibleClusterError: with every contradiction in the specification.
    """
    problems = spec.problems()
    if problems:
        raise ImpossibleClusterError(problems)
    hosts = []
    zones = spec.zone_names
    stacked = spec.topology != "external"
    if not stacked:
        hosts += [
            HostPlan(name, zones[index % len(zones)], store_member=True)
            for index, name in enumerate(spec.store_names)
        ]
    hosts += [
        HostPlan(name, zones[index % len(zones)], control_plane=True, store_member=stacked)
        for index, name in enumerate(spec.control_plane_names)
    ]
    hosts += [
        HostPlan(name, zones[index % len(zones)], worker=True)
        for index, name in enumerate(spec.worker_names)
    ]
    return hosts


def store_endpoints(spec: ClusterSpec, control_plane: str) -> list[str]:
    """The store addresses an API server is configured with."""
    if spec.topology == "external":
        return [f"{name}/etcd" for name in spec.store_names]
    return [f"{control_plane}/etcd"]
