"""What mutating and validating webhooks have in common: who is asked, and what failure means."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

from k8sactors.api import errors, meta
from k8sactors.api.errors import StatusError
from k8sactors.api.kind import ResourceInfo
from k8sactors.apiserver.admission_chain import Attributes, Cluster
from k8sactors.apiserver.webhooks import matching, review
from k8sactors.apiserver.webhooks.calling import Caller
from k8sactors.apiserver.webhooks.errors import AnswerError, CallError, WebhookError

Object = dict[str, Any]

DEFAULT_TIMEOUT_S: Final = 10


class Hook(NamedTuple):
    """A webhook of a configuration."""

    configuration: str
    place: int
    spec: Object

    @property
    def name(self) -> str:
        """Its qualified name."""
        return str(self.spec.get("name", ""))

    @property
    def ignores_failure(self) -> bool:
        """Whether a webhook that cannot be asked allows everything."""
        return self.spec.get("failurePolicy") == "Ignore"


class Hooks:
    """The webhooks of all configurations of one kind."""

    def __init__(self, cluster: Cluster, resource: str, *, mutating: bool) -> None:
        self._cluster = cluster
        self._configurations = cluster.objects(resource)
        self._mutating = mutating
        self._caller = Caller(cluster.environment)
        self._version = -1
        self._hooks: list[Hook] = []

    def all(self) -> list[Hook]:
        """Every webhook: by the name of its configuration, then as they stand there."""
        version = self._configurations.version
        if version != self._version:
            self._version = version
            self._hooks = [
                Hook(configuration["metadata"]["name"], index, spec)
                for configuration in self._configurations.all()
                for index, spec in enumerate(configuration.get("webhooks") or ())
            ]
        return self._hooks

    def version_for(self, hook: Hook, attributes: Attributes) -> ResourceInfo | None:
        """The version in which a webhook is shown a write, None when it does not see it.

        Raises:
            StatusError: 403, a match condition fails to be evaluated; 400, no dry run.
            LookupNeededError: the namespace must be read first.
        """
        spec = hook.spec
        if attributes.resource in matching.EXEMPT:
            return None
        shown = matching.matched_version(
            spec.get("rules") or (), spec.get("matchPolicy"), attributes
        )
        if shown is None or not matching.selected(self._cluster, spec, attributes):
            return None
        if not self._conditions_hold(hook, attributes, shown):
            return None
        if attributes.dry_run and spec.get("sideEffects") not in {"None", "NoneOnDryRun"}:
            raise errors.bad_request(f'admission webhook "{hook.name}" does not support dry run')
        return shown

    def _conditions_hold(self, hook: Hook, attributes: Attributes, shown: ResourceInfo) -> bool:
        conditions = hook.spec.get("matchConditions")
        if not conditions:
            return True
        asked = review.request_of(attributes, shown, "")
        values = {
            "object": asked["object"],
            "oldObject": asked["oldObject"],
            "request": asked,
            "authorizer": matching.authorizer_of(self._cluster, attributes),
        }
        failed = ""
        for condition in conditions:
            try:
                if matching.compiled(condition.get("expression") or "")(values) is False:
                    return False
            except matching.expression_errors() as error:
                failed = (
                    failed
                    or f"expression '{condition.get('expression')}' resulted in error: {error}"
                )
        if failed and not hook.ignores_failure:
            raise errors.forbidden(attributes.info, attributes.name, failed)
        return not failed

    def ask(
        self,
        hook: Hook,
        attributes: Attributes,
        shown: ResourceInfo,
        arrived: Callable[[Any], None],
    ) -> None:
        """Ask a webhook; `arrived` gets an Answer or a WebhookError."""
        uid = meta.new_uid(self._cluster.environment.random)
        asked = {
            "kind": review.KIND,
            "apiVersion": review.API_VERSION,
            "request": review.request_of(attributes, shown, uid),
        }

        def answered(answer: Any) -> None:
            try:
                result: Any = review.read_answer(answer, uid, mutating=self._mutating)
            except AnswerError as error:
                result = error
            arrived(result)

        timeout_s = hook.spec.get("timeoutSeconds") or DEFAULT_TIMEOUT_S
        self._caller.ask(hook.spec.get("clientConfig") or {}, timeout_s, asked, answered, arrived)

    def failure(self, hook: Hook, error: WebhookError) -> StatusError | None:
        """What the client gets when a webhook could not be asked; None: it is ignored."""
        if hook.ignores_failure:
            return None
        text = f"failed to call webhook: {error}" if isinstance(error, CallError) else f"{error}"
        if isinstance(error, AnswerError):
            text = f"received invalid webhook response: {error}"
        return errors.internal_error(f'failed calling webhook "{hook.name}": {text}')


def note(hook: Hook, attributes: Attributes, answer: review.Answer) -> None:
    """Take over what an answer says to the client and to the audit log."""
    for text in answer.warnings:
        attributes.warn(text)
    for key, value in answer.annotations.items():
        attributes.annotate(f"{hook.name}/{key}", str(value))
