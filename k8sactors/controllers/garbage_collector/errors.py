"""Errors of the garbage collector: why an owner cannot be looked up.

ControllersError
├── UnservedKindError        its kind is not served: it may be later, so the collector tries again
└── NamespacedOwnerError     it would need a namespace, and the dependent has none: never resolved
"""

from __future__ import annotations

from k8sactors.controllers.errors import ControllersError


class UnservedKindError(ControllersError):
    """No resource of this kind is served."""

    def __init__(self, api_version: str, kind: str) -> None:
        super().__init__(f"unable to get REST mapping for {api_version}/{kind}.")


class NamespacedOwnerError(ControllersError):
    """An object of the cluster names an owner of a namespaced kind."""

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(
            f"cluster-scoped objects cannot refer to namespaced owners ({kind} {name})"
        )
