"""A component that runs more than once has one active instance."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Struct, Text, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.targets import Target, TargetKindOfValue


@attrs.define
class ComponentLeader:
    """A component that runs more than once has one active instance."""

    of: str = setting(Text("a component, as in kube-scheduler"), "the component")
    not_on: Target | None = setting(TargetKindOfValue(), "it is on another host", default=None)


async def _missing(wanted: ComponentLeader, context: Context) -> str | None:
    host = await context.roles.holder(wanted.of)
    if wanted.not_on is not None and host in await context.roles.hosts(wanted.not_on):
        return f"the leader of {wanted.of} is still on {host}"
    if not context.cluster.hosts[host].up:
        return f"the lease of {wanted.of} is held by {host}, which is down"
    context.facts[f"leader of {wanted.of}: {host}"] = None
    return None


CONDITION = ConditionKind(
    verb="leader",
    about="the lease of a component is held by a host that is up",
    settings=Struct(ComponentLeader),
    missing=_missing,
)
