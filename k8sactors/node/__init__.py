"""Kubelet, pod workers, container runtime (CRI), CNI, kube-proxy and the data plane."""
