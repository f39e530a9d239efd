"""MutatingAdmissionWebhook: programs of users change objects on their way.

Source: documentation of dynamic admission control. Webhooks are asked one after the other, each
with what the one before has made. When a webhook changes an object, all mutating plugins see it
once more; of the webhooks those that ask for it (`reinvocationPolicy: IfNeeded`).
"""

from __future__ import annotations

import json
from typing import Any, ClassVar, Final

from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.webhooks import review
from k8sactors.apiserver.webhooks.dispatch import Hook, Hooks, note
from k8sactors.apiserver.webhooks.errors import WebhookError

CONFIGURATIONS: Final = "mutatingwebhookconfigurations.admissionregistration.k8s.io"
_DOMAIN: Final = "mutating.webhook.admission.k8s.io"
_MUTATION: Final = "mutation.webhook.admission.k8s.io"


class _Progress:
    """How far a write has come."""

    def __init__(self, hooks: list[Hook]) -> None:
        self.hooks = hooks
        self.next = 0
        self.rounds = 0
        # Webhooks that ask to see the object again, and those of them that shall.
        self.reinvocable: list[Hook] = []
        self.again: list[Hook] = []
        # The object as the last webhook has left it.
        self.output: Any = None


class MutatingAdmissionWebhook(Plugin):
    """Asks the webhooks, and applies their patches."""

    order: ClassVar[int] = 330
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources: ClassVar[tuple[str, ...] | None] = None
    gates: ClassVar[tuple[str, ...]] = (CONFIGURATIONS,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._hooks = Hooks(cluster, CONFIGURATIONS, mutating=True)

    def admit(self, attributes: Attributes) -> None:
        """The refusal of a webhook; 500 where one that must be asked cannot be."""
        progress: _Progress = attributes.progress(self, lambda: _Progress(self._hooks.all()))
        if attributes.reinvocation and not progress.rounds:
            progress.rounds, progress.next = 1, 0
            if progress.output is not None and progress.output != attributes.obj:
                # Another plugin has changed what the webhooks have left.
                _require_again(progress)
        while progress.next < len(progress.hooks):
            hook = progress.hooks[progress.next]
            if not progress.rounds or hook in progress.again:
                self._invoke(hook, progress, attributes)
            progress.next += 1

    def _invoke(self, hook: Hook, progress: _Progress, attributes: Attributes) -> None:
        shown = self._hooks.version_for(hook, attributes)
        if shown is None:
            return
        attributes.repeatable = False
        place = f"round_{progress.rounds}_index_{progress.next}"
        result = attributes.answer(
            (self, progress.rounds, progress.next),
            lambda arrived: self._hooks.ask(hook, attributes, shown, arrived),
        )
        changed = False
        if isinstance(result, WebhookError):
            failure = self._hooks.failure(hook, result)
            if failure is not None:
                raise failure
            attributes.annotate(f"failed-open.{_DOMAIN}/{place}", hook.name)
        else:
            note(hook, attributes, result)
            if not result.allowed:
                raise review.refusal(hook.name, result.status)
            if result.patch:
                new = review.patched(attributes, shown, result.patch)
                changed = new != attributes.obj
                attributes.obj = new
            what = {
                "configuration": hook.configuration,
                "webhook": hook.name,
                "mutated": changed,
            }
            attributes.annotate(f"{_MUTATION}/{place}", json.dumps(what, separators=(",", ":")))
        if changed:
            _require_again(progress)
            attributes.reinvoke = True
        if hook.spec.get("reinvocationPolicy") == "IfNeeded":
            progress.reinvocable.append(hook)
        progress.output = attributes.obj


def _require_again(progress: _Progress) -> None:
    progress.again += progress.reinvocable
    progress.reinvocable = []
