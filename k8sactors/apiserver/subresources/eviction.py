"""The eviction subresource: a delete that asks the disruption budgets first.

Source: documentation of API-initiated eviction, KEP-3017 (pods that are not ready). A pod that has
ended, has not started or is being deleted already does not count for a budget; one that is not
ready may go as the budget's policy says. Otherwise the `disruptionsAllowed` of the budget is taken
down by one in a guarded write before the pod is deleted, so that evictions through several API
servers cannot overdraw it. The pod's condition DisruptionTarget tells why it goes (KEP-3329).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final

from k8sactors.api import codec, errors, selectors
from k8sactors.api.disruption import with_condition
from k8sactors.api.effects import Deletion, Guard, KeyState, Write
from k8sactors.api.errors import Cause, StatusError
from k8sactors.api.meta import condition_is, set_condition
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.store import Committed
from k8sactors.apiserver.subresource import CREATED, PostedSubresource, Writer

Object = dict[str, Any]

BUDGETS: Final = "poddisruptionbudgets.policy"
RETRY_AFTER_SECONDS: Final = 10
# Evictions that the disruption controller has not confirmed yet.
MAX_DISRUPTED_PODS: Final = 2000
EVICTED: Final = {
    "type": "DisruptionTarget",
    "status": "True",
    "reason": "EvictionByEvictionAPI",
    "message": "Eviction API: evicting",
}


class Eviction(PostedSubresource):
    """`eviction` of pods."""

    name: ClassVar[str] = "eviction"
    api_version: ClassVar[str] = "policy/v1"
    kind: ClassVar[str] = "Eviction"
    # `kubectl drain` before release 1.22; taken ever since, though no other kind of it is.
    earlier_versions: ClassVar[tuple[str, ...]] = ("policy/v1beta1",)

    def carry_out(self, writer: Writer, call: Call, given: Object) -> None:
        """Delete the pod if its budget allows."""
        options = request_body.check_delete_options(
            {**call.options, **(given.get("deleteOptions") or {})}
        )
        if options.get("dryRun"):
            call.options = {**call.options, "dryRun": options["dryRun"]}
        _Eviction(writer, call, options).start()


class _Eviction:
    """One eviction: look at the pod, charge the budget, delete."""

    def __init__(self, writer: Writer, call: Call, options: Object) -> None:
        self.writer = writer
        self.call = call
        self.options = options

    def start(self) -> None:
        call = self.call
        self.writer.store.read(
            call.resource.key(call.namespace, call.name),
            lambda state, _revision: self.writer.run(call, self._with_pod, state),
            call.fail_store,
        )

    def _with_pod(self, state: KeyState | None) -> None:
        call = self.call
        if state is None:
            raise errors.not_found(call.resource.info, call.name)
        pod = codec.decode(state.value, 0)
        if _is_disrupted(pod):
            self._delete()
            return
        budgets = self.writer.cluster.stored(BUDGETS, call.namespace)
        matching = [budget for budget in budgets if _covers(budget, pod)]
        if not matching:
            self._delete()
        elif _is_pending(pod):
            self._delete_as_long_as(_is_pending, matching[0])
        elif len(matching) > 1:
            raise errors.internal_error(
                "This pod has more than one PodDisruptionBudget, which the eviction "
                "subresource does not support."
            )
        elif not condition_is(pod, "Ready") and _lets_unready_go(
            codec.decode(matching[0].value, 0)
        ):
            self._delete_as_long_as(_is_unready, matching[0])
        else:
            self._charge(matching[0], pod)

    def _charge(self, found: KeyState, pod: Object) -> None:
        budget = codec.decode(found.value, 0)
        allowed = _disruptions_allowed(budget)
        if self.call.dry_run:
            self._delete()
            return
        status, now = budget.get("status") or {}, self.call.environment.now()
        disrupted = {**(status.get("disruptedPods") or {}), pod["metadata"]["name"]: now}
        status = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
        if allowed == 1:
            status = with_condition(status, now)

        def done(committed: Committed) -> None:
            state = None if committed.succeeded else committed.found[0]
            if state is None:
                self.writer.run(self.call, self._delete)
            else:
                self.writer.run(self.call, self._charge, state, pod)

        self.writer.store.commit(
            (Guard(found.key, found.mod_revision),),
            (Write(found.key, codec.encode({**budget, "status": status})),),
            (found.key,),
            done,
            self.call.fail_store,
        )

    def _delete(self) -> None:
        self._delete_as_long_as(lambda _pod: True, None)

    def _delete_as_long_as(self, still: Callable[[Object], bool], budget: KeyState | None) -> None:
        """Delete the pod, unless it has become one for which the budget must be asked."""

        def amended(pod: Object) -> Object:
            if budget is not None and not still(pod):
                raise _refusal(_processing(codec.decode(budget.value, 0)), RETRY_AFTER_SECONDS)
            status = pod.get("status") or {}
            now = self.call.environment.now()
            conditions = set_condition(status.get("conditions"), EVICTED, now)
            return {**pod, "status": {**status, "conditions": conditions}}

        self.writer.delete_object(self.call, self.call.name, self.options, _answer, amended=amended)


def _is_disrupted(pod: Object) -> bool:
    """Whether the pod has ended, or is on its way out."""
    if pod["metadata"].get("deletionTimestamp"):
        return True
    return (pod.get("status") or {}).get("phase") in {"Succeeded", "Failed"}


def _is_pending(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") == "Pending"


def _is_unready(pod: Object) -> bool:
    return not condition_is(pod, "Ready")


def _lets_unready_go(budget: Object) -> bool:
    """Whether a pod that is not ready may go without a charge (KEP-3017)."""
    if (budget.get("spec") or {}).get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    healthy, desired = status.get("currentHealthy") or 0, status.get("desiredHealthy") or 0
    return bool(healthy >= desired > 0)


def _processing(budget: Object) -> str:
    name = budget["metadata"]["name"]
    return f"The disruption budget {name} is still being processed by the server."


def _refusal(detail: str, retry_after_seconds: int) -> StatusError:
    return StatusError(
        429,
        "TooManyRequests",
        "Cannot evict pod as it would violate the pod's disruption budget.",
        causes=[Cause("", "DisruptionBudget", detail)],
        retry_after_seconds=retry_after_seconds,
    )


def _disruptions_allowed(budget: Object) -> int:
    """How many more pods may go.

    Raises:
        StatusError: 429, none, or the budget has not been looked at since it was changed; 403, the
            controller has not confirmed too many evictions.
    """
    metadata, status = budget["metadata"], budget.get("status") or {}
    allowed: int = status.get("disruptionsAllowed") or 0
    if status.get("observedGeneration", 0) < metadata.get("generation", 0):
        raise _refusal(_processing(budget), RETRY_AFTER_SECONDS)
    reason = ""
    if allowed < 0:
        reason = "pdb disruptions allowed is negative"
    elif len(status.get("disruptedPods") or ()) > MAX_DISRUPTED_PODS:
        reason = "DisruptedPods map too big - too many evictions not confirmed by PDB controller"
    if reason:
        raise errors.forbidden("poddisruptionbudget.policy", metadata["name"], reason)
    if allowed == 0:
        needed, healthy = status.get("desiredHealthy", 0), status.get("currentHealthy", 0)
        detail = (
            f"The disruption budget {metadata['name']} needs {needed} healthy pods "
            f"and has {healthy} currently"
        )
        raise _refusal(detail, 0)
    return allowed


def _answer(call: Call, _decision: Deletion, revision: int, _options: Object) -> None:
    call.succeed(CREATED, revision, success_status(CREATED))


def _covers(found: KeyState, pod: Object) -> bool:
    budget = codec.decode(found.value, 0)
    selector = (budget.get("spec") or {}).get("selector")
    if selector is None:
        return False
    return selectors.parse_label_selector(selector).matches(pod["metadata"].get("labels") or {})
