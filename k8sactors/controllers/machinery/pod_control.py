"""Creating and deleting pods for their owner, with the events that tell of it.

As PodControl of kube-controller-manager. Many pods are created in batches that double (1, 2, 4,
...), so that a quota that refuses the first pod does not refuse five hundred.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import attrs
import trio

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import owner_reference
from k8sactors.client import Client, EventRecorder, is_not_found
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.machinery.pods import Object

SLOW_START_INITIAL_BATCH_SIZE = 1
_TEMPLATE_METADATA = ("labels", "annotations", "finalizers")


@attrs.frozen
class PodControl:
    """Writes pods, and tells of it in the owner's events."""

    client: Client
    recorder: EventRecorder

    async def create(self, owner: Object, body: Object) -> Object:
        """Create one pod; returns it as stored.

        Raises:
            StatusError: the API server refused it; said in an event, unless its namespace is being
                deleted.
        """
        try:
            pod = await self.client.create("pods", body, owner["metadata"].get("namespace"))
        except StatusError as error:
            if not is_namespace_terminating(error):
                message = f"Error creating: {error.message}"
                self.recorder.event(owner, "Warning", "FailedCreate", message)
            raise
        message = f"Created pod: {pod['metadata']['name']}"
        self.recorder.event(owner, "Normal", "SuccessfulCreate", message)
        return pod

    async def delete(self, owner: Object, pod: Object) -> bool:
        """Delete one pod; False when it was gone already.

        Raises:
            StatusError: the API server refused it; said in an event.
        """
        metadata = pod["metadata"]
        try:
            await self.client.delete("pods", metadata["name"], metadata.get("namespace"))
        except StatusError as error:
            if is_not_found(error):
                return False
            message = f"Error deleting: {error.message}"
            self.recorder.event(owner, "Warning", "FailedDelete", message)
            raise
        message = f"Deleted pod: {metadata['name']}"
        self.recorder.event(owner, "Normal", "SuccessfulDelete", message)
        return True


def pod_from_template(template: Object, owner: Object) -> Object:
    """The pod of a pod template, named after its owner, which is its controller."""
    metadata = template.get("metadata") or {}
    kept = {field: metadata[field] for field in _TEMPLATE_METADATA if metadata.get(field)}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            **kept,
            "generateName": f"{owner['metadata']['name']}-",
            "namespace": owner["metadata"].get("namespace"),
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": template["spec"],
    }


async def slow_start_batch(
    count: int,
    step: Callable[[], Awaitable[Any]],
    initial_batch_size: int = SLOW_START_INITIAL_BATCH_SIZE,
) -> tuple[int, list[StatusError]]:
    """Run `step` `count` times in doubling batches; stop after a batch with errors.

    Returns how many steps succeeded, and the errors of those that did not.
    """
    errors: list[StatusError] = []
    successes = 0

    async def run_one() -> None:
        nonlocal successes
        try:
            await step()
        except StatusError as error:
            errors.append(error)
        else:
            successes += 1

    batch_size = initial_batch_size
    while count > 0 and not errors:
        size = min(batch_size, count)
        async with trio.open_nursery() as nursery:
            for _ in range(size):
                nursery.start_soon(run_one)
        count -= size
        batch_size *= 2
    return successes, errors
