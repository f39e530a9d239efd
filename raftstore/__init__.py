"""An etcd in Python: a replicated, revisioned key-value store that knows nothing of Kubernetes."""
