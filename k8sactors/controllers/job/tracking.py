"""Counts every pod of a Job that has ended exactly once, also across crashes (KEP-2307).

A pod bears a finalizer until it is counted. Its UID goes into `status.uncountedTerminatedPods`,
then its finalizer goes, then the UID turns into a count. A controller that dies between two of
these steps finds where it was.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import trio

from k8sactors.api.errors import StatusError
from k8sactors.client import Client, is_not_found
from k8sactors.controllers.job.rules import FINALIZER, is_tracked

Object = dict[str, Any]

# UIDs in a status at a time: it must stay small.
MAX_UNCOUNTED: Final = 500


class Tracking:
    """Removes finalizers, and knows which removals the informer does not show yet."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._expected: dict[str, dict[str, None]] = {}

    def forget(self, key: str) -> None:
        """The Job is gone."""
        self._expected.pop(key, None)

    def observed(self, key: str, pod: Object) -> None:
        """The informer shows a pod of the Job: does it show the removal?"""
        expected = self._expected.get(key)
        if expected is not None and not is_tracked(pod):
            expected.pop(pod["metadata"]["uid"], None)

    def gone(self, key: str, pod: Object) -> None:
        """The informer shows that a pod of the Job is no more."""
        expected = self._expected.get(key)
        if expected is not None:
            expected.pop(pod["metadata"]["uid"], None)

    def is_counted(self, key: str, pod: Object) -> bool:
        """Whether the pod has, or has had, no finalizer."""
        return not is_tracked(pod) or pod["metadata"]["uid"] in self._expected.get(key, ())

    async def release(
        self, pods: Iterable[Object], key: str = ""
    ) -> tuple[dict[str, None], StatusError | None]:
        """Remove the finalizers; gives the UIDs of the pods without one, and the first refusal.

        `key` is that of the Job for which they are counted; "": for none.
        """
        released: dict[str, None] = {}
        errors: list[StatusError] = []
        expected = self._expected.setdefault(key, {}) if key else {}

        async def release_one(pod: Object) -> None:
            uid = pod["metadata"]["uid"]
            expected[uid] = None
            try:
                await self._remove_finalizer(pod)
            except StatusError as error:
                expected.pop(uid, None)
                if not is_not_found(error):
                    errors.append(error)
                    return
            released[uid] = None

        async with trio.open_nursery() as nursery:
            for pod in pods:
                nursery.start_soon(release_one, pod)
        return released, errors[0] if errors else None

    async def _remove_finalizer(self, pod: Object) -> None:
        if not is_tracked(pod):
            return
        metadata = pod["metadata"]
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "$deleteFromPrimitiveList/finalizers": [FINALIZER],
            }
        }
        await self._client.patch(
            "pods",
            metadata["name"],
            patch,
            metadata.get("namespace"),
            patch_type="strategic",
        )


def take_counts(status: Object, tracked: Iterable[str]) -> bool:
    """Turn the UIDs of pods without finalizer into counts; whether there were any.

    `status` has a list of its own for each kind of uncounted pods; it is changed.
    """
    still = set(tracked)
    changed = False
    uncounted = status["uncountedTerminatedPods"]
    for counter in ("succeeded", "failed"):
        uids = uncounted.get(counter) or []
        left = [uid for uid in uids if uid in still]
        if len(left) != len(uids):
            changed = True
            status[counter] = (status.get(counter) or 0) + len(uids) - len(left)
            if left:
                uncounted[counter] = left
            else:
                del uncounted[counter]
    return changed
