"""Who controls what: the controller's ownerReference, adoption and release.

An object has at most one owner with `controller: true`. A controller adopts orphans that its
selector matches, and releases what it owns once the selector no longer matches. Both carry the UID
of the object that was seen, so that a namesake is never touched; before it adopts, the controller
asks the API server (not its cache) whether it still exists itself.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from k8sactors.api import selectors
from k8sactors.api.errors import StatusError
from k8sactors.api.meta import controller_of, owner_reference
from k8sactors.client import Client, SharedInformer, is_not_found
from k8sactors.controllers.machinery.selector_index import label_values, selector_value

Object = dict[str, Any]
CONTROLLER_INDEX = "controller"
INVALID = "Invalid"


def controller_index(obj: Object) -> str | list[str]:
    """Index value: the controller's coordinates; without one, what selectors look for."""
    reference = controller_of(obj)
    if reference is None:
        return label_values(obj)
    return _controller_value(obj, reference["kind"], reference["name"], reference["uid"])


def _controller_value(obj: Object, kind: str, name: str, uid: str) -> str:
    # As PodControllerIndexKey of kube-controller-manager: a UID alone names no owner.
    return f"{obj['metadata'].get('namespace')}/{kind}/{name}/{uid}"


def controlled_by(informer: SharedInformer, owner: Object) -> list[Object]:
    """The objects that name `owner` as their controller."""
    metadata = owner["metadata"]
    value = _controller_value(owner, owner["kind"], metadata["name"], metadata["uid"])
    return informer.by_index(CONTROLLER_INDEX, value)


def siblings_of(informer: SharedInformer, obj: Object) -> list[Object]:
    """The objects with the same controller as one that has a controller, itself included."""
    value = controller_index(obj)
    assert isinstance(value, str), "it has a controller"
    return informer.by_index(CONTROLLER_INDEX, value)


def orphans_for(informer: SharedInformer, namespace: str | None, selector: Object) -> list[Object]:
    """Objects without a controller that a label selector may match, by one of its labels."""
    value = selector_value(namespace, selector.get("matchLabels"))
    return informer.by_index(CONTROLLER_INDEX, value)


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


class ControllerRefManager:
    """Adopts and releases objects of one resource in the name of one owner.

    What is adopted gets `finalizers`, and loses them when it is released.
    """

    def __init__(
        self,
        client: Client,
        resource: str,
        owner: Object,
        matches: Matcher,
        read_owner: Callable[[], Awaitable[Object]],
        finalizers: Sequence[str] = (),
    ) -> None:
        self._client = client
        self._resource = resource
        self._owner = owner
        self._matches = matches
        self._read_owner = read_owner
        self._finalizers = finalizers
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
                claimed.append(self._with_finalizers(obj))
        return claimed

    def _with_finalizers(self, obj: Object) -> Object:
        """An adopted object as the informer will show it."""
        if not self._finalizers:
            return obj
        metadata = {**obj["metadata"], "finalizers": self._finalizers_of(obj, adopted=True)}
        return {**obj, "metadata": metadata}

    def _finalizers_of(self, obj: Object, *, adopted: bool) -> list[str]:
        present = obj["metadata"].get("finalizers") or []
        others = [name for name in present if name not in self._finalizers]
        return [*others, *self._finalizers] if adopted else others

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
        references = [*others, owner_reference(self._owner)]
        return await self._set_owners(obj, references, adopted=True)

    async def _release(self, obj: Object) -> None:
        uid = self._owner["metadata"]["uid"]
        others = obj["metadata"].get("ownerReferences") or []
        references = [each for each in others if each["uid"] != uid]
        await self._set_owners(obj, references, adopted=False)

    async def _set_owners(self, obj: Object, references: list[Object], *, adopted: bool) -> bool:
        metadata = obj["metadata"]
        # The resourceVersion makes the lists safe to replace as a whole.
        changed: Object = {
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
            "ownerReferences": references,
        }
        if self._finalizers:
            changed["finalizers"] = self._finalizers_of(obj, adopted=adopted)
        patch = {"metadata": changed}
        try:
            await self._client.patch(
                self._resource, metadata["name"], patch, metadata.get("namespace")
            )
        except StatusError as error:
            if is_not_found(error) or error.reason == INVALID:
                return False  # gone, or owned by another controller by now
            raise
        return True
