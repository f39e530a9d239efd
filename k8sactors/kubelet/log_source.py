"""Which container's log is meant, or why there is none (kubelet: validateContainerLogStatus)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

_STATUSES: Final = ("containerStatuses", "initContainerStatuses", "ephemeralContainerStatuses")
_PULLS: Final = {
    "ErrImagePull": "image can't be pulled",
    "ImagePullBackOff": "trying and failing to pull image",
}


class NoLogError(Exception):
    """There is no log; the message is for the user."""


def log_container(status: Mapping[str, Any], pod: str, name: str, *, previous: bool) -> str:
    """The id of the container whose log is shown, from the pod's status.

    Raises:
        NoLogError: there is none.
    """
    which = f'container "{name}" in pod "{pod}"'
    entry = next((each for each in _entries(status) if each["name"] == name), None)
    if entry is None:
        raise NoLogError(f"{which} is not available")
    state = entry.get("state") or {}
    last = ((entry.get("lastState") or {}).get("terminated") or {}).get("containerID") or ""
    waiting = state.get("waiting")
    if previous:
        if not last:
            raise NoLogError(f"previous terminated {which} not found")
        return _id(last)
    if "running" in state:
        return _id(entry.get("containerID") or "")
    if "terminated" in state:
        ended = state["terminated"].get("containerID") or last
        if not ended:
            raise NoLogError(f"{which} is terminated")
        return _id(ended)
    if last:
        return _id(last)
    if waiting is not None:
        reason = waiting.get("reason") or ""
        raise NoLogError(f"{which} is waiting to start: {_PULLS.get(reason, reason)}")
    raise NoLogError(f"{which} is waiting to start - no logs yet")


def _entries(status: Mapping[str, Any]) -> Iterable[Mapping[str, Any]]:
    for key in _STATUSES:
        yield from status.get(key) or ()


def _id(container_id: str) -> str:
    return container_id.rpartition("//")[2]
