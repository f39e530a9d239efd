"""The `raftstore` command: see a store cluster work and survive faults; serve one to clients.

One module per command; `main` lists them.
"""

from __future__ import annotations

from raftstore.cli.main import main

__all__ = ["main"]
