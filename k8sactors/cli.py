"""The `k8sactors` command line."""
