"""The store has a leader, which a majority follows."""

from __future__ import annotations

import attrs

from k8sactors.scenario.binding import Struct, setting
from k8sactors.scenario.condition import ConditionKind
from k8sactors.scenario.context import Context
from k8sactors.scenario.targets import Target, TargetKindOfValue


@attrs.define
class StoreLeader:
    """The store has a leader, which a majority follows."""

    on: Target | None = setting(TargetKindOfValue(), "it is on this host", default=None)
    not_on: Target | None = setting(TargetKindOfValue(), "it is on another host", default=None)


async def _missing(wanted: StoreLeader, context: Context) -> str | None:
    leader = context.cluster.store_leader()
    if leader is None:
        return "the store has no leader"
    host = leader[0]
    if wanted.on is not None and host not in await context.roles.hosts(wanted.on):
        return f"the store's leader is on {host}, not on {wanted.on}"
    if wanted.not_on is not None and host in await context.roles.hosts(wanted.not_on):
        return f"the store's leader is still on {host}"
    context.facts[f"store leader: {host}, term {leader[1]}"] = None
    return None


CONDITION = ConditionKind(
    verb="storeLeader",
    about="a majority of the store follows a leader (on, not on these hosts)",
    settings=Struct(StoreLeader),
    missing=_missing,
)
