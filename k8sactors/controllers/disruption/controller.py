"""Keeps the status of disruption budgets, which the eviction API charges.

The status is written with the resourceVersion that was read: an eviction that was let through
meanwhile makes the write fail, so that no charge is ever forgotten.
"""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.api.disruption import with_condition, with_reason
from k8sactors.api.errors import SelectorError, StatusError, UnknownKindError
from k8sactors.api.meta import controller_of, format_time, set_condition
from k8sactors.client import WorkQueue, is_conflict, is_not_found, object_key
from k8sactors.controllers.disruption.counting import (
    desired_healthy,
    healthy,
    needs_scale,
    stale_disruption_in_ns,
    unconfirmed,
)
from k8sactors.controllers.errors import ControllersError, ExpectedCountError
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import Matcher, label_matcher, labels_of
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.pods import is_ready
from k8sactors.simulation import SECOND

BUDGETS: Final = "poddisruptionbudgets.policy"
# Owners whose scale the informers know, by kind.
_KNOWN: Final = {
    ("apps", "Deployment"): "deployments.apps",
    ("apps", "ReplicaSet"): "replicasets.apps",
    ("apps", "StatefulSet"): "statefulsets.apps",
    ("", "ReplicationController"): "replicationcontrollers",
}


@attrs.frozen
class DisruptionOptions(ControllerOptions):
    """When a disruption that was told of and did not come is taken back."""

    stale_pod_disruption_timeout_ns: int = 120 * SECOND


