"""The network of a node: addresses, routes, Services, and the kernel that carries packets.

`cni` gives a pod its address. `kube_proxy` turns Services into the rules of `service_rules`,
`network_agent` (the actor `cni`) nodes into routes; both write them into `dataplane`, the kernel of
the node. `reachability` asks whether a packet arrives.
"""
