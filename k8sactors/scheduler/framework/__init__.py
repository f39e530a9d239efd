"""The scheduling framework: what a plugin is, and how plugins are put together (KEP-624).

A plugin is a class with a `name` and one or more of the extension points of `interfaces.py`.
Two forms of Filter and Score exist. The scalar form looks at one node and is all that a plugin must
have. The vector form looks at many nodes at once through the arrays of the node table; a plugin
that has both must give the same answer from both.
"""

from __future__ import annotations

from k8sactors.scheduler.events import ActionType, ClusterEvent, EventHint
from k8sactors.scheduler.framework.handle import Handle
from k8sactors.scheduler.framework.interfaces import (
    BindPlugin,
    CycleState,
    FilterPlugin,
    MaxNormalizer,
    PermitPlugin,
    Plugin,
    PostBindPlugin,
    PostFilterPlugin,
    PreBindPlugin,
    PreEnqueuePlugin,
    PreFilterPlugin,
    PreScorePlugin,
    QueueSortPlugin,
    ReservePlugin,
    ScorePlugin,
)
from k8sactors.scheduler.framework.profile import PluginEntry, Profile
from k8sactors.scheduler.framework.runtime import Framework
from k8sactors.scheduler.framework.status import Code, Status

__all__ = [
    "ActionType",
    "BindPlugin",
    "ClusterEvent",
    "Code",
    "CycleState",
    "EventHint",
    "FilterPlugin",
    "Framework",
    "Handle",
    "MaxNormalizer",
    "PermitPlugin",
    "Plugin",
    "PluginEntry",
    "PostBindPlugin",
    "PostFilterPlugin",
    "PreBindPlugin",
    "PreEnqueuePlugin",
    "PreFilterPlugin",
    "PreScorePlugin",
    "Profile",
    "QueueSortPlugin",
    "ReservePlugin",
    "ScorePlugin",
    "Status",
]
