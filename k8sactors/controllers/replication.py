"""ReplicationController controller: what ReplicaSets replaced, with the same behaviour.

The kinds differ in the selector only, which is a plain map here.
"""

from k8sactors.controllers.base import Object
from k8sactors.controllers.ownership import Matcher, label_matcher
from k8sactors.controllers.replicaset import ReplicaSetController


class ReplicationControllerController(ReplicaSetController):
    """Keeps the pods of ReplicationControllers."""

    name = "replicationcontroller-controller"
    component = "replication-controller"
    resource = "replicationcontrollers"
    api_version = "v1"
    kind = "ReplicationController"

    def matcher_of(self, owner: Object) -> Matcher:
        """Which pods the owner counts, by their labels."""
        return label_matcher({"matchLabels": owner["spec"]["selector"]})
