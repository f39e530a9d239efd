"""What the garbage collector writes: owner references, finalizers and deletions.

Every write carries the UID and the version that the decision was made on.
"""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.scheme import ResourceInfo
from k8sactors.client import Client, is_conflict, is_not_found
from k8sactors.controllers.machinery.controller import Object


@attrs.frozen
class OwnershipWrites:
    """Writes in the name of the collector."""

    client: Client

    async def delete(self, info: ResourceInfo, latest: Object, policy: str) -> None:
        """Delete the object unless its owners have changed since it was read.

        Raises:
            StatusError: Conflict when they have, so that they are judged again.
        """
        metadata = latest["metadata"]
        name, namespace = metadata["name"], metadata.get("namespace")
        preconditions = {"uid": metadata["uid"], "resourceVersion": metadata["resourceVersion"]}
        try:
            await self._delete(info, metadata, policy, preconditions)
        except StatusError as error:
            if not is_conflict(error):
                raise
            try:
                current = (await self.client.get(info.name, name, namespace))["metadata"]
            except StatusError as gone:
                if is_not_found(gone):
                    return
                raise
            if current["uid"] != metadata["uid"]:
                return
            if current.get("ownerReferences") != metadata.get("ownerReferences"):
                raise
            await self._delete(info, metadata, policy, {"uid": metadata["uid"]})

    async def _delete(
        self, info: ResourceInfo, metadata: Object, policy: str, preconditions: dict[str, str]
    ) -> None:
        try:
            await self.client.delete(
                info.name,
                metadata["name"],
                metadata.get("namespace"),
                propagationPolicy=policy,
                preconditions=preconditions,
            )
        except StatusError as error:
            if not is_not_found(error):
                raise

    async def set_references(
        self, info: ResourceInfo, latest: Object, references: list[Object]
    ) -> Object:
        """Replace the owner references of the object; returns it as it is then."""
        metadata = latest["metadata"]
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "ownerReferences": references or None,
            }
        }
        return await self.client.patch(
            info.name, metadata["name"], patch, metadata.get("namespace")
        )

    async def remove_finalizer(self, info: ResourceInfo, latest: Object, name: str) -> None:
        """Take one finalizer from the object, which may end its deletion."""
        metadata = latest["metadata"]
        finalizers = metadata.get("finalizers") or []
        if name not in finalizers:
            return
        patch = {
            "metadata": {
                "resourceVersion": metadata["resourceVersion"],
                "finalizers": [each for each in finalizers if each != name],
            }
        }
        try:
            await self.client.patch(info.name, metadata["name"], patch, metadata.get("namespace"))
        except StatusError as error:
            if not is_not_found(error):
                raise
