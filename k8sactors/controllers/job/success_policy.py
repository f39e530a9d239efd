"""successPolicy: when enough indexes have succeeded (KEP-3998)."""

from __future__ import annotations

from typing import Any

from k8sactors.controllers.job.indexes import Indexes

Object = dict[str, Any]


def matched_rule(job: Object, succeeded: Indexes) -> str:
    """Which rule the succeeded indexes satisfy, in words; "": none."""
    policy = job["spec"].get("successPolicy")
    if policy is None or not succeeded:
        return ""
    for number, rule in enumerate(policy.get("rules") or ()):
        if _satisfied(rule, succeeded, job["spec"]["completions"]):
            return f"Matched rules at index {number}"
    return ""


def _satisfied(rule: Object, succeeded: Indexes, completions: int) -> bool:
    count = rule.get("succeededCount")
    if rule.get("succeededIndexes") is None:
        return count is not None and len(succeeded) >= count
    required = Indexes.parse(rule["succeededIndexes"], completions)
    if not required:
        return False
    shared = required.shared_with(succeeded)
    return shared == len(required) or (count is not None and shared >= count)
