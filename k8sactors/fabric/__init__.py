"""Hosts, links and connections: the network that messages cross, and where it breaks."""
