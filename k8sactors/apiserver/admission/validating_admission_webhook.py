"""ValidatingAdmissionWebhook: programs of users refuse what they do not like.

Source: documentation of dynamic admission control. All webhooks are asked at once, with the object
as it will be stored; the first in order that refuses gives the answer.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final

from k8sactors.api.kind import ResourceInfo
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.webhooks import review
from k8sactors.apiserver.webhooks.dispatch import Hook, Hooks, note
from k8sactors.apiserver.webhooks.errors import WebhookError

CONFIGURATIONS: Final = "validatingwebhookconfigurations.admissionregistration.k8s.io"
_DOMAIN: Final = "validating.webhook.admission.k8s.io"


class ValidatingAdmissionWebhook(Plugin):
    """Asks the webhooks."""

    order: ClassVar[int] = 350
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources: ClassVar[tuple[str, ...] | None] = None
    gates: ClassVar[tuple[str, ...]] = (CONFIGURATIONS,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._hooks = Hooks(cluster, CONFIGURATIONS, mutating=False)

    def validate(self, attributes: Attributes) -> None:
        """The refusal of a webhook; 500 where one that must be asked cannot be."""
        asked: list[tuple[Hook, ResourceInfo]] = attributes.progress(
            self, lambda: self._concerned(attributes)
        )
        if not asked:
            return
        results: list[Any] = attributes.answer(
            self, lambda arrived: self._ask_all(asked, attributes, arrived)
        )
        failure = None
        for index, ((hook, _), result) in enumerate(zip(asked, results, strict=True)):
            if isinstance(result, WebhookError):
                failed = self._hooks.failure(hook, result)
                if failed is None:
                    attributes.annotate(f"failed-open.{_DOMAIN}/round_0_index_{index}", hook.name)
                failure = failure or failed
                continue
            note(hook, attributes, result)
            if not result.allowed:
                failure = failure or review.refusal(hook.name, result.status)
        if failure is not None:
            raise failure

    def _concerned(self, attributes: Attributes) -> list[tuple[Hook, ResourceInfo]]:
        found = [(hook, self._hooks.version_for(hook, attributes)) for hook in self._hooks.all()]
        return [(hook, shown) for hook, shown in found if shown is not None]

    def _ask_all(
        self,
        asked: list[tuple[Hook, ResourceInfo]],
        attributes: Attributes,
        arrived: Callable[[list[Any]], None],
    ) -> None:
        results: list[Any] = [None] * len(asked)
        left = len(asked)

        def answered(index: int, result: Any) -> None:
            nonlocal left
            results[index] = result
            left -= 1
            if not left:
                arrived(results)

        for index, (hook, shown) in enumerate(asked):
            self._hooks.ask(hook, attributes, shown, partial(answered, index))
