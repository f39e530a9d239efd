"""The compactions of the operator stand in the history: clients are refused what was forgotten."""

from __future__ import annotations

import attrs

import k8sactors.simulation as simulation_module
from k8sactors.chaos.store.load import ask
from k8sactors.checkers.kv_history import History, Refusal, Request, compact
from k8sactors.checkers.kv_wire import refused
from raftstore.client import StoreClient
from raftstore.errors import RaftStoreError, StoreError, UnknownOutcomeError

NAME = "operator"


@attrs.frozen
class RecordedCompaction:
    """Compacts, and writes it down."""

    history: History

    async def __call__(self, client: StoreClient, revision: int) -> bool:
        """Whether the store has forgotten what is older than a revision."""
        request: Request = compact(revision)
        operation = self.history.invoke(NAME, request, _now_ns())
        answer = None
        try:
            outcome, answer = await ask(client, request)
        except UnknownOutcomeError:
            return False
        except RaftStoreError as error:
            known = refused(error.status) if isinstance(error, StoreError) else None
            if known is None:
                self.history.discard(operation)
                return False
            outcome = known
        self.history.complete(operation, outcome, _now_ns(), answer)
        return outcome.refusal in {None, Refusal.COMPACTED}


def _now_ns() -> int:
    return simulation_module.current().now_ns()
