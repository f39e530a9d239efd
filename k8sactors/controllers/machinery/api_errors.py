"""What a refusal of the API server means for a controller."""

from __future__ import annotations

from k8sactors.api.errors import StatusError


def is_namespace_terminating(error: StatusError) -> bool:
    """Whether the namespace is being deleted, so that nothing can be created in it."""
    return any(cause.reason == "NamespaceTerminating" for cause in error.causes)
