"""Chaos campaigns: a scenario under random faults, seed by seed, judged by every checker."""
