"""One step of one StatefulSet: which pods are created, deleted and replaced, and in which order.

As UpdateStatefulSet of kube-controller-manager. With OrderedReady each step waits until the pods
before it are available; with Parallel all pods are created and deleted at once, and only the
replacement of pods of an earlier template keeps an order. Scaling goes before updating.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from k8sactors.client import EventRecorder
from k8sactors.controllers.machinery.pod_control import slow_start_batch
from k8sactors.controllers.machinery.pods import is_available, is_finished, is_ready, phase_of
from k8sactors.controllers.statefulset.identity import (
    in_range,
    ordinal_of,
    pod_for,
    replicas_of,
    revision_name,
    start_of,
)
from k8sactors.controllers.statefulset.pod_control import StatefulPodControl

Object = dict[str, Any]
_PERCENT = 100


def is_created(pod: Object) -> bool:
    """Whether the pod is one of the API server, and not only meant to be created."""
    return "uid" in pod["metadata"]


def is_terminating(pod: Object) -> bool:
    """Whether the pod is being deleted."""
    return "deletionTimestamp" in pod["metadata"]


def rolls(stateful_set: Object) -> bool:
    """Whether the update strategy is RollingUpdate, the default."""
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    return bool(strategy.get("type", "RollingUpdate") == "RollingUpdate")


def _rolling_settings(stateful_set: Object) -> Object:
    strategy = stateful_set["spec"].get("updateStrategy") or {}
    return strategy.get("rollingUpdate") or {}


def partition_of(stateful_set: Object) -> int:
    """`updateStrategy.rollingUpdate.partition`: pods of lower ordinals keep their revision."""
    return int(_rolling_settings(stateful_set).get("partition") or 0)


def max_unavailable_of(stateful_set: Object) -> int | None:
    """`updateStrategy.rollingUpdate.maxUnavailable` as a number of pods, None when not set."""
    value = _rolling_settings(stateful_set).get("maxUnavailable")
    if value is None:
        return None
    if isinstance(value, str):
        value = -(-int(value.removesuffix("%")) * replicas_of(stateful_set) // _PERCENT)
    return max(1, value)


class Step:
    """One look at one StatefulSet and its pods, and what follows from it.

    `replicas` has the pods that the set wants, by rising ordinal, those that are missing too;
    `condemned` the others, highest ordinal first.
    """

    def __init__(
        self,
        stateful_set: Object,
        pods: list[Object],
        current: Object,
        update: Object,
        control: StatefulPodControl,
        recorder: EventRecorder,
        wall_ns: int,
    ) -> None:
        self._set = stateful_set
        self._current, self._update = current, update
        self._control = control
        self._recorder = recorder
        self._wall_ns = wall_ns
        self._min_ready_seconds = stateful_set["spec"].get("minReadySeconds") or 0
        self._ordered: bool = stateful_set["spec"].get("podManagementPolicy") != "Parallel"
        by_ordinal = {ordinal_of(pod): pod for pod in pods}
        start = start_of(stateful_set)
        self.replicas = [
            by_ordinal.get(ordinal) or self._new_pod(ordinal)
            for ordinal in range(start, start + replicas_of(stateful_set))
        ]
        self.condemned = sorted(
            (pod for pod in pods if not in_range(ordinal_of(pod), stateful_set)),
            key=ordinal_of,
            reverse=True,
        )
        # The lowest ordinal that is unavailable may be scaled away although others wait for it.
        unavailable = [pod for pod in self.replicas if not self.available(pod)]
        unavailable += [pod for pod in reversed(self.condemned) if not self.available(pod)]
        self._first_unavailable = unavailable[0] if unavailable else None

    def _new_pod(self, ordinal: int) -> Object:
        return pod_for(self._set, ordinal, self._revision_for(ordinal))

    def _revision_for(self, ordinal: int) -> Object:
        if not rolls(self._set):
            return self._update
        if "rollingUpdate" in (self._set["spec"].get("updateStrategy") or {}):
            kept = partition_of(self._set)
        else:
            kept = int((self._set.get("status") or {}).get("currentReplicas") or 0)
        return self._current if ordinal < start_of(self._set) + kept else self._update

    # --- what a pod is

    def running(self, pod: Object) -> bool:
        """Whether the pod runs and is ready."""
        return phase_of(pod) == "Running" and is_ready(pod)

    def available(self, pod: Object) -> bool:
        """Whether the pod has been ready for `minReadySeconds` and is to stay."""
        return self._ready_long_enough(pod) and not is_terminating(pod)

    def _ready_long_enough(self, pod: Object) -> bool:
        return self.running(pod) and is_available(pod, self._min_ready_seconds, self._wall_ns)

    # --- what is done

    async def take(self) -> None:
        """Do what can be done now.

        Raises:
            StatusError: the API server refused a write.
        """
        if await self._for_all(self.replicas, self._process):
            return
        if await self._for_all(self.condemned, self._correct_claims):
            return
        if await self._for_all(self.condemned, self._condemn):
            return
        if rolls(self._set):
            await self._replace_outdated()

    async def _for_all(
        self, pods: list[Object], step: Callable[[Object, int], Awaitable[bool]]
    ) -> bool:
        """Take a step with each pod; True when the next pods have to wait for one."""
        if self._ordered:
            for index, pod in enumerate(pods):
                if await step(pod, index):
                    return True
            return False
        following = iter(list(enumerate(pods)))

        async def one() -> None:
            index, pod = next(following)
            await step(pod, index)

        _, errors = await slow_start_batch(len(pods), one)
        if errors:
            raise errors[0]
        return False

    async def _process(self, pod: Object, index: int) -> bool:
        """Bring one wanted pod closer to running; True when the next ones have to wait."""
        if is_finished(pod):
            if not is_terminating(pod):
                self._tell_of_end(pod)
                await self._control.delete(self._set, pod)
            return True
        if not is_created(pod):
            if self._control.waits_for_claims(self._set, pod):
                return True
            self.replicas[index] = await self._control.create(self._set, pod)
            return self._ordered
        if phase_of(pod) == "Pending":
            await self._control.create_missing_claims(self._set, ordinal_of(pod))
        if self._ordered and not self.available(pod):
            return True
        if self._control.needs_correction(self._set, pod):
            await self._control.correct(self._set, pod)
        return False

    def _tell_of_end(self, pod: Object) -> None:
        metadata = self._set["metadata"]
        key, name = f"{metadata['namespace']}/{metadata['name']}", pod["metadata"]["name"]
        if phase_of(pod) == "Failed":
            message = f"StatefulSet {key} is recreating failed Pod {name}"
            self._recorder.event(self._set, "Warning", "RecreatingFailedPod", message)
        else:
            message = f"StatefulSet {key} is recreating terminated Pod {name}"
            self._recorder.event(self._set, "Normal", "RecreatingTerminatedPod", message)

    async def _correct_claims(self, pod: Object, _index: int) -> bool:
        await self._control.correct_owners(self._set, pod)
        return False

    async def _condemn(self, pod: Object, _index: int) -> bool:
        """Delete a surplus pod when it is its turn; True when the next ones have to wait."""
        if is_terminating(pod):
            return self._ordered
        if (
            self._ordered
            and not self._ready_long_enough(pod)
            and pod is not self._first_unavailable
        ):
            return True
        await self._control.delete(self._set, pod)
        return True

    async def _replace_outdated(self) -> None:
        limit = max_unavailable_of(self._set)
        if limit is None:
            await self._replace_one()
        else:
            missing = sum(not self.available(pod) for pod in self.replicas)
            await self._replace_up_to(limit - missing)

    def _is_outdated(self, pod: Object) -> bool:
        return revision_name(pod) != self._update["metadata"]["name"] and not is_terminating(pod)

    async def _replace_one(self) -> None:
        """From the highest ordinal down: replace a pod, and wait for it before the next."""
        for pod in reversed(self.replicas[partition_of(self._set) :]):
            if self._is_outdated(pod):
                await self._control.delete(self._set, pod)
                return
            if not self.available(pod):
                return

    async def _replace_up_to(self, count: int) -> None:
        """From the highest ordinal down: replace so many pods at once (KEP-961)."""
        outdated = [
            pod
            for pod in reversed(self.replicas[partition_of(self._set) :])
            if self._is_outdated(pod)
        ]
        for pod in outdated[: max(0, count)]:
            await self._control.delete(self._set, pod)