class DisruptionController(Controller):
    """Counts the healthy pods of budgets."""

    name = "disruption-controller"
    aliases = ("disruption",)
    component = "controllermanager"
    options_type = DisruptionOptions
    options: DisruptionOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = 1
        self._budgets = self.watch_own(BUDGETS)
        self._owners = {key: self.informer(resource) for key, resource in _KNOWN.items()}
        for informer in self._owners.values():
            informer.add_handler(on_update=self._owner_changed)
        self._pods = self.informer("pods")
        self._pods.add_handler(
            on_add=self._pod_added, on_update=self._pod_changed, on_delete=self._enqueue_budgets_of
        )
        # Pods whose condition DisruptionTarget may be out of date.
        self._stale = WorkQueue(manager.ctx)

    # --- events

    def _pod_added(self, pod: Object) -> None:
        self._watch_condition(pod)
        self._enqueue_budgets_of(pod)

    def _pod_changed(self, old: Object, pod: Object) -> None:
        self._watch_condition(pod)
        if not self._budgets.lister.any():
            return
        if _counts_as(old) != _counts_as(pod):
            self._enqueue_budgets_of(pod)
            if labels_of(old) != labels_of(pod):
                self._enqueue_budgets_of(old)

    def _watch_condition(self, pod: Object) -> None:
        status = pod.get("status")
        # Spelled out: this runs for every change of every pod.
        for condition in (status.get("conditions") if status else None) or ():
            if condition["type"] == "DisruptionTarget":
                break
        else:
            return
        wait_ns = stale_disruption_in_ns(
            pod, self.ctx.wall_ns(), self.options.stale_pod_disruption_timeout_ns
        )
        if wait_ns is not None:
            self._stale.add_after(object_key(pod), wait_ns)

    def _owner_changed(self, old: Object, new: Object) -> None:
        """The scale of an owner counts, so all budgets near it are looked at."""
        if not self._budgets.lister.any():
            return
        if old["spec"].get("replicas") != new["spec"].get("replicas"):
            for budget in self._budgets.lister.list(new["metadata"].get("namespace")):
                self.enqueue(budget)

    def _enqueue_budgets_of(self, pod: Object) -> None:
        if not self._budgets.lister.any():
            return
        for budget in self._budgets.lister.list(pod["metadata"].get("namespace")):
            if _matcher(budget)(labels_of(pod)):
                self.enqueue(budget)

    # --- budgets

    async def reconcile(self, key: str) -> None:
        """Count the pods of one budget; where they cannot be counted, none may be evicted."""
        budget = self._budgets.lister.get_by_key(key)
        if budget is None:
            return
        try:
            status = await self._status(key, budget)
        except StatusError as error:
            if is_conflict(error):
                raise
            status = self._failed(budget, error.message)
        except ControllersError as error:
            status = self._failed(budget, str(error))
        if status != budget.get("status"):
            await self.client.update_status(BUDGETS, {**budget, "status": status})

    def _failed(self, budget: Object, message: str) -> Object:
        text = f"Failed to calculate the number of expected pods: {message}"
        self.recorder.event(budget, "Warning", "CalculateExpectedPodCountFailed", text)
        status = {**(budget.get("status") or {}), "disruptionsAllowed": 0}
        return with_reason(status, "False", "SyncFailed", message, format_time(self.ctx.wall_ns()))

    async def _status(self, key: str, budget: Object) -> Object:
        matches = _matcher(budget)
        namespace = budget["metadata"].get("namespace")
        pods = [pod for pod in self._pods.lister.list(namespace) if matches(labels_of(pod))]
        if not pods:
            self.recorder.event(budget, "Normal", "NoPods", "No matching pods found")
        expected = await self._expected(budget, pods)
        wanted, wall_ns = desired_healthy(budget, expected), self.ctx.wall_ns()
        leaving, stayed, recheck_ns = unconfirmed(budget, pods, wall_ns)
        for pod in stayed:
            metadata = budget["metadata"]
            message = (
                f"Pod was expected by PDB {metadata.get('namespace')}/{metadata['name']} to be "
                "deleted but it wasn't"
            )
            self.recorder.event(pod, "Warning", "NotDeleted", message)
        if recheck_ns is not None:
            self.queue.add_after(key, recheck_ns - wall_ns)
        current = healthy(pods, leaving)
        # While no pods are expected, none may go: the first may have come just now.
        allowed = max(0, current - wanted) if expected > 0 else 0
        status: Object = {
            "currentHealthy": current,
            "desiredHealthy": wanted,
            "expectedPods": expected,
            "disruptionsAllowed": allowed,
            "observedGeneration": budget["metadata"].get("generation", 0),
        }
        if leaving:
            status["disruptedPods"] = leaving
        before = (budget.get("status") or {}).get("conditions")
        if before:
            status["conditions"] = before
        return with_condition(status, format_time(wall_ns))

    async def _expected(self, budget: Object, pods: list[Object]) -> int:
        """How many pods there should be."""
        if not needs_scale(budget):
            return len(pods)
        scales: dict[str, int] = {}
        unmanaged = False
        for pod in pods:
            reference = controller_of(pod)
            if reference is None:
                unmanaged = True
            elif reference["uid"] not in scales:
                uid, scale = await self._scale(pod, reference)
                scales[reference["uid"]] = 0
                scales[uid] = scale
        if unmanaged:
            self._tell_unmanaged(budget)
        return sum(scales.values())

    async def _scale(self, pod: Object, reference: Object) -> tuple[str, int]:
        """UID and scale of what says how many such pods there are.

        Raises:
            ExpectedCountError: nothing says so.
            StatusError: the API server cannot tell.
        """
        namespace = pod["metadata"].get("namespace")
        owner = self._known(namespace, reference)
        if owner is not None:
            above = controller_of(owner)
            deployment = None if above is None else self._known(namespace, above)
            if deployment is not None and deployment["kind"] == "Deployment":
                owner = deployment
            replicas = owner["spec"].get("replicas")
            return owner["metadata"]["uid"], 1 if replicas is None else int(replicas)
        found = await self._asked_scale(namespace, reference)
        if found is None:
            raise ExpectedCountError(f'found no controllers for pod "{pod["metadata"]["name"]}"')
        return found

    def _known(self, namespace: str | None, reference: Object) -> Object | None:
        group = reference["apiVersion"].rpartition("/")[0]
        informer = self._owners.get((group, reference["kind"]))
        owner = None if informer is None else informer.lister.get(namespace, reference["name"])
        return owner if owner is None or owner["metadata"]["uid"] == reference["uid"] else None

    async def _asked_scale(
        self, namespace: str | None, reference: Object
    ) -> tuple[str, int] | None:
        """The scale subresource of an owner of any other kind."""
        try:
            info = self.manager.scheme.kind(reference["apiVersion"], reference["kind"])
        except UnknownKindError as error:
            raise ExpectedCountError(str(error)) from error
        if "scale" not in info.subresources:
            raise ExpectedCountError(f"{info.name} does not implement the scale subresource")
        try:
            scale = await self.client.request(
                "get",
                info.name,
                namespace=namespace,
                name=reference["name"],
                subresource="scale",
            )
        except StatusError as error:
            if is_not_found(error):
                return None
            raise
        if scale["metadata"].get("uid") != reference["uid"]:
            return None
        return reference["uid"], int((scale.get("spec") or {}).get("replicas") or 0)

    def _tell_unmanaged(self, budget: Object) -> None:
        message = (
            "Pods selected by this PodDisruptionBudget (selector: "
            f"{_go_selector(budget['spec'].get('selector') or {})}) were found to be unmanaged. "
            "As a result, the status of the PDB cannot be calculated correctly, which may result "
            "in undefined behavior. To account for these pods please set "
            '".spec.minAvailable" field of the PDB to an integer value.'
        )
        self.recorder.event(budget, "Warning", "UnmanagedPods", message)

    # --- disruptions that were announced and did not come

    def start(self) -> None:
        """Begin to count, and to take back what did not come."""
        super().start()
        self.manager.spawn(self._work_on_stale)

    def stop(self) -> None:
        """Take no more keys."""
        super().stop()
        self._stale.shut_down()

    async def _work_on_stale(self) -> None:
        while (key := await self._stale.get()) is not None:
            try:
                await self._clear(key)
            except StatusError as error:
                self.log.debug("cannot clear a condition", pod=key, error=error.message)
                self._stale.add_rate_limited(key)
            else:
                self._stale.forget(key)
            self._stale.done(key)

    async def _clear(self, key: str) -> None:
        pod = self._pods.lister.get_by_key(key)
        if pod is None:
            return
        wall_ns, timeout_ns = self.ctx.wall_ns(), self.options.stale_pod_disruption_timeout_ns
        wait_ns = stale_disruption_in_ns(pod, wall_ns, timeout_ns)
        if wait_ns is None:
            return
        if wait_ns > 0:
            self._stale.add_after(key, wait_ns)
            return
        status = pod["status"]
        cleared = {"type": "DisruptionTarget", "status": "False", "reason": "", "message": ""}
        conditions = set_condition(status["conditions"], cleared, format_time(wall_ns))
        await self.client.update_status(
            "pods", {**pod, "status": {**status, "conditions": conditions}}
        )


def _matcher(budget: Object) -> Matcher:
    """Which labels the budget is about; without a selector, or with an invalid one, none."""
    selector = budget["spec"].get("selector")
    try:
        return _nothing if selector is None else label_matcher(selector)
    except SelectorError:
        return _nothing


def _nothing(_labels: dict[str, str]) -> bool:
    return False


def _counts_as(pod: Object) -> tuple[Any, ...]:
    """What of a pod its budgets depend on."""
    metadata = pod["metadata"]
    return (
        is_ready(pod),
        "deletionTimestamp" in metadata,
        metadata.get("labels"),
        metadata.get("ownerReferences"),
    )


def _go_selector(selector: Object) -> str:
    """A LabelSelector as the real controller prints it."""
    labels = "".join(
        f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items())
    )
    rules = "".join(
        f"LabelSelectorRequirement{{Key:{rule['key']},Operator:{rule['operator']},"
        f"Values:[{' '.join(rule.get('values') or ())}],}},"
        for rule in selector.get("matchExpressions") or ()
    )
    return (
        f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},"
        f"MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}"
    )
