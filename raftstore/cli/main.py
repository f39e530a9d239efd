"""The command group: what all commands share, and the list of commands.

A new command is a module next to this one with a click command in it, and one line in `COMMANDS`.
Other packages add theirs by an entry point in the group `raftstore.commands`: what needs more than
a store, as a simulated network, can then still be called here. Modules are imported when their
command is used, so that `--help` and completion stay quick.
"""

from __future__ import annotations

from importlib.metadata import entry_points

import click

from raftstore.cli.lazy_group import LazyGroup

ENTRY_POINTS = "raftstore.commands"
# Commands that the package k8sactors registers; without it they can only be explained.
OF_K8SACTORS = {
    name: f"`raftstore {name}` needs the simulated network of k8sactors, which is not installed "
    "here: pip install k8sactors (from a checkout: pip install -e .)"
    for name in ("chaos", "zoo")
}
COMMANDS = {
    "demo": "raftstore.cli.demo:demo",
    "serve": "raftstore.cli.serve:serve",
    "snapshot": "raftstore.cli.snapshot:snapshot",
}


def _places() -> dict[str, str]:
    added = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**added, **COMMANDS}


@click.command(
    cls=LazyGroup,
    places=_places,
    missing=OF_K8SACTORS,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="""\b
Shell completion (bash; zsh and fish alike):
  eval "$(_RAFTSTORE_COMPLETE=bash_source raftstore)"

Exit status: 0 all went well, 1 a step failed, 2 wrong usage.
""",
)
@click.version_option(package_name="k8sactors", prog_name="raftstore")
def main() -> None:
    """A replicated, revisioned key-value store with etcd's semantics, in Python."""
