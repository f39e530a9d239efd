"""Chaos on the store alone: members, clients and watchers, without Kubernetes around them."""
