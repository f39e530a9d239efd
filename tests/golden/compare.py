"""What differs between a recording and our run of the same case: one line per difference.

A watch of a system that batches its updates differently skips intermediate states, so of
transitions only first and last values, direction and extremes count; of invariants, that no bound
is broken.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from tests.golden.subset import VARIES, missing, object_differences
from tests.golden.wording import comparable, reasons_without_blanks

Object = dict[str, Any]
Sequences = list[list[Any]]

# Seconds that a measured time may lie outside of the recorded range: polling and batching differ.
TIMING_TOLERANCE_S = 1.5
# Heartbeats come every 8 to 10 s and are looked at every 5 s: how long a node was silent already
# when it was killed, and when that is seen, depends on where the two happen to stand.
HEALTH_PHASE_S = 7.5
DELETED = "deleted"


def differences(recorded: Object, ours: Object) -> list[str]:
    """All differences of one case."""
    final = reasons_without_blanks(recorded["final"])
    lines = object_differences(final, ours["final"], "final")
    for name, groups in (recorded.get("snapshots") or {}).items():
        expected = reasons_without_blanks(groups)
        lines += object_differences(expected, ours["snapshots"][name], f"snapshot {name}")
    lines += missing(recorded.get("results", []), ours.get("results", []), "results")
    placement = _with_unscheduled(recorded.get("placement", {}), recorded["final"])
    lines += missing(placement, ours.get("placement", {}), "placement")
    lines += _order(recorded.get("order"), ours["lifecycle"])
    lines += _events(recorded, ours["events"])
    for name, entry in (recorded.get("transitions") or {}).items():
        lines += _transitions(name, entry, ours["rows"].get(name, []))
    lines += _bounds(recorded.get("invariants", {}), ours.get("invariants", {}), "invariants")
    phase_s = HEALTH_PHASE_S if recorded["area"] == "node" else 0.0
    lines += _timings(recorded.get("timings", {}), ours.get("timings", {}), phase_s)
    return lines


def _with_unscheduled(placement: Object, final: list[Object]) -> Object:
    """Some recordings count pods without a node as pods on a node called `-`."""
    rewritten = {}
    waiting_pods = _unbound(final) if len(placement) == 1 else 0
    for owner, found in placement.items():
        waiting = (found.get("nodes") or {}).get("-")
        rewritten[owner] = found
        if waiting:
            nodes = {name: n for name, n in found["nodes"].items() if name != "-"}
            rewritten[owner] = {**found, "nodes": nodes, "unscheduled": waiting}
        elif waiting_pods and "node_counts" in found and "unscheduled" not in found:
            rewritten[owner] = _counts_without(found, waiting_pods)
    return rewritten


def _counts_without(found: Object, waiting: int) -> Object:
    """Sorted counts of which one is that of the pods without a node, told apart by its size."""
    counts, zones = list(found["node_counts"]), found.get("zones")
    counts.remove(waiting)
    rewritten = {**found, "node_counts": counts, "unscheduled": waiting}
    if isinstance(zones, dict):
        rewritten["zones"] = {zone: n for zone, n in zones.items() if zone != "-"}
    elif zones:
        rewritten["zones"] = list(zones)
        rewritten["zones"].remove(waiting)
    return rewritten


def _unbound(final: list[Object]) -> int:
    return sum(
        group["count"]
        for group in final
        if group["object"]["kind"] == "Pod" and group["object"]["spec"].get("bound") is False
    )


def _order(recorded: Object | None, lifecycle: list[list[str]]) -> list[str]:
    if recorded is None:
        return []
    kinds = recorded["events"]
    ours = [" ".join(item) for item in lifecycle if kinds == "all" or item[0] in kinds]
    if ours == recorded["seq"]:
        return []
    return [f"order: recorded {recorded['seq']}, here {ours}"]


# Events


def _events(recorded: Object, ours: list[Object]) -> list[str]:
    have: dict[str, Object] = {}
    for event in ours:
        known = have.setdefault(_identity(event), {**event, "count": 0, "objects": 0})
        known["count"] += event["count"]
        known["objects"] = max(known["objects"], event["objects"])
    lines = []
    wanted: dict[str, Object] = {}
    for event in recorded["events"]:
        # When a node was first seen depends on what ran before; `normalise` leaves it out now.
        if event["reason"] != "RegisteredNode":
            wanted[_identity(event)] = event
    for identity, event in wanted.items():
        found = have.get(identity)
        if found is None:
            lines.append(f"event not seen: {identity}")
            continue
        lines += [
            f"event {identity}: {what} recorded {event[what]}, here {found[what]}"
            for what in ("objects", "count")
            if not _enough(event[what], found[what])
        ]
    sometimes = {_identity(event) for event in recorded.get("events_sometimes", [])}
    lines += [
        f"event not recorded: {identity}"
        for identity in have
        if identity not in wanted and identity not in sometimes
    ]
    return lines


def _identity(event: Object) -> str:
    event = comparable(event)
    about = [event[key] for key in ("component", "type", "reason", "kind", "name")]
    # Reason codes instead of the words, which change from release to release.
    return json.dumps([*about, event.get("parsed") or event["message"]], sort_keys=True)


def _enough(recorded: Any, ours: int) -> bool:
    if isinstance(recorded, str):
        return ours >= int(recorded.removeprefix(">="))
    return bool(ours == recorded)


# Transitions


def _transitions(name: str, recorded: Object, rows: list[list[Any]]) -> list[str]:
    where = f"transitions of {name}"
    gone = sum(1 for row in rows if row[-1] == DELETED)
    lines = [
        f"{where}: {what} recorded {recorded[what]}, here {count}"
        for what, count in (("objects", len(rows)), ("deleted", gone))
        if recorded[what] not in {VARIES, count}
    ]
    if lines:
        return lines
    if "fields" in recorded:
        per_field = {
            field: {"seqs": [_column(group, index) for group in recorded["seqs"]]}
            for index, field in enumerate(recorded["fields"])
        }
    else:
        per_field = recorded["by_field"]
    for field, facts in per_field.items():
        ours = [_steps(value for key, value in _pairs(row) if key == field) for row in rows]
        lines += [f"{where}: {field} {line}" for line in _field(facts, ours)]
    return lines


def _pairs(row: list[Any]) -> Iterable[Any]:
    return (pair for entry in row if entry != DELETED for pair in entry)


def _column(group: Object, index: int) -> Object:
    values = (entry[index] for entry in group["seq"] if entry != DELETED)
    return {"n": group["n"], "seq": _steps(values)}


def _steps(values: Iterable[Any]) -> list[Any]:
    """Without repetitions in a row."""
    steps: list[Any] = []
    for value in values:
        if not steps or steps[-1] != value:
            steps.append(value)
    return steps


def _field(facts: Object, ours: Sequences) -> list[str]:
    ours = [steps for steps in ours if steps]
    if "seqs" in facts:
        recorded = [group["seq"] for group in facts["seqs"] for _ in range(group["n"])]
        recorded = [steps for steps in recorded if steps]
        ends, own_ends = _ends(recorded), _ends(ours)
        if ends != own_ends:
            return [f"first and last recorded {_text(ends)}, here {_text(own_ends)}"]
        facts = {"monotonic": _direction(recorded)}
    return [
        f"{what}: recorded {json.dumps(facts[what])}, here {json.dumps(steps)}"
        for steps in ours
        for what, holds in (
            ("first", lambda v, s: s[0] == v),
            ("last", lambda v, s: s[-1] == v),
            ("min", lambda v, s: min(s) >= v),
            ("max", lambda v, s: max(s) <= v),
            ("monotonic", lambda v, s: v is None or _direction([s]) in {v, "flat"}),
        )
        if what in facts and not holds(facts[what], steps)
    ]


def _ends(sequences: Sequences) -> Counter[str]:
    return Counter(json.dumps([steps[0], steps[-1]]) for steps in sequences)


def _text(ends: Counter[str]) -> str:
    return ", ".join(f"{count} x {pair}" for pair, count in sorted(ends.items()))


def _direction(sequences: Sequences) -> str | None:
    """Whether numbers only rise or only fall; None for anything else."""
    values = [value for steps in sequences for value in steps]
    if not values or not all(isinstance(v, int) and not isinstance(v, bool) for v in values):
        return None
    if all(len(steps) == 1 for steps in sequences):
        return "flat"
    if all(steps == sorted(steps) for steps in sequences):
        return "up"
    if all(steps == sorted(steps, reverse=True) for steps in sequences):
        return "down"
    return None


# Bounds


def _bounds(recorded: Any, ours: Mapping[str, Any], path: str) -> list[str]:
    lines = []
    for key, value in recorded.items():
        here = f"{path}.{key}"
        if key not in ours:
            lines.append(f"{here}: not there")
        elif isinstance(value, dict) and "between" not in value:
            lines += _bounds(value, ours[key], here)
        elif value != VARIES:
            low, high = value["between"] if isinstance(value, dict) else (value, value)
            own = ours[key]
            if own < low if key.endswith("_min") else own > high:
                lines.append(f"{here}: recorded {json.dumps(value)}, here {own}")
    return lines


def _timings(recorded: Object, ours: Mapping[str, Any], phase_s: float) -> list[str]:
    """Each time after the one before; the first may be early or late by `phase_s`."""
    lines = []
    shift_s = 0.0
    for index, (name, limits) in enumerate(recorded.items()):
        low = limits["min"] - TIMING_TOLERANCE_S
        high = limits["max"] + TIMING_TOLERANCE_S
        if index == 0 and phase_s:
            middle = (limits["min"] + limits["max"]) / 2
            shift_s = min(max(ours[name] - middle, -phase_s), phase_s)
        if not low <= ours[name] - shift_s <= high:
            lines.append(f"timing {name}: recorded {limits}, here {ours[name]}")
    return lines
