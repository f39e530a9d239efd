"""The resources with objects in the store: what a namespace holds, what can own and be owned."""

from k8sactors.api import scheme
from k8sactors.api.scheme import ResourceInfo

# Requests in the form of objects: nothing of them is kept.
_REQUEST_GROUPS = frozenset({"authentication.k8s.io", "authorization.k8s.io"})
_NOT_KEPT = frozenset({"bindings", "componentstatuses"})
# Another view of the core group's events.
_VIEWS = frozenset({"events.events.k8s.io"})


def stored_resources() -> list[ResourceInfo]:
    """Every resource with objects of its own, once, in the scheme's order."""
    found: dict[str, ResourceInfo] = {}
    for info in scheme.resources():
        if (
            info.group not in _REQUEST_GROUPS
            and info.plural not in _NOT_KEPT
            and info.name not in _VIEWS
        ):
            found.setdefault(info.name, info)
    return list(found.values())
