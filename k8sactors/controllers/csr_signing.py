"""CSR signing: certificates for approved requests to the signers of Kubernetes itself.

The CA is given as PEM, as `--cluster-signing-cert-file` and `-key-file` would; without one each
controller manager makes its own, from its random stream.
"""

from __future__ import annotations

import base64
from typing import Any, Final

import attrs

from k8sactors.api.meta import format_time
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.signing_requests import (
    CLIENT,
    KUBELET_CLIENT,
    KUBELET_SERVING,
    LEGACY,
    REQUESTS,
    condition_types,
)
from k8sactors.simulation import SECOND

SIGNERS: Final = frozenset({CLIENT, KUBELET_CLIENT, KUBELET_SERVING, LEGACY})


@attrs.frozen
class CSRSigningOptions(ControllerOptions):
    """The CA, and how long a certificate lasts at most."""

    cluster_signing_cert: str = ""
    cluster_signing_key: str = attrs.field(default="", repr=False)
    cluster_signing_duration_ns: int = 365 * 24 * 3_600 * SECOND


class CSRSigning(Controller):
    """Reconciles approved signing requests."""

    name = "certificatesigningrequest-signing-controller"
    aliases = ("csrsigning",)
    service_account = "certificate-controller"
    options_type = CSRSigningOptions
    options: CSRSigningOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._requests = self.watch_own(REQUESTS)
        # An Authority, once there is something to sign.
        self._authority: Any = None

    async def reconcile(self, key: str) -> None:
        """Sign one request, or say why it cannot be signed."""
        request = self._requests.lister.get(None, key)
        if request is None or request["spec"]["signerName"] not in SIGNERS:
            return
        status = request.get("status") or {}
        if condition_types(request) != {"Approved"} or status.get("certificate"):
            return
        certificate, problem = self._sign(request)
        if problem:
            now = format_time(self.ctx.wall_ns())
            failed = {
                "type": "Failed",
                "status": "True",
                "reason": "SignerValidationFailure",
                "message": problem,
                "lastUpdateTime": now,
                "lastTransitionTime": now,
            }
            status = {**status, "conditions": [*status["conditions"], failed]}
        else:
            status = {**status, "certificate": base64.b64encode(certificate).decode()}
        await self.client.update_status(REQUESTS, {**request, "status": status})

    def _sign(self, request: Object) -> tuple[bytes, str]:
        """The certificate as PEM, or why there is none."""
        from k8sactors.controllers.machinery import (  # noqa: PLC0415 - cryptography loads late
            certificates,
        )

        asked = certificates.parsed(request)
        if asked is None:
            return b"", "unable to parse the request"
        problem = certificates.problem_of(request, asked)
        if problem:
            return b"", problem
        if self._authority is None:
            pair = self.options.cluster_signing_cert, self.options.cluster_signing_key
            self._authority = certificates.Authority(self.ctx.random, *pair)
        spec = request["spec"]
        duration_ns = self.options.cluster_signing_duration_ns
        if spec.get("expirationSeconds"):
            duration_ns = min(duration_ns, spec["expirationSeconds"] * SECOND)
        pem: bytes = self._authority.sign(asked, spec["usages"], self.ctx.wall_ns(), duration_ns)
        return pem, ""
