"""Bridge: two halves that cannot see each other, and one host that sees both.

A leader that the bridge alone still hears, and elections that never settle without PreVote, are
what such a partial partition is good for (Cloudflare, 2020-11-02).
"""

from __future__ import annotations

from k8sactors.faults.fault import Targets
from k8sactors.faults.links import CUT, cut_fault, describe_cut
from k8sactors.faults.parameters import Host, Hosts, Parameters
from k8sactors.simulation import Random


def _draw(random: Random, targets: Targets) -> Parameters:
    """Any host may be the bridge."""
    hosts = random.sample(targets.hosts, len(targets.hosts))
    bridge, rest = hosts[0], hosts[1:]
    half = max(1, len(rest) // 2)
    return {"a": rest[:half], "b": rest[half:], "one_way": False, "bridge": bridge}


FAULT = cut_fault(
    name="bridge",
    title="cut the hosts into two halves; one host still reaches both",
    parameters={**CUT, "b": Hosts("the other half"), "bridge": Host("the host that reaches both")},
    draw=_draw,
    describe=lambda parameters: f"{describe_cut(parameters)}, bridge {parameters['bridge']}",
)
