"""The front door, which breaks the connection of a client whose answer is to be lost."""

from __future__ import annotations

from k8sactors.api.errors import StatusError
from k8sactors.gateway.front import Front
from k8sactors.testing.observed_message import LOST_REASON
from raftstore.http import Exchange


class FaultyFront(Front):
    """The application in front of the API servers, with answers that are lost."""

    async def _answer(self, exchange: Exchange) -> None:
        try:
            await super()._answer(exchange)
        except StatusError as error:
            if error.reason != LOST_REASON:
                raise
            exchange.reset()
