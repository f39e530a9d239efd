"""ImagePolicyWebhook: a program of a user decides which images may run.

Source: documentation of admission controllers, "ImagePolicyWebhook". The configuration is that of
the real server; who is asked stands in `clientConfig`, as in a webhook configuration (a
`kubeConfigFile` is read when the server's configuration is).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.webhooks.calling import Caller
from k8sactors.apiserver.webhooks.errors import CallError
from k8sactors.simulation import MILLISECOND, SECOND

Object = dict[str, Any]

API_VERSION: Final = "imagepolicy.k8s.io/v1alpha1"
KIND: Final = "ImageReview"
_ANNOTATION: Final = ".image-policy.k8s.io/"
_ANSWERS_MAX: Final = 1024
_TRIES: Final = 5
_TIMEOUT_S: Final = 30
# The real server's defaults.
_TTL_S: Final = 300
_RETRY_MS: Final = 500


class ImagePolicyWebhook(Plugin):
    """Asks about the images of new and changed pods; answers are kept for a while."""

    default: ClassVar[bool] = False
    order: ClassVar[int] = 110
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    subresources: ClassVar[tuple[str, ...] | None] = ("", "ephemeralcontainers")

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        settings = self.configuration().get("imagePolicy") or {}
        self._client: Object = settings.get("clientConfig") or {}
        self._allow_ns = (settings.get("allowTTL") or _TTL_S) * SECOND
        self._deny_ns = (settings.get("denyTTL") or _TTL_S) * SECOND
        self._retry_ns = (settings.get("retryBackoff") or _RETRY_MS) * MILLISECOND
        self._default_allow = bool(settings.get("defaultAllow"))
        self._caller = Caller(cluster.environment)
        # The status of answers, and until when they hold.
        self._answers: dict[str, tuple[Object, int]] = {}

    def validate(self, attributes: Attributes) -> None:
        """403 for images that are refused."""
        spec = self._spec(attributes)
        if spec is None:
            return
        key = json.dumps(spec, sort_keys=True)
        now_ns = self.cluster.environment.now_ns()
        status, until_ns = self._answers.get(key, ({}, 0))
        if until_ns <= now_ns:
            result = attributes.answer(self, lambda arrived: self._ask(spec, arrived, 1))
            if isinstance(result, CallError):
                if not self._default_allow:
                    raise errors.forbidden(attributes.info, attributes.name, str(result))
                attributes.annotate("imagepolicywebhook.image-policy.k8s.io/failed-open", "true")
                return
            status = result
            ttl_ns = self._allow_ns if status.get("allowed") else self._deny_ns
            if len(self._answers) >= _ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = (status, now_ns + ttl_ns)
        for name, value in (status.get("auditAnnotations") or {}).items():
            attributes.annotate(f"imagepolicywebhook.image-policy.k8s.io/{name}", str(value))
        if not status.get("allowed"):
            reason = status.get("reason")
            text = "one or more images rejected by webhook backend"
            if reason:
                text = f"image policy webhook backend denied one or more images: {reason}"
            raise errors.forbidden(attributes.info, attributes.name, text)

    def _spec(self, attributes: Attributes) -> Object | None:
        """What is asked, None when no image is new."""
        new, old = attributes.obj, attributes.old
        assert new is not None
        images = _images(new)
        if old is not None and images == _images(old):
            return None
        annotations = new["metadata"].get("annotations") or {}
        return {
            "containers": [{"image": image} for image in images],
            "annotations": {key: annotations[key] for key in annotations if _ANNOTATION in key},
            "namespace": attributes.namespace,
        }

    def _ask(self, spec: Object, arrived: Callable[[Any], None], attempt: int) -> None:
        review = {"apiVersion": API_VERSION, "kind": KIND, "spec": spec}

        def answered(answer: Any) -> None:
            status = answer.get("status") if isinstance(answer, dict) else None
            if isinstance(status, dict):
                arrived(status)
            else:
                arrived(CallError("the webhook's answer has no status"))

        def failed(error: CallError) -> None:
            if attempt >= _TRIES:
                arrived(error)
                return
            delay_ns = self._retry_ns * attempt
            self.cluster.environment.after(delay_ns, lambda: self._ask(spec, arrived, attempt + 1))

        self._caller.ask(self._client, _TIMEOUT_S, review, answered, failed)


def _images(pod: Object) -> list[str]:
    fields = ("containers", "initContainers", "ephemeralContainers")
    return [each["image"] for field in fields for each in pod["spec"].get(field) or ()]
