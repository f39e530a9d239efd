"""The command group: what all commands share, and the list of commands.

A new command is a module beside this one with a click command in it, and one line in `COMMANDS`.
Other packages add theirs by an entry point in the group `raftstore.commands`: what needs more than
a store, as a simulated network, can then still be called here. Modules are imported when their
command is used, so that `--help` and completion stay quick.
"""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points

import click

ENTRY_POINTS = "raftstore.commands"
OF_K8SACTORS = ("chaos", "zoo")
"""Commands that the package k8sactors registers; without it they can only be explained."""
COMMANDS = {
    "demo": "raftstore.cli.demo:demo",
    "serve": "raftstore.cli.serve:serve",
    "snapshot": "raftstore.cli.snapshot:snapshot",
}


class LazyGroup(click.Group):
    """Imports a command's module when the command is looked at."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *_places()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        place = _places().get(cmd_name)
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
            if args[0] in OF_K8SACTORS:
                raise click.UsageError(
                    f"`raftstore {args[0]}` needs the simulated network of k8sactors, which is not"
                    " installed here: pip install k8sactors (from a checkout: pip install -e .)",
                    ctx,
                )
            near = get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"did you mean {near[0]}?" if near else ", ".join(self.list_commands(ctx))
            raise click.UsageError(f"there is no command {args[0]!r}: {hint}", ctx)
        return super().resolve_command(ctx, args)


def _places() -> dict[str, str]:
    added = {point.name: point.value for point in entry_points(group=ENTRY_POINTS)}
    return {**added, **COMMANDS}


@click.command(
    cls=LazyGroup,
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
