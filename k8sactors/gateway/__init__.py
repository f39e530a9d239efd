"""The HTTP front door: the API as `kubectl` and every other Kubernetes client speaks it."""
