"""The volumes of a pod: what has to be mounted before its sandbox is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from k8sactors.kubelet import pod_spec


class VolumeManager(Protocol):
    """Mounts the volumes of pods."""

    def mount(self, pod: pod_spec.Pod, on_done: Callable[[str], None]) -> None:
        """Mount every volume; the answer, perhaps in this call, is "" or why one is not mounted."""
        ...


RequireObjects = Callable[[str, Iterable[tuple[str, str]], Callable[[str], None]], None]
"""Looks for objects: namespace, (resource, name) of each, and the way to answer "" or a problem."""


class ObjectVolumes:
    """Volumes that show API objects: mounted as soon as every ConfigMap and Secret exists.

    Args:
        require_objects: looks for the objects.
    """

    def __init__(self, require_objects: RequireObjects) -> None:
        self._require_objects = require_objects

    def mount(self, pod: pod_spec.Pod, on_done: Callable[[str], None]) -> None:
        """Look for what the volumes show."""
        references = list(pod_spec.volume_references(pod))
        if not references:
            on_done("")
            return

        def answered(problem: str) -> None:
            if problem:
                volume = next((v for v, _, name in references if f'"{name}"' in problem), "")
                problem = f'MountVolume.SetUp failed for volume "{volume}" : {problem}'
            on_done(problem)

        wanted = [(resource, name) for _, resource, name in references]
        self._require_objects(pod["metadata"]["namespace"], wanted, answered)
