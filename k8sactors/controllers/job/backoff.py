"""How long a Job waits after failed pods: 10 s, doubled per failure, up to ten minutes.

A success begins the count of failures again. The record is in memory: a new leader of the
controller manager begins with none, as the real one does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import attrs

from k8sactors.api.meta import get_condition, parse_time
from k8sactors.simulation import SECOND

Object = dict[str, Any]

DELAY_NS: Final = 10 * SECOND
MAX_DELAY_NS: Final = 600 * SECOND


@attrs.frozen
class BackoffRecord:
    """The failures since the last success."""

    failures: int = 0
    last_failure_ns: int = 0

    def after(self, succeeded: Sequence[Object], failed: Sequence[Object]) -> BackoffRecord:
        """The record once these pods have ended too."""
        if not succeeded and not failed:
            return self
        times = sorted(map(finished_ns, failed))
        if not succeeded:
            return BackoffRecord(self.failures + len(times), times[-1])
        last_success_ns = max(map(finished_ns, succeeded))
        since = [time_ns for time_ns in times if time_ns > last_success_ns]
        return BackoffRecord(len(since), since[-1]) if since else BackoffRecord()

    def remaining_ns(self, wall_ns: int) -> int:
        """How much longer to wait."""
        return remaining_ns(self.failures, self.last_failure_ns, wall_ns)


def remaining_ns(failures: int, last_failure_ns: int, wall_ns: int) -> int:
    """How much longer to wait after so many failures in a row."""
    if failures == 0:
        return 0
    # Beyond this exponent the limit applies in any case.
    delay_ns = min(MAX_DELAY_NS, DELAY_NS << min(failures - 1, 10))
    return max(0, last_failure_ns + delay_ns - wall_ns)


def finished_ns(pod: Object) -> int:
    """When the pod ended: its last container, else its readiness, its deletion, its creation."""
    for find in (_containers_ended, _unready_since, _deleted_at):
        time_ns = find(pod)
        if time_ns is not None:
            return time_ns
    return parse_time(pod["metadata"]["creationTimestamp"])


def _containers_ended(pod: Object) -> int | None:
    status = pod.get("status") or {}
    # A sidecar is an init container that ends after the others.
    sidecars = {
        container["name"]
        for container in pod["spec"].get("initContainers") or ()
        if container.get("restartPolicy") == "Always"
    }
    counted = [
        *(status.get("containerStatuses") or ()),
        *(each for each in status.get("initContainerStatuses") or () if each["name"] in sidecars),
    ]
    times: list[int] = []
    for container in counted:
        ended = ((container.get("state") or {}).get("terminated") or {}).get("finishedAt")
        if not ended:
            return None
        times.append(parse_time(ended))
    return max(times, default=None)


def _unready_since(pod: Object) -> int | None:
    ready = get_condition(pod, "Ready")
    if ready is None or ready["status"] != "False" or not ready.get("lastTransitionTime"):
        return None
    return parse_time(ready["lastTransitionTime"])


def _deleted_at(pod: Object) -> int | None:
    metadata = pod["metadata"]
    if not metadata.get("deletionTimestamp"):
        return None
    grace_ns = (metadata.get("deletionGracePeriodSeconds") or 0) * SECOND
    return parse_time(metadata["deletionTimestamp"]) - grace_ns
