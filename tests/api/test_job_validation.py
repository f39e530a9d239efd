"""What the server refuses in Jobs and CronJobs, in its words."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import decoding, scheme
from k8sactors.api.validation import validate_create, validate_update

Object = dict[str, Any]
SCHEME = scheme.builtin()
TEMPLATE = {
    "metadata": {"labels": {"app": "work"}},
    "spec": {"restartPolicy": "Never", "containers": [{"name": "app", "image": "a:1"}]},
}
INDEXED = {"completionMode": "Indexed", "completions": 5}


def job(**spec: Any) -> Object:
    obj = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "work", "namespace": "default"},
        "spec": {"template": TEMPLATE, **spec},
    }
    return decoding.complete(SCHEME.kind("batch/v1", "Job"), obj)


def cron_job(**spec: Any) -> Object:
    obj = {
        "apiVersion": "batch/v1",
        "kind": "CronJob",
        "metadata": {"name": "tick", "namespace": "default"},
        "spec": {"jobTemplate": {"spec": {"template": TEMPLATE}}, "schedule": "* * * * *", **spec},
    }
    return decoding.complete(SCHEME.kind("batch/v1", "CronJob"), obj)


def created(obj: Object) -> list[str]:
    info = SCHEME.kind(obj["apiVersion"], obj["kind"])
    return [f"{cause.field}: {cause.message}" for cause in validate_create(info, obj)]


def updated(old: Object, new: Object, subresource: str = "") -> list[str]:
    info = SCHEME.kind(old["apiVersion"], old["kind"])
    causes = validate_update(info, old, new, subresource=subresource)
    return [f"{cause.field}: {cause.message}" for cause in causes]


def rule(**changes: Any) -> Object:
    codes = {"operator": "In", "values": [1, 2]}
    return {"rules": [{"action": "FailJob", "onExitCodes": codes, **changes}]}


def codes(**changes: Any) -> Object:
    return rule(onExitCodes={"operator": "In", "values": [1, 2], **changes})


RULE = "spec.podFailurePolicy.rules[0]"


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"completionMode": "Indexed", "parallelism": 2}, "spec.completions: Required value: when"),
        ({"maxFailedIndexes": 1}, "spec.backoffLimitPerIndex: Required value: when maxFailed"),
        ({"backoffLimitPerIndex": 1}, "spec.backoffLimitPerIndex: Invalid value: 1: requires in"),
        (
            {**INDEXED, "backoffLimitPerIndex": 1, "maxFailedIndexes": 6},
            "spec.maxFailedIndexes: Invalid value: 6: must be less than or equal to completions",
        ),
        (
            {**INDEXED, "completions": 100_001, "backoffLimitPerIndex": 1},
            "spec.maxFailedIndexes: Required value: must be specified when completions is above",
        ),
        ({"managedBy": "me"}, 'spec.managedBy: Invalid value: "me": must be a domain-prefixed'),
        ({"successPolicy": {"rules": []}}, "spec.successPolicy: Invalid value: {"),
        ({**INDEXED, "successPolicy": {"rules": []}}, "spec.successPolicy.rules: Required value"),
        (
            {**INDEXED, "successPolicy": {"rules": [{}]}},
            "spec.successPolicy.rules[0]: Required value: at least one of",
        ),
        (
            {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "0,5"}]}},
            (
                'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "0,5": error parsing '
                'succeededIndexes: too large index: "5"'
            ),
        ),
        (
            {**INDEXED, "successPolicy": {"rules": [{"succeededIndexes": "3-1"}]}},
            (
                'spec.successPolicy.rules[0].succeededIndexes: Invalid value: "3-1": error parsing '
                "succeededIndexes: non-increasing order, previous: 3, current: 1"
            ),
        ),
        (
            {
                **INDEXED,
                "successPolicy": {"rules": [{"succeededIndexes": "0-1", "succeededCount": 3}]},
            },
            (
                "spec.successPolicy.rules[0].succeededCount: Invalid value: 3: "
                "must be less than or "
                "equal to 2"
            ),
        ),
        (
            {"podFailurePolicy": rule(), "podReplacementPolicy": "TerminatingOrFailed"},
            (
                'spec.podReplacementPolicy: Unsupported value: "TerminatingOrFailed": supported '
                'values: "Failed"'
            ),
        ),
        ({"podFailurePolicy": rule(action="")}, f"{RULE}.action: Required value: valid values"),
        (
            {"podFailurePolicy": rule(action="FailIndex")},
            f'{RULE}.action: Invalid value: "FailIndex": requires the backoffLimitPerIndex',
        ),
        ({"podFailurePolicy": rule(action="Stop")}, f'{RULE}.action: Unsupported value: "Stop"'),
        (
            {"podFailurePolicy": rule(onPodConditions=[{"type": "A", "status": "True"}])},
            f"{RULE}: Invalid value: specifying both OnExitCodes and OnPodConditions",
        ),
        (
            {"podFailurePolicy": rule(onExitCodes=None)},
            f"{RULE}: Invalid value: specifying one of OnExitCodes and OnPodConditions",
        ),
        ({"podFailurePolicy": codes(values=[])}, f"{RULE}.onExitCodes.values: Invalid value: []"),
        (
            {"podFailurePolicy": codes(values=[0])},
            f"{RULE}.onExitCodes.values[0]: Invalid value: 0: must not be 0 for the In operator",
        ),
        (
            {"podFailurePolicy": codes(values=[2, 1])},
            f"{RULE}.onExitCodes.values: Invalid value: [2,1]: must be ordered",
        ),
        (
            {"podFailurePolicy": codes(values=[1, 1])},
            f"{RULE}.onExitCodes.values[1]: Duplicate value: 1",
        ),
        (
            {"podFailurePolicy": codes(containerName="other")},
            f'{RULE}.onExitCodes.containerName: Invalid value: "other": must be one of',
        ),
    ],
)
def test_a_job_is_refused_with_the_field_and_the_reason(spec: Object, refusal: str) -> None:
    assert [text for text in created(job(**spec)) if text.startswith(refusal)], created(job(**spec))


def test_the_host_name_of_the_last_index_must_be_a_label() -> None:
    obj = job(**INDEXED)
    obj["metadata"] = {**obj["metadata"], "name": "w" * 62}
    assert "will not able to create pod with invalid DNS label" in created(obj)[0]


def test_a_failure_policy_needs_pods_that_are_not_restarted() -> None:
    spec = {**TEMPLATE["spec"], "restartPolicy": "OnFailure"}  # type: ignore[dict-item]  # a map
    found = created(job(podFailurePolicy=rule(), template={**TEMPLATE, "spec": spec}))
    assert found == [
        (
            'spec.template.spec.restartPolicy: Invalid value: "OnFailure": only '
            '"Never" is supported '
            "when podFailurePolicy is specified"
        )
    ]


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ({"completions": 2}, {"completions": 3}, "spec.completions"),
        (INDEXED, {**INDEXED, "completions": 6, "parallelism": 6}, ""),
        (INDEXED, {**INDEXED, "completions": 6, "parallelism": 2}, "spec.completions"),
        ({}, {"completionMode": "Indexed"}, "spec.completionMode"),
        ({}, {"podFailurePolicy": rule()}, "spec.podFailurePolicy"),
        ({}, {"managedBy": "a.example/b"}, "spec.managedBy"),
        ({"parallelism": 1}, {"parallelism": 4, "suspend": True, "backoffLimit": 1}, ""),
    ],
)
def test_only_how_it_is_driven_can_change(before: Object, after: Object, refused: str) -> None:
    found = [text.partition(":")[0] for text in updated(job(**before), job(**after))]
    assert found[:1] == ([refused] if refused else [])


def test_where_pods_go_can_change_while_none_was_made() -> None:
    pod = {**TEMPLATE["spec"], "nodeSelector": {"disk": "fast"}}  # type: ignore[dict-item]  # a map
    placed = {**TEMPLATE, "spec": pod}
    assert updated(job(suspend=True), job(suspend=True, template=placed)) == []
    assert updated(job(), job(template=placed))[0].startswith("spec.template: Invalid value")
    started = {**job(suspend=True), "status": {"startTime": "2025-01-01T00:00:00Z"}}
    found = updated(started, {**job(suspend=True, template=placed), "status": started["status"]})
    assert found[0].startswith("spec.template: Invalid value")


def condition(*kinds: str) -> list[Object]:
    return [{"type": kind, "status": "True"} for kind in kinds]


NOON, LATER = "2025-01-01T12:00:00Z", "2025-01-01T12:00:05Z"
DONE = {
    "startTime": NOON,
    "completionTime": LATER,
    "conditions": condition("SuccessCriteriaMet", "Complete"),
}


@pytest.mark.parametrize(
    ("before", "after", "refusal"),
    [
        ({}, {**DONE, "conditions": condition("Complete")}, "cannot set Complete=True condition"),
        ({}, {**DONE, "active": 1}, "active>0 is invalid for finished job"),
        ({}, {**DONE, "terminating": 1}, "terminating>0 is invalid for finished job"),
        ({}, {**DONE, "completionTime": None}, "completionTime is required for Complete jobs"),
        ({}, {**DONE, "startTime": "2025-01-02T00:00:00Z"}, "cannot be set before startTime"),
        ({}, {**DONE, "uncountedTerminatedPods": {"failed": ["a"]}}, "needs to be empty"),
        ({}, {"conditions": condition("Failed")}, "without the FailureTarget=true condition"),
        (
            {"conditions": condition("FailureTarget")},
            {"conditions": []},
            "cannot disable the terminal FailureTarget=True condition",
        ),
        ({"failed": 2}, {"failed": 1}, "cannot decrease the failed counter"),
        ({}, {"ready": 2, "active": 1}, "cannot set more ready pods than active"),
        ({}, {"completedIndexes": "1"}, "cannot set non-empty completedIndexes"),
        ({}, {"failedIndexes": "1"}, "cannot set non-null failedIndexes"),
        ({}, {"uncountedTerminatedPods": {"failed": ["a"], "succeeded": ["a"]}}, "Duplicate"),
    ],
)
def test_the_status_of_a_job_must_make_sense(before: Object, after: Object, refusal: str) -> None:
    found = updated({**job(), "status": before}, {**job(), "status": after}, "status")
    assert refusal in " ".join(found)


def test_a_job_that_is_done_properly_is_accepted() -> None:
    assert updated({**job(), "status": {}}, {**job(), "status": DONE}, "status") == []


@pytest.mark.parametrize(
    ("spec", "refusal"),
    [
        ({"schedule": ""}, "spec.schedule: Required value"),
        (
            {"schedule": "error"},
            'spec.schedule: Invalid value: "error": expected exactly 5 fields, found 1: [error]',
        ),
        ({"schedule": "61 * * * *"}, "end of range (61) above maximum (59): 61"),
        ({"schedule": "TZ=UTC 0 * * * *"}, "cannot use TZ or CRON_TZ in schedule, use timeZone"),
        ({"timeZone": "Mars/Olympus"}, '"Mars/Olympus": unknown time zone Mars/Olympus'),
        ({"timeZone": "Local"}, "timeZone must be an explicit time zone"),
        ({"timeZone": ""}, "timeZone must be nil or non-empty string"),
        ({"timeZone": "America"}, "unknown time zone America"),
        ({"concurrencyPolicy": "Never"}, "spec.concurrencyPolicy: Unsupported value"),
        (
            {"jobTemplate": {"spec": {"template": TEMPLATE, "manualSelector": True}}},
            "spec.jobTemplate.spec.manualSelector: Unsupported value: true",
        ),
    ],
)
def test_a_cron_job_is_refused_with_the_field_and_the_reason(spec: Object, refusal: str) -> None:
    assert refusal in " ".join(created(cron_job(**spec)))


def test_a_time_zone_of_the_database_is_accepted() -> None:
    assert created(cron_job(timeZone="Europe/Berlin")) == []
