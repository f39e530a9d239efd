"""Queue, cache, framework and the decision of where a pod runs."""
