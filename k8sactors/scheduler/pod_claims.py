"""The claims that a pod names, and what they stand for."""

from __future__ import annotations

from collections.abc import Iterator

from k8sactors.scheduler.podinfo import PodInfo

__all__ = ["claim_names", "has_claims"]


def claim_names(pod: PodInfo) -> Iterator[tuple[str, bool]]:
    """The names of the claims of a pod, and whether each belongs to an ephemeral volume."""
    for volume in pod.obj["spec"].get("volumes") or ():
        claim = volume.get("persistentVolumeClaim")
        if claim is not None:
            yield claim["claimName"], False
        elif volume.get("ephemeral") is not None:
            yield f"{pod.name}-{volume['name']}", True


def has_claims(pod: PodInfo) -> bool:
    """Whether it names any."""
    return next(claim_names(pod), None) is not None
