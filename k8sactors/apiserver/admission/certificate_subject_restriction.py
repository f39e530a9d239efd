"""CertificateSubjectRestriction: no kubelet-client certificate makes its owner an administrator.

Source: documentation of admission controllers, "CertificateSubjectRestriction".
"""

from __future__ import annotations

from typing import ClassVar, Final

from k8sactors.api import errors
from k8sactors.api.user import MASTERS
from k8sactors.api.validation.certificates import requested_groups
from k8sactors.apiserver.admission_chain import Attributes, Plugin

REQUESTS: Final = "certificatesigningrequests.certificates.k8s.io"
CLIENT_SIGNER: Final = "kubernetes.io/kube-apiserver-client"


class CertificateSubjectRestriction(Plugin):
    """Reads the subject of what is to be signed."""

    order: ClassVar[int] = 270
    resources: ClassVar[tuple[str, ...] | None] = (REQUESTS,)

    def validate(self, attributes: Attributes) -> None:
        """403 for the group of administrators."""
        assert attributes.obj is not None
        spec = attributes.obj["spec"]
        if spec.get("signerName") != CLIENT_SIGNER:
            return
        if MASTERS in requested_groups(spec.get("request") or ""):
            raise errors.forbidden(
                attributes.info,
                attributes.name,
                f"use of {CLIENT_SIGNER} signer with {MASTERS} group is not allowed",
            )
