"""ReplicationController controller: what ReplicaSets replaced, with the same behaviour.

The kinds differ in the selector only, which is a plain map here.
"""

from k8sactors.api import selectors
from k8sactors.controllers.base import Object
from k8sactors.controllers.replicaset import ReplicaSetController


class ReplicationControllerController(ReplicaSetController):
    """Keeps the pods of ReplicationControllers."""

    name = "replicationcontroller-controller"
    component = "replication-controller"
    resource = "replicationcontrollers"
    api_version = "v1"
    kind = "ReplicationController"

    def selector_of(self, owner: Object) -> selectors.Selector:
        """The pods that the owner counts."""
        return selectors.parse_label_selector({"matchLabels": owner["spec"]["selector"]})
