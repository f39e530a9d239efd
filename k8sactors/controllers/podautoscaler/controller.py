"""Looks at each autoscaler every 15 seconds, and scales its target through `scale`.

The history of an autoscaler (recommendations, changes) is in memory, as in the real controller: a
new leader begins with what is there.
"""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.api import selectors
from k8sactors.api.errors import SelectorError, StatusError, UnknownKindError
from k8sactors.api.meta import format_time, set_condition
from k8sactors.client import object_key
from k8sactors.controllers.errors import MetricsError
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.podautoscaler.behavior import Behavior, History
from k8sactors.controllers.podautoscaler.metrics import SimulatedMetrics
from k8sactors.controllers.podautoscaler.replicas import Settings
from k8sactors.controllers.podautoscaler.sources import MetricSources, Reading
from k8sactors.simulation import SECOND

AUTOSCALERS: Final = "horizontalpodautoscalers.autoscaling"
_OWNERS: Final = {
    "Deployment": "deployments.apps",
    "ReplicaSet": "replicasets.apps",
    "StatefulSet": "statefulsets.apps",
    "ReplicationController": "replicationcontrollers",
}


@attrs.frozen
class HorizontalPodAutoscalerOptions(ControllerOptions):
    """As the flags `--horizontal-pod-autoscaler-*`."""

    concurrent_horizontal_pod_autoscaler_syncs: int = 5
    horizontal_pod_autoscaler_sync_period_ns: int = 15 * SECOND
    horizontal_pod_autoscaler_tolerance: float = 0.1
    horizontal_pod_autoscaler_cpu_initialization_period_ns: int = 300 * SECOND
    horizontal_pod_autoscaler_initial_readiness_delay_ns: int = 30 * SECOND


@attrs.frozen
class Scale:
    """The target of an autoscaler."""

    # The resource, and the Scale object as it was read.
    resource: str
    obj: Object

    @property
    def replicas(self) -> int:
        """How many pods there are to be."""
        return int((self.obj.get("spec") or {}).get("replicas") or 0)

    @property
    def status(self) -> Object:
        """How many there are, and which."""
        found: Object = self.obj.get("status") or {}
        return found


