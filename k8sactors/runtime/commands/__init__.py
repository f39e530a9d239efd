"""The commands of a small userland, by name; each file of this folder adds those of one kind.

They are programs like any other (`process.Program`) and know the options that scripts commonly use.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from k8sactors.runtime.process import Program

__all__ = ["userland"]


@cache
def userland() -> dict[str, Program]:
    """All commands by name."""
    found: dict[str, Program] = {}
    for file in sorted(pkgutil.iter_modules(__path__), key=lambda file: file.name):
        module = importlib.import_module(f"{__name__}.{file.name}")
        found.update(getattr(module, "COMMANDS", {}))
    return found
