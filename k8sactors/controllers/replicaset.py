"""ReplicaSet controller: the pods of ReplicaSets."""

from __future__ import annotations

import attrs

from k8sactors.controllers.machinery.controller import ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.replicas import ReplicaController


@attrs.frozen
class ReplicaSetOptions(ControllerOptions):
    """How many keys are reconciled at the same time."""

    concurrent_replicaset_syncs: int = 5


class ReplicaSetController(ReplicaController):
    """Keeps the pods of ReplicaSets."""

    name = "replicaset-controller"
    aliases = ("replicaset",)
    options_type = ReplicaSetOptions
    options: ReplicaSetOptions
    resource = "replicasets.apps"
    kind = "ReplicaSet"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_replicaset_syncs

    def selector_of(self, owner: Object) -> Object:
        """The LabelSelector of the pods that the owner counts."""
        selector: Object = owner["spec"]["selector"]
        return selector
