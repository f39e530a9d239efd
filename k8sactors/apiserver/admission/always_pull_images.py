"""AlwaysPullImages: every image is pulled again, so that each pod proves its right to it.

Source: documentation of admission controllers, "AlwaysPullImages".
"""

from __future__ import annotations

from typing import Any, ClassVar

from k8sactors.api import errors
from k8sactors.api.errors import FIELD_VALUE_NOT_SUPPORTED, Cause
from k8sactors.api.pod_references import CONTAINERS
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin

Object = dict[str, Any]

ALWAYS = "Always"


class AlwaysPullImages(Plugin):
    """Sets `imagePullPolicy`."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 100
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    subresources: ClassVar[tuple[str, ...] | None] = ("", "ephemeralcontainers")
    repeatable: ClassVar[bool] = True

    def admit(self, attributes: Attributes) -> None:
        """Set the policy of every container whose image is new."""
        obj = attributes.obj
        assert obj is not None
        if _images_known(attributes):
            return
        changed = {
            field: [{**each, "imagePullPolicy": ALWAYS} for each in obj["spec"].get(field) or ()]
            for field in CONTAINERS
            if obj["spec"].get(field)
        }
        obj["spec"] = {**obj["spec"], **changed}

    def validate(self, attributes: Attributes) -> None:
        """422 where another policy has been put in since."""
        obj = attributes.obj
        assert obj is not None
        if _images_known(attributes):
            return
        causes = [
            Cause(
                f"spec.{field}[{index}].imagePullPolicy",
                FIELD_VALUE_NOT_SUPPORTED,
                f'Unsupported value: "{each.get("imagePullPolicy", "")}": supported values: '
                f'"{ALWAYS}"',
            )
            for field in CONTAINERS
            for index, each in enumerate(obj["spec"].get(field) or ())
            if each.get("imagePullPolicy") != ALWAYS
        ]
        if causes:
            text = errors.aggregate(causes)
            raise errors.forbidden(attributes.info, attributes.name, text)


def _images_known(attributes: Attributes) -> bool:
    """Whether an update brings no image that the pod does not have already."""
    old, new = attributes.old, attributes.obj
    if old is None or new is None:
        return False
    return _images(new) <= _images(old)


def _images(pod: Object) -> set[str]:
    return {each["image"] for field in CONTAINERS for each in pod["spec"].get(field) or ()}
