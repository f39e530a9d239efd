"""Writing the pods of a StatefulSet and their claims, with the events that tell of it.

As StatefulPodControl of kube-controller-manager: a pod is created only after its claims, and a
claim is never deleted here.
"""

from __future__ import annotations

from typing import Any, Final

from k8sactors.api.errors import StatusError
from k8sactors.client import Client, EventRecorder, SharedInformer, is_already_exists, is_not_found
from k8sactors.controllers.machinery.api_errors import is_namespace_terminating
from k8sactors.controllers.statefulset import retention
from k8sactors.controllers.statefulset.identity import (
    claim_name,
    claim_templates,
    claims_for,
    corrected,
    ordinal_of,
)

Object = dict[str, Any]
CLAIMS: Final = "persistentvolumeclaims"


class StatefulPodControl:
    """The writes; `claims` is the informer of PersistentVolumeClaims."""

    def __init__(self, client: Client, recorder: EventRecorder, claims: SharedInformer) -> None:
        self._client = client
        self._recorder = recorder
        self._claims = claims

    # --- pods

    async def create(self, stateful_set: Object, pod: Object) -> Object:
        """Create a pod and, before it, the claims that are missing; gives the pod as stored.

        Raises:
            StatusError: the API server refused it; said in an event.
        """
        await self.create_missing_claims(stateful_set, ordinal_of(pod))
        try:
            created = await self._client.create("pods", pod)
        except StatusError as error:
            if not is_already_exists(error):
                self._tell("create", stateful_set, pod, error)
            raise
        self._tell("create", stateful_set, pod)
        return created

    async def delete(self, stateful_set: Object, pod: Object) -> None:
        """Delete this very pod; a namesake that has taken its place stays.

        Raises:
            StatusError: the API server refused it; said in an event.
        """
        metadata = pod["metadata"]
        try:
            await self._client.delete(
                "pods",
                metadata["name"],
                metadata["namespace"],
                preconditions={"uid": metadata["uid"]},
            )
        except StatusError as error:
            if is_not_found(error):
                return
            self._tell("delete", stateful_set, pod, error)
            raise
        self._tell("delete", stateful_set, pod)

    async def correct(self, stateful_set: Object, pod: Object) -> None:
        """Give a pod back the labels of its identity, and its claims their owners."""
        await self.correct_owners(stateful_set, pod)
        wanted = corrected(pod)
        if wanted is not None:
            try:
                await self._client.update("pods", wanted)
            except StatusError as error:
                self._tell("update", stateful_set, pod, error)
                raise
            self._tell("update", stateful_set, pod)

    def _tell(
        self, verb: str, stateful_set: Object, pod: Object, error: StatusError | None = None
    ) -> None:
        if error is not None and is_namespace_terminating(error):
            return
        about = f"{verb} Pod {pod['metadata']['name']} in StatefulSet"
        name = stateful_set["metadata"]["name"]
        if error is None:
            reason, message = f"Successful{verb.title()}", f"{about} {name} successful"
            self._recorder.event(stateful_set, "Normal", reason, message)
        else:
            reason, message = (
                f"Failed{verb.title()}",
                f"{about} {name} failed error: {error.message}",
            )
            self._recorder.event(stateful_set, "Warning", reason, message)

    # --- claims

    def _claims_of(self, stateful_set: Object, ordinal: int) -> list[Object]:
        namespace = stateful_set["metadata"]["namespace"]
        found = (
            self._claims.lister.get(namespace, claim_name(template, stateful_set, ordinal))
            for template in claim_templates(stateful_set)
        )
        return [claim for claim in found if claim is not None]

    async def create_missing_claims(self, stateful_set: Object, ordinal: int) -> None:
        """Create the claims of an ordinal that are not there.

        Raises:
            StatusError: the API server refused one, or one is on its way out.
        """
        for claim in claims_for(stateful_set, ordinal):
            name, namespace = claim["metadata"]["name"], claim["metadata"]["namespace"]
            if self._claims.lister.get(namespace, name) is not None:
                continue
            try:
                await self._client.create(CLAIMS, claim)
            except StatusError as error:
                if is_already_exists(error):
                    continue
                self._tell_of_claim(stateful_set, name, ordinal, error)
                raise
            self._tell_of_claim(stateful_set, name, ordinal, None)

    def _tell_of_claim(
        self, stateful_set: Object, claim: str, ordinal: int, error: StatusError | None
    ) -> None:
        name = stateful_set["metadata"]["name"]
        about = f"create Claim {claim} Pod {name}-{ordinal} in StatefulSet {name}"
        if error is None:
            message = f"{about} success"
            self._recorder.event(stateful_set, "Normal", "SuccessfulCreate", message)
        elif not is_namespace_terminating(error):
            message = f"{about} failed error: {error.message}"
            self._recorder.event(stateful_set, "Warning", "FailedCreate", message)

    def waits_for_claims(self, stateful_set: Object, pod: Object) -> bool:
        """Whether a claim of the pod is still to go with the pod that had the name before."""
        if not retention.deletes_when_scaled(stateful_set):
            return False
        name = pod["metadata"]["name"]
        return any(
            retention.owned_by_former_pod(claim, name)
            for claim in self._claims_of(stateful_set, ordinal_of(pod))
        )

    def needs_correction(self, stateful_set: Object, pod: Object) -> bool:
        """Whether the pod's labels or the owners of its claims are not what they should be."""
        return corrected(pod) is not None or any(
            retention.with_owners(claim, stateful_set, pod) is not None
            for claim in self._claims_of(stateful_set, ordinal_of(pod))
        )

    async def correct_owners(self, stateful_set: Object, pod: Object) -> None:
        """Give the claims of a pod the owners that the retention policy asks for."""
        for claim in self._claims_of(stateful_set, ordinal_of(pod)):
            wanted = retention.with_owners(claim, stateful_set, pod)
            if wanted is not None:
                await self._client.update(CLAIMS, wanted)
