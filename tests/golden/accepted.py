"""Differences that are meant: of the release, or of the model. docs/compatibility.md gives reasons.

Each entry is a pattern of a difference line, valid for the named cases (a prefix).
"""

import re

ACCEPTED: tuple[tuple[str, str], ...] = (
    # Pods first: since 1.33 the rest of a namespace waits until its pods are gone.
    ("ns-delete", r"snapshot held-by-finalizer .*"),
    # The recorded hollow kubelets recorded no events of containers.
    ("pod-graceful-delete", r'event not recorded: \["kubelet", .*'),
    # Terminating pods do not count for a rollout. The recorded manager could send only
    # 20 requests a second, so that many had gone before the next step.
    ("deploy-rounding-stuck", r"invariants\.\w+\.\w+\.existing_max: .*"),
    # The monitor looks every five seconds: when a silence is noticed depends on its phase.
    ("node-all-unreachable", r"timing ready-unknown: .*, here 4[0-9]\.\d"),
)


def is_accepted(case: str, line: str) -> bool:
    """Whether a difference is one of those."""
    return any(case.startswith(name) and re.fullmatch(rule, line) for name, rule in ACCEPTED)
