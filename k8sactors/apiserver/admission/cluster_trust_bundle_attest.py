"""ClusterTrustBundleAttest: only those who may attest for a signer publish its trust bundles.

Source: documentation of admission controllers, "ClusterTrustBundleAttest".
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin
from k8sactors.apiserver.signer_rights import may_act_for_signer

BUNDLES: Final = "clustertrustbundles.certificates.k8s.io"


class ClusterTrustBundleAttest(Plugin):
    """Looks at bundles with a signer, whether they had one before or have one now."""

    order: ClassVar[int] = 260
    resources: ClassVar[tuple[str, ...] | None] = (BUNDLES,)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")

    def validate(self, attributes: Attributes) -> None:
        """403 without the right to attest for the signer."""
        authorizer = self.cluster.environment.authorizer
        signers = {
            (obj.get("spec") or {}).get("signerName") or "": None
            for obj in (attributes.old, attributes.obj)
            if obj is not None
        }
        for signer in signers:
            if signer and not may_act_for_signer(authorizer, attributes.user, "attest", signer):
                raise errors.forbidden(
                    attributes.info,
                    attributes.name,
                    f'user not permitted to attest for signerName "{signer}"',
                )
