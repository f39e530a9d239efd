"""ReplicationController controller: what ReplicaSets replaced, with the same behaviour.

The kinds differ in the selector only, which is a plain map here.
"""

from __future__ import annotations

import attrs

from k8sactors.controllers.machinery.controller import ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.replicas import ReplicaController


@attrs.frozen
class ReplicationControllerOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_rc_syncs: int = 5


class ReplicationControllerController(ReplicaController):
    """Keeps the pods of ReplicationControllers."""

    name = "replicationcontroller-controller"
    aliases = ("replicationcontroller",)
    service_account = "replication-controller"
    options_type = ReplicationControllerOptions
    options: ReplicationControllerOptions
    component = "replication-controller"
    resource = "replicationcontrollers"
    kind = "ReplicationController"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_rc_syncs

    def selector_of(self, owner: Object) -> Object:
        """The LabelSelector of the pods that the owner counts: a plain map here."""
        return {"matchLabels": owner["spec"]["selector"]}
