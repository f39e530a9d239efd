"""DenyServiceExternalIPs: no Service takes over addresses from outside.

Source: documentation of admission controllers, "DenyServiceExternalIPs".
"""

from __future__ import annotations

from typing import ClassVar

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin


class DenyServiceExternalIPs(Plugin):
    """Refuses new `externalIPs`; what is there may stay."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 290
    resources: ClassVar[tuple[str, ...] | None] = ("services",)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes) -> None:
        """403 for an address that is new."""
        new, old = attributes.obj, attributes.old
        assert new is not None
        before = ((old or {}).get("spec") or {}).get("externalIPs") or ()
        added = [each for each in new["spec"].get("externalIPs") or () if each not in before]
        if added:
            text = "Use of external IPs is denied by admission control."
            raise errors.forbidden(attributes.info, attributes.name, text)
