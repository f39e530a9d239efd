"""Differences that are meant: of the release, or of the model. docs/compatibility.md gives reasons.

Each entry is a pattern of a difference line, valid for the cases whose names begin so.
"""

from __future__ import annotations

import re

ACCEPTED: tuple[tuple[str, str], ...] = (
    # Pods first: since 1.33 the rest of a namespace waits until its pods are gone.
    ("ns-delete", r"snapshot held-by-finalizer .*"),
    # The recorded hollow kubelets record no events of containers, and their runtime forgets.
    ("", r'event not recorded: \["kubelet", .*'),
    ("node-unreachable", r"final Pod/(default|agent-<rand>) .*\.restartCount: recorded 0, here 1"),
    # Terminating pods do not count for a rollout. The recorded manager could send only 20 requests
    # a second, so that many had gone before the next step.
    ("deploy-rounding-stuck", r"invariants\.\w+\.\w+\.existing_max: .*"),
    # A pod without a grace period goes in one transaction, without a version that says so before.
    (
        "deploy-scaledown-pending-first",
        r"order: .*, here \[('created \S+', ){5}('ready \S+', ){3}'deleted \S+', 'deleted \S+'\]",
    ),
    ("deploy-scaledown-pending-first", r"event not seen: .*skip schedule deleting pod: .*"),
    ("deploy-scaledown-pending-first", r"transitions of Pod/.*: deleting first .*"),
    # Since 1.24 pods without a controller leave the others of a budget countable.
    ("pdb-bare-pods", r"final PodDisruptionBudget/percent \.status\.currentHealthy: .*"),
    ("pdb-bare-pods", r"event not seen: .*found no controller ref for pod .*"),
    ("pdb-bare-pods", r"event not recorded: .*UnmanagedPods.*"),
    ("pdb-bare-pods", r"transitions of PodDisruptionBudget/percent: currentHealthy .*"),
    # Since 1.24 an account has no Secret with a token.
    ("app-two-tenants", r"final ResourceQuota/tenant \.status\.used\.secrets: .*"),
    # Pods and budgets come at the same time; which the controller sees first is chance.
    ("pdb-statefulset", r'event not recorded: .*"NoPods", "PodDisruptionBudget", "db".*'),
    ("pdb-status", r'event not seen: .*"NoPods", "PodDisruptionBudget", "f-min-9".*'),
    (
        "ds-failed-pod",
        r"order: .*, here \[('created [^']+', ){2}'deleted \S+ \(failed\)', 'created \S+'\]",
    ),
    ("ds-failed-pod", r"transitions of Pod/.*: deleting first .*"),
    (
        "sts-failed-pod-recreated",
        r"order: .*, here .*'failed db-0', 'deleted db-0', 'created db-0'.*",
    ),
    ("sts-failed-pod-recreated", r"transitions of Pod/db-0: deleting first .*"),
    # Since 1.27 the status is written although a pod cannot be created.
    ("sts-label-release", r"snapshot released StatefulSet/db \.status\.\w+: recorded 2, here 1"),
    (
        "sts-label-release",
        r"transitions of StatefulSet/db: \w+ monotonic: .*, here \[0, 1, 2, 1, 2\]",
    ),
    # The garbage collector keeps no order among dependents.
    ("sts-volume-claims", r"order: .*, here .*'terminating db-0', 'terminating db-1', .*"),
    # Before dual-stack was built in, headless Services had a slice of each family.
    ("app-monitoring", r"final EndpointSlice/(alerts|node-exporter)-<rand> is not there"),
    # How often a refused creation is tried again until the case ends depends on when it began.
    (
        "deploy-quota-replica-failure",
        r'event .*"FailedCreate".*combined from similar events.*: count recorded 3, here 2',
    ),
    # Two writers met by chance.
    ("sts-ordered-create", r'event not seen: \["endpoint-controller", .*FailedToUpdateEndpoint.*'),
    # Since 1.22 nodes that a daemon pod names not are left out at once, and counted in other words.
    ("ds-insufficient-resources", r"snapshot blocked .*\.reasons\.node-affinity: .*"),
    ("ds-insufficient-resources", r'event not seen: .*"FailedScheduling".*"node-affinity": 1.*'),
    (
        "ds-insufficient-resources",
        r'event not recorded: .*"FailedScheduling".*"insufficient/cpu".*',
    ),
    # Since 1.21 what keeps a pod from all nodes is not counted by nodes.
    ("schedvol-claim-missing", r"final Pod/a-missing .*\bother\[0\]: .*persistentvolumeclaim .*"),
    ("schedvol-claim-missing", r'event not .*"a-missing", .*persistentvolumeclaim .*'),
    # A node without conditions is not tainted; its capacity is reported a moment later.
    ("ds-node-added", r'event not recorded: .*"FailedScheduling".*"too-many-pods": 1.*'),
    ("job-delete-background", r"order: .*"),
    ("job-", r"transitions of Pod/.*: deleting first .*"),
    # Since 1.31 a Job that is complete says why; deleted pods of a Job count as failed since 1.22.
    ("", r'transitions of Job/.*: finished .*"Complete/None"\], here .*/CompletionsReached"\]'),
    ("job-work-queue", r"transitions of Job/queue: failed first and last recorded 1 x \[0, 0\].*"),
    # Since 1.24 the refusal names the containers that say too little.
    (
        "quota-exceeded",
        r"results\[\d+\]\.message: recorded .*must specify requests\.cpu.* for: app.*",
    ),
    # After an uncordon the scheduler may look before the node's taint has gone, too.
    ("node-cordon", r"event not recorded: .*FailedScheduling.*kubernetes\.io/unschedulable.*"),
)


def is_accepted(case: str, line: str) -> bool:
    """Whether a difference is one of those."""
    return any(case.startswith(name) and re.fullmatch(rule, line) for name, rule in ACCEPTED)
