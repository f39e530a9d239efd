"""Chaos on a whole cluster: its components, its store, and the users of its API."""