class HorizontalPodAutoscalerController(Controller):
    """Scales the targets of HorizontalPodAutoscalers."""

    name = "horizontal-pod-autoscaler-controller"
    aliases = ("horizontalpodautoscaling",)
    component = "horizontal-pod-autoscaler"
    service_account = "horizontal-pod-autoscaler"
    options_type = HorizontalPodAutoscalerOptions
    options: HorizontalPodAutoscalerOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self.workers = self.options.concurrent_horizontal_pod_autoscaler_syncs
        self._autoscalers = self.informer(AUTOSCALERS)
        self._autoscalers.add_handler(
            on_add=self.enqueue, on_update=self._updated, on_delete=self.enqueue
        )
        self._pods = self.informer("pods")
        owners = {kind: self.informer(resource) for kind, resource in _OWNERS.items()}
        self._sources = MetricSources(SimulatedMetrics(owners), self._described)
        self._histories: dict[str, History] = {}

    def _updated(self, old: Object, new: Object) -> None:
        if old["spec"] != new["spec"]:
            self.enqueue(new)

    async def _described(self, namespace: str, reference: Object) -> Object:
        """The object that a metric describes."""
        try:
            info = self.manager.scheme.kind(reference["apiVersion"], reference["kind"])
        except UnknownKindError as error:
            raise MetricsError(str(error)) from error
        # The real one asks the metrics API, which may see every object.
        return await self.manager.client.get(info.name, reference["name"], namespace)

    async def reconcile(self, key: str) -> None:
        """One look; the next one comes by itself."""
        autoscaler = self._autoscalers.lister.get_by_key(key)
        if autoscaler is None:
            self._histories.pop(key, None)
            return
        self.queue.add_after(key, self.options.horizontal_pod_autoscaler_sync_period_ns)
        look = _Look(self, autoscaler, self._histories.setdefault(key, History()))
        await look.run()
        if look.status != (autoscaler.get("status") or {}):
            await self.client.update_status(AUTOSCALERS, {**autoscaler, "status": look.status})

    async def scale_of(self, autoscaler: Object) -> Scale:
        """The scale of the target.

        Raises:
            MetricsError: its kind is not served, or has no scale.
            StatusError: the API server refused it.
        """
        target = autoscaler["spec"]["scaleTargetRef"]
        api_version, kind = target.get("apiVersion") or "v1", target["kind"]
        try:
            info = self.manager.scheme.kind(api_version, kind)
        except UnknownKindError as error:
            group = api_version.rpartition("/")[0]
            message = f'no matches for kind "{kind}" in group "{group}"'
            raise MetricsError(message) from error
        scale = await self.client.request(
            "get",
            info.name,
            namespace=autoscaler["metadata"].get("namespace"),
            name=target["name"],
            subresource="scale",
        )
        return Scale(info.name, scale)

    async def rescale(self, scale: Scale, replicas: int) -> None:
        """Ask for another number of pods."""
        spec = {**(scale.obj.get("spec") or {}), "replicas": replicas}
        await self.client.update(scale.resource, {**scale.obj, "spec": spec}, "scale")

    def pods_of(self, namespace: str, selector: str) -> list[Object]:
        """The pods that a selector matches."""
        return self._pods.lister.list(namespace, selectors.parse_label_selector(selector))

    def settings(self, behavior: Behavior) -> Settings:
        """What is left out of account for one autoscaler."""
        own = self.options.horizontal_pod_autoscaler_tolerance
        up, down = behavior.tolerances
        return Settings(
            own if up is None else float(up),
            own if down is None else float(down),
            self.options.horizontal_pod_autoscaler_cpu_initialization_period_ns,
            self.options.horizontal_pod_autoscaler_initial_readiness_delay_ns,
        )

    async def read(self, look: Reading) -> None:
        """Ask all metrics of an autoscaler."""
        await self._sources.read(look)


