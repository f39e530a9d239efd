"""CSR cleaner: signing requests go when they are old.

Sources: documentation of certificate signing requests, "Request lifetime": an hour after they were
denied, failed or issued, a day while they are pending or only approved.
"""

from __future__ import annotations

from typing import Final

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import parse_time
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.signing_requests import REQUESTS
from k8sactors.simulation import SECOND

DECIDED_NS: Final = 3_600 * SECOND
PENDING_NS: Final = 24 * 3_600 * SECOND


def _ends_at_ns(request: Object) -> int:
    """When the request goes, as its conditions and certificate say."""
    status = request.get("status") or {}
    conditions = status.get("conditions") or ()
    decided = [
        parse_time(each["lastUpdateTime"])
        for each in conditions
        if each.get("lastUpdateTime")
        and (each["type"] in {"Denied", "Failed"} or status.get("certificate"))
    ]
    if decided:
        return max(decided) + DECIDED_NS
    return parse_time(request["metadata"]["creationTimestamp"]) + PENDING_NS


class CSRCleaner(Controller):
    """Reconciles signing requests; each is looked at again when its time comes."""

    name = "certificatesigningrequest-cleaner-controller"
    aliases = ("csrcleaner",)
    service_account = "certificate-controller"

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._requests = self.watch_own(REQUESTS)

    async def reconcile(self, key: str) -> None:
        """Delete one request if it is old, or come back when it is."""
        request = self._requests.lister.get(None, key)
        if request is None:
            return
        wait_ns = _ends_at_ns(request) - self.ctx.wall_ns()
        if wait_ns > 0:
            self.queue.add_after(key, wait_ns)
            return
        try:
            await self.client.delete(REQUESTS, key)
        except StatusError as error:
            if not is_not_found(error):
                raise
