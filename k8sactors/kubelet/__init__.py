"""The kubelet: the agent of a node.

`kubelet` is the actor. `pod_worker` is one pod's state machine, with `pod_setup` (volumes, network,
sandbox), `container_starter` and `probes`; `pod_status` is its report, `status_manager` the writes;
`node_registration` and `node_lease` tell the API of the node. What these parts need of each other
is in `services`. Containers belong to `k8sactors.runtime`, addresses and packets to
`k8sactors.network`; `k8sactors.cluster.node_assembly` puts all of them on a host.
"""