class _Look:
    """One look at one autoscaler."""

    def __init__(
        self, controller: HorizontalPodAutoscalerController, autoscaler: Object, history: History
    ) -> None:
        self._controller = controller
        self._autoscaler = autoscaler
        self._history = history
        self._wall_ns = controller.ctx.wall_ns()
        self._now = format_time(self._wall_ns)
        self._behavior = Behavior(autoscaler["spec"])
        self.status: Object = dict(autoscaler.get("status") or {})
        self.status["observedGeneration"] = autoscaler["metadata"].get("generation", 0)
        self.status.setdefault("desiredReplicas", 0)

    def _event(self, kind: str, reason: str, message: str) -> None:
        self._controller.recorder.event(self._autoscaler, kind, reason, message)

    def _set(self, kind: str, holds: bool, reason: str, message: str) -> None:
        condition = {
            "type": kind,
            "status": "True" if holds else "False",
            "reason": reason,
            "message": message,
        }
        conditions = self.status.get("conditions")
        self.status["conditions"] = set_condition(conditions, condition, self._now)

    async def run(self) -> None:
        """Read the scale, decide, scale."""
        try:
            scale = await self._controller.scale_of(self._autoscaler)
        except (StatusError, MetricsError) as error:
            text = error.message if isinstance(error, StatusError) else str(error)
            self._event("Warning", "FailedGetScale", text)
            message = f"the HPA controller was unable to get the target's current scale: {text}"
            self._set("AbleToScale", False, "FailedGetScale", message)
            return
        message = "the HPA controller was able to get the target's current scale"
        self._set("AbleToScale", True, "SucceededGetScale", message)
        current = scale.replicas
        self._history.begin(current, self._wall_ns)
        decided = await self._decide(scale, current)
        if decided is None:
            self.status["currentReplicas"] = current
            return
        desired, reason = decided
        if desired != current and not await self._rescale(scale, current, desired, reason):
            self.status["currentReplicas"] = current
            return
        self.status |= {"currentReplicas": current, "desiredReplicas": desired}

    async def _decide(self, scale: Scale, current: int) -> tuple[int, str] | None:
        """How many replicas there shall be, and why; None: nothing can be said."""
        spec = self._autoscaler["spec"]
        least = 1 if spec.get("minReplicas") is None else spec["minReplicas"]
        if current == 0 and least != 0:
            message = "scaling is disabled since the replica count of the target is zero"
            self._set("ScalingActive", False, "ScalingDisabled", message)
            return 0, ""
        if current > spec["maxReplicas"]:
            return spec["maxReplicas"], "Current number of replicas above Spec.MaxReplicas"
        if current < least:
            return least, "Current number of replicas below Spec.MinReplicas"
        reading = await self._read(scale, current)
        if reading is None:
            return None
        wanted, metric = reading
        reason = f"{metric} above target" if wanted > current else "All metrics below target"
        verdict = self._behavior.follow(self._history, current, wanted, self._wall_ns)
        self._set("AbleToScale", True, *verdict.stabilized)
        self._set("ScalingLimited", verdict.limited, *verdict.limit)
        return verdict.replicas, reason

    async def _read(self, scale: Scale, current: int) -> tuple[int, str] | None:
        """What the metrics ask for, and which of them; None: they cannot be had."""
        selector = scale.status.get("selector") or ""
        namespace = self._autoscaler["metadata"].get("namespace") or ""
        if not selector:
            self._event("Warning", "SelectorRequired", "selector is required")
            message = "the HPA target's scale is missing a selector"
            self._set("ScalingActive", False, "InvalidSelector", message)
            return None
        try:
            pods = self._controller.pods_of(namespace, selector)
        except SelectorError as error:
            text = (
                f"couldn't convert selector into a corresponding internal selector object: {error}"
            )
            self._event("Warning", "InvalidSelector", text)
            self._set("ScalingActive", False, "InvalidSelector", text)
            return None
        reading = Reading(
            self._autoscaler,
            pods,
            current,
            int(scale.status.get("replicas") or 0),
            self._controller.settings(self._behavior),
            self._wall_ns,
        )
        await self._controller.read(reading)
        for reason, text in reading.failures:
            self._event("Warning", reason, text)
        if reading.statuses:
            self.status["currentMetrics"] = reading.statuses
        if reading.failures and (
            reading.wanted is None
            or len(reading.failures) == reading.count
            or reading.wanted < current
        ):
            reason, text = reading.failures[0]
            message = f"the HPA was unable to compute the replica count: {text}"
            self._set("ScalingActive", False, reason, message)
            self._event("Warning", "FailedComputeMetricsReplicas", reading.summary())
            return None
        assert reading.wanted is not None
        message = (
            f"the HPA was able to successfully calculate a replica count from {reading.metric}"
        )
        self._set("ScalingActive", True, "ValidMetricFound", message)
        return reading.wanted, reading.metric

    async def _rescale(self, scale: Scale, current: int, desired: int, reason: str) -> bool:
        size = f"New size: {desired}; reason: {reason}"
        try:
            await self._controller.rescale(scale, desired)
        except StatusError as error:
            self._event("Warning", "FailedRescale", f"{size}; error: {error.message}")
            text = f"the HPA controller was unable to update the target scale: {error.message}"
            self._set("AbleToScale", False, "FailedUpdateScale", text)
            return False
        text = f"the HPA controller was able to update the target scale to {desired}"
        self._set("AbleToScale", True, "SucceededRescale", text)
        self._event("Normal", "SuccessfulRescale", size)
        self._history.changed(desired - current, self._wall_ns)
        self.status["lastScaleTime"] = self._now
        self._controller.log.debug(
            "rescaled", autoscaler=object_key(self._autoscaler), replicas=desired
        )
        return True
