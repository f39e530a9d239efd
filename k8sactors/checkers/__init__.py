"""Judges of a finished or running history.

Each check is a function from a recorded history to a list of `Finding`s. The histories are plain
data, recorded by the program that runs the system; checkers know no actors and no network.

- `linearizability`: one order explains all answers of the key-value store.
- `watch`: the guarantees of watch streams.
- `kubernetes`: invariants of the cluster, over the changes of objects and their final state.
- `fairness`: how the seats of an API server were shared between flows.
"""

from __future__ import annotations

from k8sactors.checkers.findings import Finding

__all__ = ["Finding"]
