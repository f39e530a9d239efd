"""CertificateApproval: only those who may approve for a signer decide on its requests.

Source: documentation of admission controllers, "CertificateApproval".
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin
from k8sactors.apiserver.signer_rights import may_act_for_signer

REQUESTS: Final = "certificatesigningrequests.certificates.k8s.io"


class CertificateApproval(Plugin):
    """Looks at updates of `approval`."""

    order: ClassVar[int] = 240
    resources: ClassVar[tuple[str, ...] | None] = (REQUESTS,)
    operations: ClassVar[tuple[Operation, ...]] = ("UPDATE",)
    subresources: ClassVar[tuple[str, ...] | None] = ("approval",)

    def validate(self, attributes: Attributes) -> None:
        """403 without the right to approve for the signer."""
        assert attributes.old is not None
        signer = attributes.old["spec"].get("signerName") or ""
        authorizer = self.cluster.environment.authorizer
        if not may_act_for_signer(authorizer, attributes.user, "approve", signer):
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f'user not permitted to approve requests with signerName "{signer}"',
            )
