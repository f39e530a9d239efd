"""The subresources that are connected to, by resource and name.

A file in this folder is found by itself: its `CONNECTORS` give, for a resource and a subresource,
the function that finds out where the stream of a call leads.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable

from k8sactors.apiserver.admission_chain import Cluster
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.locations import Location

__all__ = ["Connector", "connectors"]

# May raise `LookupNeededError`, and runs again when what it needs was read. None: nothing is there,
# and the stream is empty.
Connector = Callable[[Call, Cluster], Location | None]


def connectors() -> dict[tuple[str, str], Connector]:
    """All of them."""
    found: dict[tuple[str, str], Connector] = {}
    for file in sorted(pkgutil.iter_modules(__path__), key=lambda file: file.name):
        module = importlib.import_module(f"{__name__}.{file.name}")
        found.update(getattr(module, "CONNECTORS", {}))
    return found
