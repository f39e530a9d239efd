"""A click group whose commands are imported when they are used.

So `--help` and shell completion stay quick, however much a command needs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """Imports a command's module when the command is looked at.

    Args:
        places: called at each use; tells by name of a command ``module:attribute``.
        missing: by name of a command that may not be installed, what the user is told then.
    """

    def __init__(
        self,
        *args: Any,
        places: Callable[[], Mapping[str, str]],
        missing: Mapping[str, str] | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(*args, **settings)
        self._places = places
        self._missing = missing or {}

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All names, sorted."""
        return sorted({*super().list_commands(ctx), *self._places()})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        place = self._places().get(cmd_name)
        if place is None:
            return super().get_command(ctx, cmd_name)
        module, _, name = place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is meant; an unknown word is answered with what there is."""
        if args and self.get_command(ctx, args[0]) is None:
            known = self.list_commands(ctx)
            close = get_close_matches(args[0], known, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"there are {', '.join(known)}"
            ctx.fail(self._missing.get(args[0]) or f"no command {args[0]!r}; {hint}")
        return super().resolve_command(ctx, args)
