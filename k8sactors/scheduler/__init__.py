"""Queue, cache, framework and the decision of where a pod runs.

Read in this order: `podinfo` and `nodeinfo` (what is looked at), `cache` (what is believed),
`framework` and `plugins` (who judges), `decision` and `ranking` (how a node is found quickly),
`queue` (who waits for what), `scheduler` (the actor that ties it to the API server).
"""

from k8sactors.scheduler.framework import PluginEntry, Profile
from k8sactors.scheduler.plugins import default_profile
from k8sactors.scheduler.scheduler import Scheduler

__all__ = ["PluginEntry", "Profile", "Scheduler", "default_profile"]
