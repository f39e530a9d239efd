"""The command group: what all commands share, and the list of commands.

A new command is a module beside this one with a click command in it, and one line in `COMMANDS`.
Modules are imported when their command is used, so that `--help` and completion stay quick.
"""

from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click

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


class LazyGroup(click.Group):
    """Imports a command's module when the command is looked at."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; a word that is none is answered with what there is."""
        if args and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            close = get_close_matches(args[0], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            ctx.fail(f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)


@click.group(
    cls=LazyGroup,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="k8sactors", prog_name="k8sactors")
def cli() -> None:
    """A whole Kubernetes cluster in one process, on virtual time that a seed reproduces."""


def main(*args: Any, **kwargs: Any) -> None:
    """Entry point of the console script."""
    cli(*args, **kwargs)
