"""The command group: what all commands share, and the list of commands.

A new command is a module next to this one with a click command in it, and one line in `COMMANDS`.
Modules are imported when their command is used, so that `--help` and completion stay quick.
"""

from __future__ import annotations

from typing import Any

import click

from raftstore.cli.lazy_group import LazyGroup

COMMANDS = {
    "chaos": "k8sactors.cli.chaos:chaos",
    "compare": "k8sactors.cli.compare:compare",
    "run": "k8sactors.cli.run:run",
    "serve": "k8sactors.cli.serve:serve",
    "validate": "k8sactors.cli.validate:validate",
    "zoo": "k8sactors.cli.zoo:zoo",
}

EXAMPLES = """
\b
Examples:
  k8sactors run scenarios/failover-tour.yaml
  k8sactors run scenarios/real-app.yaml --manifest app.yaml --topology external
  k8sactors run scenarios/store-failover.yaml --seed 7 --json
  k8sactors compare scenarios/failover-tour.yaml
  k8sactors validate scenarios/*.yaml
  k8sactors chaos scenarios/chaos-stacked.yaml --seeds 1..20
  k8sactors zoo
  k8sactors serve

\b
Shell completion (bash; zsh and fish alike):
  eval "$(_K8SACTORS_COMPLETE=bash_source k8sactors)"

Exit status: 0 all went well, 1 an expectation failed, 2 the input was bad.
"""


@click.group(
    cls=LazyGroup,
    places=lambda: COMMANDS,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="k8sactors", prog_name="k8sactors")
def cli() -> None:
    """A whole Kubernetes cluster in one process, on virtual time that a seed reproduces."""


def main(*args: Any, **kwargs: Any) -> None:
    """Entry point of the console script."""
    cli(*args, **kwargs)
