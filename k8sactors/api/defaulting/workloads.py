"""Defaults of the kinds that make pods: Deployment to CronJob, and the autoscaler."""

from __future__ import annotations

from k8sactors.api.defaulting.fields import Fields, each, fill, inside, inside_or_new
from k8sactors.api.defaulting.pod import default_template
from k8sactors.api.defaulting.storage import default_claim_template

_INT32_MAX = 2**31 - 1
_DEPLOYMENT: Fields = {"replicas": 1, "revisionHistoryLimit": 10, "progressDeadlineSeconds": 600}
_STATEFUL_SET: Fields = {
    "replicas": 1,
    "revisionHistoryLimit": 10,
    "podManagementPolicy": "OrderedReady",
}
_RETENTION: Fields = {"whenDeleted": "Retain", "whenScaled": "Retain"}
_CRON_JOB: Fields = {
    "concurrencyPolicy": "Allow",
    "suspend": False,
    "successfulJobsHistoryLimit": 3,
    "failedJobsHistoryLimit": 1,
}


def _with_template(spec: Fields) -> Fields:
    return inside_or_new(spec, "template", default_template)


def _rolling(spec: Fields, field: str, parameters: Fields) -> Fields:
    """The update strategy in `field`: RollingUpdate with its parameters, unless another is set."""

    def change(strategy: Fields) -> Fields:
        strategy = fill(strategy, {"type": "RollingUpdate"})
        if strategy["type"] != "RollingUpdate":
            return strategy
        return inside_or_new(strategy, "rollingUpdate", lambda rolling: fill(rolling, parameters))

    return inside_or_new(spec, field, change)


def default_deployment(obj: Fields) -> Fields:
    """A Deployment."""

    def change(spec: Fields) -> Fields:
        spec = fill(_with_template(spec), _DEPLOYMENT)
        return _rolling(spec, "strategy", {"maxUnavailable": "25%", "maxSurge": "25%"})

    return inside(obj, "spec", change)


def default_replica_set(obj: Fields) -> Fields:
    """A ReplicaSet."""
    return inside(obj, "spec", lambda spec: fill(_with_template(spec), {"replicas": 1}))


def default_stateful_set(obj: Fields) -> Fields:
    """A StatefulSet, with its claim templates."""

    def change(spec: Fields) -> Fields:
        spec = fill(_with_template(spec), _STATEFUL_SET)
        spec = _rolling(spec, "updateStrategy", {"partition": 0})
        spec = inside_or_new(
            spec,
            "persistentVolumeClaimRetentionPolicy",
            lambda policy: fill(policy, _RETENTION),
        )
        return each(spec, "volumeClaimTemplates", default_claim_template)

    return inside(obj, "spec", change)


def default_daemon_set(obj: Fields) -> Fields:
    """A DaemonSet."""

    def change(spec: Fields) -> Fields:
        spec = fill(_with_template(spec), {"revisionHistoryLimit": 10})
        return _rolling(spec, "updateStrategy", {"maxUnavailable": 1, "maxSurge": 0})

    return inside(obj, "spec", change)


def default_replication_controller(obj: Fields) -> Fields:
    """A ReplicationController: labels and selector come from its template."""
    obj = inside(obj, "spec", lambda spec: fill(_with_template(spec), {"replicas": 1}))
    spec = obj.get("spec") or {}
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels")
    if not labels:
        return obj
    obj = inside(
        obj,
        "spec",
        lambda given: (
            given
            if given.get("selector")
            else {
                **given,
                "selector": labels,
            }
        ),
    )
    return inside_or_new(
        obj,
        "metadata",
        lambda given: (
            given
            if given.get("labels")
            else {
                **given,
                "labels": labels,
            }
        ),
    )


def _failure_rule(rule: Fields) -> Fields:
    return each(
        rule,
        "onPodConditions",
        lambda pattern: pattern if pattern.get("status") else {**pattern, "status": "True"},
    )


def _job_spec(spec: Fields) -> Fields:
    spec = _with_template(spec)
    defaults: Fields = {"completionMode": "NonIndexed", "suspend": False}
    if spec.get("parallelism") is None:
        defaults["parallelism"] = 1
        if spec.get("completions") is None:
            defaults["completions"] = 1
    defaults["backoffLimit"] = 6 if spec.get("backoffLimitPerIndex") is None else _INT32_MAX
    policy = spec.get("podFailurePolicy")
    defaults["podReplacementPolicy"] = "Failed" if policy else "TerminatingOrFailed"
    spec = fill(spec, defaults)
    return inside(spec, "podFailurePolicy", lambda given: each(given, "rules", _failure_rule))


def default_job(obj: Fields) -> Fields:
    """A Job: one completion unless counts are given; labels follow its template."""
    obj = inside(obj, "spec", _job_spec)
    template = (obj.get("spec") or {}).get("template") or {}
    labels = (template.get("metadata") or {}).get("labels")
    if not labels or (obj.get("metadata") or {}).get("labels"):
        return obj
    return {**obj, "metadata": {**(obj.get("metadata") or {}), "labels": labels}}


def default_cron_job(obj: Fields) -> Fields:
    """A CronJob: the job inside gets its own defaults only when it is made."""

    def change(spec: Fields) -> Fields:
        spec = fill(spec, _CRON_JOB)
        return inside(
            spec,
            "jobTemplate",
            lambda job: inside(fill(job, {"metadata": {}}), "spec", _with_template),
        )

    return inside(obj, "spec", change)


def default_autoscaler_v2(obj: Fields) -> Fields:
    """A HorizontalPodAutoscaler: 80 percent of the requested cpu when no metric is named."""
    metric = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}},
    }
    return inside(obj, "spec", lambda spec: fill(spec, {"minReplicas": 1, "metrics": [metric]}))
