"""A whole Kubernetes cluster in one process: actors, a Raft store, virtual time."""
