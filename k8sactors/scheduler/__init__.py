"""Queue, cache, framework and the decision of where a pod runs.

Read in this order: `podinfo` and `nodeinfo` (what is looked at), `cache` (what is assumed),
`framework` and `plugins` (what filters and scores), `decision` and `ranking` (how a node is found
quickly), `queue` (which pod waits for what), `scheduler` (the actor that ties it to the API
server).
"""

from __future__ import annotations

from k8sactors.scheduler.framework import PluginEntry, Profile
from k8sactors.scheduler.plugins import default_profile
from k8sactors.scheduler.scheduler import Scheduler

__all__ = ["PluginEntry", "Profile", "Scheduler", "default_profile"]
