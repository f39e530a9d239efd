"""The eviction subresource: a delete that asks the disruption budgets first.

Source: documentation of API-initiated eviction. A pod that has ended, waits for a node or is being
deleted already does not count for a budget. Otherwise the budget's `status.disruptionsAllowed` is
taken down by one in a guarded write before the pod is deleted, so that evictions through several
API servers cannot overdraw it.
"""

from __future__ import annotations

from typing import Any

from k8sactors.api import codec, errors, selectors
from k8sactors.api.errors import Cause, StatusError
from k8sactors.apiserver import deletion
from k8sactors.apiserver.call import Call, success_status
from k8sactors.apiserver.errors import StoreError
from k8sactors.apiserver.registry import CREATED, Registry
from k8sactors.apiserver.store import Committed, Guard, KeyState, Write

Object = dict[str, Any]

BUDGETS = "poddisruptionbudgets.policy"
RETRY_AFTER_SECONDS = 10
UNCOUNTED_PHASES = frozenset({"Pending", "Succeeded", "Failed"})


def evict(registry: Registry, call: Call, budgets: Any) -> None:
    """Delete the pod if its budget allows. `budgets` is the cache of PodDisruptionBudgets.

    Raises:
        StatusError: 400, the body is no eviction of this pod.
    """
    eviction = codec.decode_value(call.body) if call.body else {}
    if not isinstance(eviction, dict):
        raise errors.bad_request("the body is not an Eviction")
    given = (eviction.get("metadata") or {}).get("name")
    if given and given != call.name:
        raise errors.bad_request("name in URL does not match name in Eviction object")
    options = {**call.options, **(eviction.get("deleteOptions") or {})}
    if options.get("dryRun"):
        call.options = {**call.options, "dryRun": options["dryRun"]}
    _Eviction(registry, call, budgets, options).start()


class _Eviction:
    """One eviction: look at the pod, charge the budget, delete."""

    def __init__(
        self, registry: Registry, call: Call, budgets: Any, options: dict[str, Any]
    ) -> None:
        self.registry = registry
        self.call = call
        self.budgets = budgets
        self.options = options
        self.tries = 0

    def start(self) -> None:
        key = self.call.resource.key(self.call.namespace, self.call.name)
        self.registry.store.read(key, self._with_pod, self._failed)

    def _failed(self, error: StoreError) -> None:
        self.call.fail_store(error)

    def _with_pod(self, state: KeyState | None, _revision: int) -> None:
        call = self.call
        if state is None:
            call.fail(errors.not_found(call.resource.info, call.name))
            return
        pod = codec.decode(state.value, 0)
        counted = not pod["metadata"].get("deletionTimestamp")
        if counted and (pod.get("status") or {}).get("phase") not in UNCOUNTED_PHASES:
            matching = [entry for entry in self._entries() if _covers(entry, pod)]
            if len(matching) > 1:
                call.fail(
                    errors.internal_error(
                        "This pod has more than one PodDisruptionBudget, which the eviction "
                        "subresource does not support."
                    )
                )
                return
            if matching and not call.dry_run:
                self._charge(matching[0], pod)
                return
        self._delete()

    def _entries(self) -> list[tuple[bytes, int, Object]]:
        bucket = self.budgets.namespaces.get(self.call.namespace, {})
        return [
            (key, entry.mod_revision, codec.decode(entry.data, 0))
            for key, entry in sorted(bucket.items())
        ]

    def _charge(self, found: tuple[bytes, int, Object], pod: Object) -> None:
        key, mod_revision, budget = found
        self.tries += 1
        status = budget.get("status") or {}
        observed = status.get("observedGeneration", 0)
        if observed < budget["metadata"].get("generation", 0):
            self._refuse(
                budget,
                "Cannot evict pod as it would violate the pod's disruption budget.",
                f"The disruption budget {budget['metadata']['name']} is still being processed by "
                "the server.",
            )
            return
        allowed = status.get("disruptionsAllowed", 0)
        if allowed <= 0:
            self._refuse(
                budget,
                "Cannot evict pod as it would violate the pod's disruption budget.",
                f"The disruption budget {budget['metadata']['name']} needs "
                f"{status.get('desiredHealthy', 0)} healthy pods and has "
                f"{status.get('currentHealthy', 0)} currently",
            )
            return
        disrupted = {
            **(status.get("disruptedPods") or {}),
            pod["metadata"]["name"]: self.registry.now(),
        }
        charged = {
            **budget,
            "status": {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted},
        }

        def done(committed: Committed) -> None:
            if committed.succeeded:
                self._delete()
                return
            state = committed.found[0]
            if state is None:
                self._delete()
            else:
                self._charge((key, state.mod_revision, codec.decode(state.value, 0)), pod)

        self.registry.store.commit(
            (Guard(key, mod_revision),),
            (Write(key, codec.encode(charged)),),
            (key,),
            done,
            self._failed,
        )

    def _refuse(self, budget: Object, message: str, detail: str) -> None:
        del budget
        self.call.fail(
            StatusError(
                429,
                "TooManyRequests",
                message,
                causes=[Cause("", "DisruptionBudget", detail)],
                retry_after_seconds=RETRY_AFTER_SECONDS,
            )
        )

    def _delete(self) -> None:
        self.registry.delete_object(self.call, self.call.name, self.options, _answer)


def _answer(
    call: Call, _decision: deletion.Deletion, revision: int, _options: dict[str, Any]
) -> None:
    call.succeed(CREATED, revision, success_status(CREATED))


def _covers(found: tuple[bytes, int, Object], pod: Object) -> bool:
    selector = (found[2].get("spec") or {}).get("selector")
    if selector is None:
        return False
    return selectors.parse_label_selector(selector).matches(pod["metadata"].get("labels") or {})
