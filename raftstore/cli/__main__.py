"""`python -m raftstore.cli`."""

from raftstore.cli.main import main

main(prog_name="raftstore")
