"""CSR approving: client certificates of kubelets, for users who may have them.

Two rights say so, as virtual subresources of signing requests: `selfnodeclient` (a node renews its
own certificate) and `nodeclient` (a bootstrap token asks for the first one).
"""

from __future__ import annotations

from typing import Final

from k8sactors.api.meta import format_time
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.signing_requests import (
    KUBELET_CLIENT,
    REQUESTS,
    condition_types,
)

_REVIEWS: Final = "subjectaccessreviews.authorization.k8s.io"
_OWN: Final = ("selfnodeclient", "Auto approving self kubelet client certificate")
_ANY: Final = ("nodeclient", "Auto approving kubelet client certificate")


class CSRApproving(Controller):
    """Reconciles signing requests that are not decided."""

    name = "certificatesigningrequest-approving-controller"
    aliases = ("csrapproving",)
    service_account = "certificate-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._requests = self.watch_own(REQUESTS)

    async def reconcile(self, key: str) -> None:
        """Approve one request, if it is one of those and its user may have it."""
        request = self._requests.lister.get(None, key)
        if request is None or request["spec"]["signerName"] != KUBELET_CLIENT:
            return
        if condition_types(request) or (request.get("status") or {}).get("certificate"):
            return
        from k8sactors.controllers.machinery import (  # noqa: PLC0415 - cryptography loads late
            certificates,
        )

        asked = certificates.parsed(request)
        if asked is None or certificates.problem_of(request, asked):
            return
        own = certificates.common_name(asked) == request["spec"].get("username")
        for right, message in (_OWN, _ANY) if own else (_ANY,):
            if await self._may(request, right):
                await self._approve(request, f"{message} after SubjectAccessReview.")
                return

    async def _may(self, request: Object, right: str) -> bool:
        spec = request["spec"]
        attributes = {
            "group": "certificates.k8s.io",
            "resource": "certificatesigningrequests",
            "verb": "create",
            "subresource": right,
        }
        review: Object = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SubjectAccessReview",
            "metadata": {},
            "spec": {"user": spec.get("username", ""), "resourceAttributes": attributes},
        }
        for field in ("uid", "groups", "extra"):
            if spec.get(field):
                review["spec"][field] = spec[field]
        answer = await self.client.create(_REVIEWS, review)
        return bool(answer["status"].get("allowed"))

    async def _approve(self, request: Object, message: str) -> None:
        now = format_time(self.ctx.wall_ns())
        approved = {
            "type": "Approved",
            "status": "True",
            "reason": "AutoApproved",
            "message": message,
            "lastUpdateTime": now,
            "lastTransitionTime": now,
        }
        status = {**(request.get("status") or {}), "conditions": [approved]}
        await self.client.update(REQUESTS, {**request, "status": status}, "approval")
