"""podFailurePolicy: what a failed pod means for its Job (KEP-3329)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

Object = dict[str, Any]


@attrs.frozen
class Verdict:
    """What the first matching rule says."""

    # The action of the rule; "": no rule matches.
    action: str = ""
    # Why the Job fails, if it does.
    message: str = ""

    @property
    def counts(self) -> bool:
        """Whether the failure counts for back-off and its limit."""
        return self.action != "Ignore"


_NO_RULE = Verdict()


def judge(job: Object, pod: Object) -> Verdict:
    """What the policy of the Job, if it has one, says of a failed pod."""
    policy = job["spec"].get("podFailurePolicy")
    status = pod.get("status") or {}
    for number, rule in enumerate((policy or {}).get("rules") or ()):
        what = _matched(rule, pod, status)
        if what:
            text = f"{what} matching {rule['action']} rule at index {number}"
            return Verdict(rule["action"], text if rule["action"] == "FailJob" else "")
    return _NO_RULE


def failing_message(job: Object, failed: Iterable[Object]) -> str:
    """Why one of these pods makes the whole Job fail; "" if none does."""
    if job["spec"].get("podFailurePolicy") is None:
        return ""
    return next((text for pod in failed if (text := judge(job, pod).message)), "")


def _matched(rule: Mapping[str, Any], pod: Object, status: Object) -> str:
    """What of the pod a rule is about; "": it does not match."""
    metadata = pod["metadata"]
    name = f"{metadata.get('namespace')}/{metadata['name']}"
    codes = rule.get("onExitCodes")
    if codes is not None:
        for field in ("containerStatuses", "initContainerStatuses"):
            for container in status.get(field) or ():
                code = _exit_code(container)
                if code and _names(codes, container) and _takes(codes, code):
                    return (
                        f"Container {container['name']} for pod {name} failed with exit code {code}"
                    )
        return ""
    for condition in status.get("conditions") or ():
        for pattern in rule.get("onPodConditions") or ():
            wanted = (pattern["type"], pattern.get("status", "True"))
            if (condition["type"], condition["status"]) == wanted:
                return f"Pod {name} has condition {condition['type']}"
    return ""


def _exit_code(container: Object) -> int:
    ended = (container.get("state") or {}).get("terminated") or {}
    return int(ended.get("exitCode") or 0)


def _names(codes: Mapping[str, Any], container: Object) -> bool:
    return codes.get("containerName") in {None, container["name"]}


def _takes(codes: Mapping[str, Any], code: int) -> bool:
    listed = code in (codes.get("values") or ())
    return bool(listed) == (codes.get("operator") == "In")
