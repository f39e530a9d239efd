"""`python -m raftstore.cli`."""

from __future__ import annotations

from raftstore.cli.main import main

main(prog_name="raftstore")
