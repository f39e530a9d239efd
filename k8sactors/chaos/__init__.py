"""Chaos campaigns: a scenario under random faults, seed by seed, under every check."""
