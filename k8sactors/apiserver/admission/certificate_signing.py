"""CertificateSigning: only those who may sign for a signer issue its certificates.

Source: documentation of admission controllers, "CertificateSigning".
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin
from k8sactors.apiserver.signer_rights import may_act_for_signer

REQUESTS: Final = "certificatesigningrequests.certificates.k8s.io"


class CertificateSigning(Plugin):
    """Looks at updates of `status` that change the certificate or the conditions."""

    order: ClassVar[int] = 250
    resources: ClassVar[tuple[str, ...] | None] = (REQUESTS,)
    operations: ClassVar[tuple[Operation, ...]] = ("UPDATE",)
    subresources: ClassVar[tuple[str, ...] | None] = ("status",)

    def validate(self, attributes: Attributes) -> None:
        """403 without the right to sign for the signer."""
        new, old = attributes.obj, attributes.old
        assert new is not None
        assert old is not None
        before, after = old.get("status") or {}, new.get("status") or {}
        if all(before.get(field) == after.get(field) for field in ("certificate", "conditions")):
            return
        signer = old["spec"].get("signerName") or ""
        authorizer = self.cluster.environment.authorizer
        if not may_act_for_signer(authorizer, attributes.user, "sign", signer):
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f'user not permitted to sign requests with signerName "{signer}"',
            )
