"""Cases of which a part can be compared although kinds that they use are not built.

The objects of those kinds, and what belongs to them, are left out of input and recording alike.
"""

import json
import re
from typing import Any

Object = dict[str, Any]

# The names of what is left out; pods bear them with a suffix.
LEFT_OUT = {
    "app-blog-on-kubelets": ("$NS-db", "backup", "data-db", "db", "node-agent"),
    "node-unreachable": ("agent", "db"),
}
# Steps that wait for a pod that is left out, as JSON, and what takes their place.
READY = '"path": "status.conditions[type=Ready].status", "equals": "True"'
INSTEAD = {
    "app-blog-on-kubelets": ((f'{READY}, "count": 7', f'{READY}, "count": 3'),),
    "node-unreachable": (
        (f'{READY}, "count": 6', f'{READY}, "count": 2'),
        ('"kind": "Pod", "name": "db-0"', '"kind": "Pod", "selector": {"app": "quick"}'),
    ),
}


def reduce_case(case: Object) -> Object:
    """The case without what is not built."""
    names = LEFT_OUT.get(case["name"])
    if names is None:
        return case
    steps = json.dumps(case["steps"])
    for old, new in INSTEAD[case["name"]]:
        assert old in steps, old
        steps = steps.replace(old, new)
    kept = [
        {"apply": [obj for obj in step["apply"] if obj["metadata"]["name"] not in names]}
        if "apply" in step
        else step
        for step in json.loads(steps)
        if step.get("until", {}).get("name") not in names
    ]
    return {**case, "steps": kept}


def reduce_recording(name: str, recorded: Object) -> Object:
    """The recording without it."""
    names = LEFT_OUT.get(name)
    if names is None:
        return recorded
    gone = re.compile(rf"(?:\w+/)?(?:{'|'.join(map(re.escape, names))})(?:-.*)?")

    def kept(named: Object) -> bool:
        return gone.fullmatch(named["name"]) is None

    def of_objects(groups: list[Object]) -> list[Object]:
        return [group for group in groups if kept(group["object"])]

    def of_keys(facts: Object) -> Object:
        return {key: value for key, value in facts.items() if gone.fullmatch(key) is None}

    reduced = {
        "final": of_objects(recorded["final"]),
        "snapshots": {k: of_objects(g) for k, g in recorded.get("snapshots", {}).items()},
        "events": [event for event in recorded["events"] if kept(event)],
        "placement": of_keys(recorded.get("placement", {})),
        "invariants": {k: of_keys(facts) for k, facts in recorded.get("invariants", {}).items()},
    }
    return {**recorded, **reduced}
