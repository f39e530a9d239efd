"""Control planes and clusters inside a test; `plugin` offers them as pytest fixtures.

    def test_my_controller(k8s_api): ...

Names are imported at their first use: pytest imports this package in every project that has it.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

_MODULES: Final = {
    "ControlPlane": "control_plane",
    "FaultHandle": "fault_helpers",
    "K8sApi": "api",
    "K8sCluster": "cluster",
    "K8sTransport": "transport",
    "ObservedAPIServer": "control_plane",
    "Objects": "objects",
    "ReceivedRequest": "request",
}


def __getattr__(name: str) -> Any:
    """A public name, imported now."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)
