"""Differences that are meant: of the release, or of the model. docs/compatibility.md gives reasons.

Each entry is a pattern of a difference line, valid for the cases whose names begin so.
"""

import re

ACCEPTED: tuple[tuple[str, str], ...] = (
    # Pods first: since 1.33 the rest of a namespace waits until its pods are gone.
    ("ns-delete", r"snapshot held-by-finalizer .*"),
    # The recorded hollow kubelets record no events of containers, and their runtime forgets.
    ("", r'event not recorded: \["kubelet", .*'),
    ("node-unreachable", r"final Pod/default .*\.restartCount: recorded 0, here 1"),
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
    # Nobody reads the annotation: kubelets watch what they need.
    ("node-", r"(final|snapshot \S+) Node/\S+ \.annotations.*node\.alpha\.kubernetes\.io/ttl.*"),
    # After an uncordon the scheduler may look before the node's taint has gone, too.
    ("node-cordon", r"event not recorded: .*FailedScheduling.*kubernetes\.io/unschedulable.*"),
)


def is_accepted(case: str, line: str) -> bool:
    """Whether a difference is one of those."""
    return any(case.startswith(name) and re.fullmatch(rule, line) for name, rule in ACCEPTED)
