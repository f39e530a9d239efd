"""The subresources that are served, one per file; a kind names those that it has.

A file in this folder is found by itself.
"""

from __future__ import annotations

import importlib
import pkgutil

from k8sactors.apiserver.subresource import Subresource

__all__ = ["subresources"]


def subresources() -> list[Subresource]:
    """One of each class in the files of this folder."""
    found: list[Subresource] = []
    for file in sorted(pkgutil.iter_modules(__path__), key=lambda file: file.name):
        module = importlib.import_module(f"{__name__}.{file.name}")
        found.extend(
            value()
            for value in vars(module).values()
            if isinstance(value, type)
            and issubclass(value, Subresource)
            and value.__module__ == module.__name__
        )
    return found
