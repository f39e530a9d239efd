"""PodSecurity: pods keep to the level that their namespace names in labels.

Source: documentation of Pod Security Admission, and KEP-2579. `enforce` refuses pods; `warn` and
`audit` look at everything that makes pods. A changed label warns of pods that violate it already.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from k8sactors.api import errors
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause
from k8sactors.apiserver.admission_chain import Attributes, Cluster, Operation, Plugin
from k8sactors.apiserver.pod_security.levels import (
    LATEST,
    LEVELS,
    MODES,
    PREFIX,
    PRIVILEGED,
    LevelVersion,
    Policy,
    policy_of,
    violations,
)

Object = dict[str, Any]

NAMESPACES: Final = "namespaces"
PODS: Final = "pods"
# Where the pod template is.
_TEMPLATES: Final[Mapping[str, tuple[str, ...]]] = {
    "podtemplates": ("template",),
    "replicationcontrollers": ("spec", "template"),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
_IGNORED: Final = frozenset(
    {"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"}
)
_PODS_CHECKED_MAX: Final = 3000
_SECCOMP: Final = "seccomp.security.alpha.kubernetes.io/pod"


class PodSecurity(Plugin):
    """Checks pods, what makes pods, and the labels of namespaces."""

    order: ClassVar[int] = 120
    resources: ClassVar[tuple[str, ...] | None] = (NAMESPACES, PODS, *_TEMPLATES)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE")
    subresources: ClassVar[tuple[str, ...] | None] = None
    repeatable: ClassVar[bool] = True
    inputs: ClassVar[tuple[str, ...]] = (NAMESPACES,)

    def __init__(self, cluster: Cluster) -> None:
        super().__init__(cluster)
        self._namespaces = cluster.objects(NAMESPACES)
        configuration = self.configuration()
        given = configuration.get("defaults") or {}
        enforce, audit, warn = (
            LevelVersion(given.get(mode) or PRIVILEGED, given.get(f"{mode}-version") or LATEST)
            for mode in MODES
        )
        self._defaults = Policy(enforce, audit, warn)
        self._exemptions: Object = configuration.get("exemptions") or {}
        self._version = -1
        self._policies: dict[str, Policy] = {}

    def concerns(self, resource: str, subresource: str, operation: Operation) -> bool:
        """Pods with the subresources that change them; of all else the object itself."""
        if not super().concerns(resource, subresource, operation):
            return False
        return subresource not in _IGNORED if resource == PODS else not subresource

    def validate(self, attributes: Attributes) -> None:
        """403 for a pod that violates the enforced level; warnings and audit annotations."""
        resource = attributes.resource
        if resource == NAMESPACES:
            self._check_namespace(attributes)
            return
        policy = self._policy(attributes.namespace)
        enforced = resource == PODS
        if policy.warn.level == policy.audit.level == PRIVILEGED and not (
            enforced and policy.enforce.level != PRIVILEGED
        ):
            return
        # Each pod is told of what it violates, also when one like it was before.
        attributes.repeatable = False
        if self._is_exempt("namespaces", attributes.namespace, attributes, "namespace"):
            return
        if self._is_exempt("usernames", attributes.user.name, attributes, "user"):
            return
        obj = attributes.obj
        assert obj is not None
        pod = obj if enforced else _template(obj, _TEMPLATES[resource])
        if pod is None or (enforced and not _is_significant(attributes)):
            return
        runtime_class = pod["spec"].get("runtimeClassName") or ""
        if not self._is_exempt("runtimeClasses", runtime_class, attributes, "runtimeClass"):
            _evaluate(attributes, policy, pod, enforced=enforced)

    def _is_exempt(self, kind: str, value: str, attributes: Attributes, annotation: str) -> bool:
        exempt = bool(value) and value in (self._exemptions.get(kind) or ())
        if exempt:
            attributes.annotate(f"{PREFIX}exempt", annotation)
        return exempt

    def _policy(self, namespace: str) -> Policy:
        version = self._namespaces.version
        if version != self._version:
            self._version = version
            self._policies.clear()
        policy = self._policies.get(namespace)
        if policy is None:
            found = self._namespaces.get(None, namespace)
            policy = policy_of(_labels(found), self._defaults)
            self._policies[namespace] = policy
        return policy

    def _check_namespace(self, attributes: Attributes) -> None:
        new, old = attributes.obj, attributes.old
        assert new is not None
        policy = policy_of(_labels(new), self._defaults)
        before = policy_of(_labels(old), self._defaults)
        if policy.problems and (old is None or policy.problems != before.problems):
            causes = [
                Cause(
                    f"metadata.labels[{label}]",
                    FIELD_VALUE_INVALID,
                    f'Invalid value: "{value}": {problem}',
                )
                for label, value, problem in policy.problems
            ]
            raise errors.invalid(attributes.info, attributes.name, causes)
        if old is None or policy.enforce == before.enforce:
            return
        enforce = policy.enforce
        relaxed = LEVELS.index(enforce.level) <= LEVELS.index(before.enforce.level)
        if enforce.level == PRIVILEGED or (enforce.version == before.enforce.version and relaxed):
            return
        if attributes.name in (self._exemptions.get("namespaces") or ()):
            return
        for text in self._existing(attributes.name, enforce):
            attributes.warn(text)

    def _existing(self, namespace: str, enforce: LevelVersion) -> list[str]:
        """What to say of the pods that are there already."""
        pods = self.cluster.objects(PODS).of(namespace)
        violating: dict[str, list[str]] = {}
        exempt = self._exemptions.get("runtimeClasses") or ()
        for pod in pods[:_PODS_CHECKED_MAX]:
            if pod["spec"].get("runtimeClassName") in exempt:
                continue
            found = violations(enforce, pod)
            if found:
                reasons = ", ".join(violation.reason for violation in found)
                violating.setdefault(reasons, []).append(pod["metadata"]["name"])
        texts = []
        if len(pods) > _PODS_CHECKED_MAX:
            texts.append(
                "new PodSecurity enforce level only checked against the first "
                f"{_PODS_CHECKED_MAX} of {len(pods)} existing pods"
            )
        if violating:
            texts.append(
                f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce '
                f'level "{enforce}"'
            )
        return texts + sorted(_counted(names, reasons) for reasons, names in violating.items())


def _labels(namespace: Object | None) -> dict[str, str]:
    return ((namespace or {}).get("metadata") or {}).get("labels") or {}


def _counted(names: list[str], reasons: str) -> str:
    others = len(names) - 1
    more = {0: "", 1: " (and 1 other pod)"}.get(others, f" (and {others} other pods)")
    return f"{min(names)}{more}: {reasons}"


def _evaluate(attributes: Attributes, policy: Policy, pod: Object, *, enforced: bool) -> None:
    results: dict[LevelVersion, str] = {}

    def check(asked: LevelVersion) -> str:
        if asked not in results:
            results[asked] = ", ".join(str(each) for each in violations(asked, pod))
        return results[asked]

    if enforced:
        attributes.annotate(f"{PREFIX}enforce-policy", str(policy.enforce))
    found = check(policy.audit)
    if found:
        text = f'would violate PodSecurity "{policy.audit}": {found}'
        attributes.annotate(f"{PREFIX}audit-violations", text)
    if enforced:
        found = check(policy.enforce)
        if found:
            text = f'violates PodSecurity "{policy.enforce}": {found}'
            raise errors.forbidden(attributes.info, attributes.name, text)
    found = check(policy.warn)
    if found:
        attributes.warn(f'would violate PodSecurity "{policy.warn}": {found}')


def _template(obj: Object, path: tuple[str, ...]) -> Object | None:
    found: Any = obj
    for field in path:
        found = (found or {}).get(field)
    if not found or "spec" not in found:
        return None
    return {**found, "metadata": found.get("metadata") or {}}


def _is_significant(attributes: Attributes) -> bool:
    """Whether a pod is new, or has changed in what can be changed and matters: its images."""
    new, old = attributes.obj, attributes.old
    if old is None or new is None:
        return True
    return bool(_relevant(new) != _relevant(old))


def _relevant(pod: Object) -> Any:
    spec, annotations = pod["spec"], pod["metadata"].get("annotations") or {}
    fields = ("containers", "initContainers", "ephemeralContainers")
    return [
        annotations.get(_SECCOMP),
        [[(each["name"], each["image"]) for each in spec.get(field) or ()] for field in fields],
    ]
