"""The built-in kinds: one module (or folder) per API group, each with its records in `KINDS`.

A kind is added by writing a module here; nothing else names it. Rules that several kinds share
(defaulting of pod templates, validation of names) stand in `api/defaulting` and `api/validation`,
so that the modules know nothing of each other.
"""

from __future__ import annotations

import importlib
import pkgutil
from functools import cache

from k8sactors.api.kind import Kind


def load_kinds() -> tuple[Kind, ...]:
    """The records in all modules of this package, the core group first, then by module name."""
    found: list[Kind] = []
    for module in sorted(pkgutil.walk_packages(__path__, f"{__name__}."), key=lambda m: m.name):
        if not module.ispkg:
            found += importlib.import_module(module.name).KINDS
    return tuple(sorted(found, key=lambda kind: kind.served[0].group != ""))


@cache
def builtin_kinds() -> tuple[Kind, ...]:
    """The records that every server starts with; loaded once, they never change."""
    return load_kinds()
