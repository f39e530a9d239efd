"""What the revisions in answers say by themselves: they never run backwards.

Unlike the search for an order it costs only a sort, and it sees stale reads of keys that no client
overwrote; but it believes what the store says of itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.kv_history import ActionKind, Operation


def check_revisions(operations: Sequence[Operation]) -> list[Finding]:
    """Revisions in answers never run backwards in real time, and no two writes share one.

    Serializable reads may be of the past.
    """
    done = [op for op in operations if _has_newest_revision(op)]
    found: list[Finding] = []
    events = sorted(
        [(op.call_order, 0, op) for op in done] + [(op.return_order or 0, 1, op) for op in done],
        key=lambda event: event[0],
    )
    newest = 0
    floor: dict[int, int] = {}
    writer: dict[int, Operation] = {}
    for order, is_return, operation in events:
        if not is_return:
            floor[order] = newest
            continue
        assert operation.outcome is not None
        revision = operation.outcome.revision or 0
        if revision < floor[operation.call_order]:
            message = (
                f"{operation} answered at revision {revision}, but revision "
                f"{floor[operation.call_order]} had been answered before it was called"
            )
            found.append(Finding("revision-order", message, operation.returned_ns or 0))
        if _wrote(operation):
            if revision in writer:
                message = f"two writes at revision {revision}: {writer[revision]} and {operation}"
                found.append(Finding("revision-unique", message, operation.returned_ns or 0))
            writer[revision] = operation
        newest = max(newest, revision)
    return found


def _has_newest_revision(operation: Operation) -> bool:
    outcome = operation.outcome
    return (
        outcome is not None and outcome.revision is not None and not operation.request.serializable
    )


def _wrote(operation: Operation) -> bool:
    """Whether it surely took a revision; of leases and their keys that cannot be told."""
    outcome = operation.outcome
    for action, result in zip(operation.done, outcome.results if outcome else (), strict=False):
        if action.kind is ActionKind.PUT:
            return True
        if action.kind in (ActionKind.DELETE, ActionKind.DELETE_RANGE) and result not in {0, None}:
            return True
    return False
