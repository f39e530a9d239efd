"""Who controls what: the controller's ownerReference, adoption and release.

An object has at most one owner with `controller: true`. A controller adopts orphans that its
selector matches, and releases what it owns once the selector no longer matches. Both carry the UID
of the object that was seen, so that a namesake is never touched; before it adopts, the controller
asks the API server (not its cache) whether it still exists itself.
"""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from k8sactors.api import selectors
from k8sactors.api.errors import StatusError
from k8sactors.client import Client, is_not_found

Object = dict[str, Any]
CONTROLLER_INDEX = "controller"
INVALID = "Invalid"


def controller_of(obj: Object) -> Object | None:
    """The ownerReference with `controller: true`, or None."""
    for reference in obj["metadata"].get("ownerReferences") or ():
        if reference.get("controller"):
            found: Object = reference
            return found
    return None


def controller_index(obj: Object) -> str:
    """Index value: UID of the controller, or `orphan/<namespace>`."""
    reference = controller_of(obj)
    return reference["uid"] if reference else f"orphan/{obj['metadata'].get('namespace')}"


def controller_reference(owner: Object, api_version: str, kind: str) -> Object:
    """The ownerReference that makes `owner` the controller."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def labels_of(obj: Object) -> dict[str, str]:
    """The labels, never None."""
    return obj["metadata"].get("labels") or {}


Matcher = Callable[[dict[str, str]], bool]


def label_matcher(selector: Object) -> Matcher:
    """A LabelSelector as a function of labels; equality alone, the usual case, is fast."""
    if selector.get("matchExpressions"):
        return selectors.parse_label_selector(selector).matches
    wanted = (selector.get("matchLabels") or {}).items()
    return lambda labels: wanted <= labels.items()


class Claimer:
    """Adopts and releases objects of one resource in the name of one owner."""

    def __init__(
        self,
        client: Client,
        resource: str,
        owner: Object,
        reference: Object,
        matches: Matcher,
        read_owner: Callable[[], Awaitable[Object]],
    ) -> None:
        self._client = client
        self._resource = resource
        self._owner = owner
        self._reference = reference
        self._matches = matches
        self._read_owner = read_owner
        self._may_adopt: bool | None = None

    async def claim(self, owned: Iterable[Object], orphans: Iterable[Object]) -> list[Object]:
        """Those of both groups that the owner has afterwards."""
        deleting = "deletionTimestamp" in self._owner["metadata"]
        claimed = []
        matches = self._matches
        for obj in owned:
            if matches(labels_of(obj)):
                claimed.append(obj)
            elif not deleting:
                await self._release(obj)
        if deleting:
            return claimed
        for obj in orphans:
            if "deletionTimestamp" in obj["metadata"]:
                continue
            if matches(labels_of(obj)) and await self._adopt(obj):
                claimed.append(obj)
        return claimed

    async def _adopt(self, obj: Object) -> bool:
        if self._may_adopt is None:
            fresh = await self._read_owner()
            metadata = fresh["metadata"]
            self._may_adopt = (
                metadata["uid"] == self._owner["metadata"]["uid"]
                and "deletionTimestamp" not in metadata
            )
        if not self._may_adopt:
            return False
        others = obj["metadata"].get("ownerReferences") or []
        return await self._set_owners(obj, [*others, self._reference])

    async def _release(self, obj: Object) -> None:
        uid = self._owner["metadata"]["uid"]
        others = obj["metadata"].get("ownerReferences") or []
        await self._set_owners(obj, [each for each in others if each["uid"] != uid])

    async def _set_owners(self, obj: Object, references: list[Object]) -> bool:
        metadata = obj["metadata"]
        # The resourceVersion makes the list of owners safe to replace as a whole.
        patch = {
            "metadata": {
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
                "ownerReferences": references,
            }
        }
        try:
            await self._client.patch(
                self._resource, metadata["name"], patch, metadata.get("namespace")
            )
        except StatusError as error:
            if is_not_found(error) or error.reason == INVALID:
                return False  # gone, or owned by another controller by now
            raise
        return True
