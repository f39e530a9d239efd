"""Kubelet, pod workers, container runtime (CRI), CNI, kube-proxy and the data plane.

What runs on a node, and where to read on:

- `kubelet`: the agent. `pod_worker` (with `container_starter` and `probes`) is one pod's state
  machine, `pod_status` its report, `status_manager` the writes; `node_registration` and
  `node_lease` the node.
- `runtime`: the simulated containerd behind the messages of `cri`; `engine` is the part without
  messages, `images` and `programs` say what a container does, `cni` gives addresses.
- `kube_proxy` turns Services into the rules of `service_rules`, `network_agent` (actor `cni`) nodes
  into routes; both write them into `dataplane`, the node's kernel, which carries packets.
- `assembly.install_node` puts all of them on a host; `probe.probe` asks whether a packet arrives.
"""
