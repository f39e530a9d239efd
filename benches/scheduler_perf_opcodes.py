"""The operations of scheduler_perf and their fields (kubernetes/test/integration/scheduler_perf).

A field that is a number, a flag or a duration may also be given by a parameter of the workload:
`countParam: $initPods` stands for `count`.
"""

from __future__ import annotations

from typing import Any

import attrs

__all__ = ["FIELDS", "NESTED_OPERATION", "OPCODES", "Field"]

# The field of createPodSets that is an operation itself.
NESTED_OPERATION = "createPodsOp"


@attrs.frozen
class Field:
    """What a field may be."""

    kind: type | tuple[type, ...]
    required: bool = False
    choices: tuple[str, ...] = ()
    # Whether the text is a duration, which is turned into seconds.
    seconds: bool = False

    def problem(self, value: Any) -> str:
        """What is wrong with a value; empty when nothing is."""
        kinds = self.kind if isinstance(self.kind, tuple) else (self.kind,)
        is_flag = isinstance(value, bool)
        if not isinstance(value, self.kind) or (is_flag and bool not in kinds):
            return f"must be {_NAMES[kinds[0]]}, not {value!r}"
        if isinstance(value, int) and value < 0:
            return f"must not be negative, it is {value}"
        if self.choices and value not in self.choices:
            return f"must be one of {', '.join(self.choices)}, not {value!r}"
        return ""


_NAMES: dict[type, str] = {
    int: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a mapping",
    object: "an operation",
}

_COUNT = Field(int, required=True)
_NUMBER = Field(int)
_TEXT = Field(str)
_FLAG = Field(bool)
_LIST = Field(list)
_MAPPING = Field(dict)
_DURATION = Field(str, seconds=True)

FIELDS: dict[str, dict[str, Field]] = {
    "createNodes": {
        "count": _COUNT,
        "nodeTemplatePath": _TEXT,
        "nodeAllocatableStrategy": _MAPPING,
        "labelNodePrepareStrategy": _MAPPING,
        "uniqueNodeLabelStrategy": _MAPPING,
        "templateParams": _MAPPING,
    },
    "createNamespaces": {
        "prefix": Field(str, required=True),
        "count": _COUNT,
        "namespaceTemplatePath": _TEXT,
    },
    "createPods": {
        "count": _COUNT,
        "steadyState": _FLAG,
        "duration": _DURATION,
        "collectMetrics": _FLAG,
        "namespace": _TEXT,
        "podTemplatePath": _TEXT,
        "skipWaitToCompletion": _FLAG,
        "persistentVolumeTemplatePath": _TEXT,
        "persistentVolumeClaimTemplatePath": _TEXT,
        "deletePodsPerSecond": _NUMBER,
        "templateParams": _MAPPING,
    },
    "createPodSets": {
        "count": _COUNT,
        "namespacePrefix": Field(str, required=True),
        NESTED_OPERATION: Field(object, required=True),
    },
    "createAny": {
        "templatePath": Field(str, required=True),
        "namespace": _TEXT,
        "count": _NUMBER,
        "templateParams": _MAPPING,
    },
    "updateAny": {
        "templatePath": Field(str, required=True),
        "namespace": _TEXT,
        "count": _NUMBER,
        "updatePerSecond": _NUMBER,
        "subresources": _LIST,
        "templateParams": _MAPPING,
    },
    "createResourceDriver": {
        "driverName": Field(str, required=True),
        "nodes": Field(str, required=True),
        "maxClaimsPerNode": _NUMBER,
    },
    "allocResourceClaims": {"namespace": _TEXT},
    "churn": {
        "mode": Field(str, required=True, choices=("create", "recreate")),
        "number": _NUMBER,
        "intervalMilliseconds": _NUMBER,
        "namespace": _TEXT,
        "templatePaths": Field(list, required=True),
    },
    "barrier": {
        "namespaces": _LIST,
        "labelSelector": _MAPPING,
        "stageRequirement": Field(str, choices=("Scheduled", "Attempted")),
    },
    "sleep": {"duration": Field(str, required=True, seconds=True)},
    "deletePods": {
        "namespace": Field(str, required=True),
        "labelSelector": _MAPPING,
        "skipWaitToCompletion": _FLAG,
        "deletePodsPerSecond": _NUMBER,
    },
    "startCollectingMetrics": {
        "name": _TEXT,
        "namespaces": Field(list, required=True),
        "labelSelector": _MAPPING,
        "collectors": _LIST,
    },
    "stopCollectingMetrics": {},
}

OPCODES = tuple(sorted(FIELDS))
