"""The deadlines of calls that have no task: one task looks after all of them.

Nearly every call of a real client has a deadline, and nearly none of them is missed. So they are
kept by tenths of a second, and a call that has been answered costs one look-up to forget.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final

import trio

from raftstore.http import Exchange

TICK_S: Final = 0.1
# Shorter deadlines are to be kept more exactly than this.
MIN_S: Final = 1.0

OnLate = Callable[[Exchange], None]


class Deadlines:
    """Calls to be ended when their time is over, up to a tick later."""

    def __init__(self) -> None:
        self._due: dict[int, dict[Exchange, OnLate]] = {}
        self._added = trio.Event()

    def __len__(self) -> int:
        return sum(map(len, self._due.values()))

    def add(self, exchange: Exchange, timeout_s: float, on_late: OnLate) -> None:
        """End a call in this time, unless it is over before."""
        tick = math.ceil((trio.current_time() + timeout_s) / TICK_S)
        calls = self._due.get(tick)
        if calls is None:
            calls = self._due[tick] = {}
            self._added.set()
        calls[exchange] = on_late
        exchange.on_over = partial(_forget, calls, exchange)

    async def run(self) -> None:
        """End calls in time; until cancelled."""
        while True:
            if not self._due:
                self._added = trio.Event()
                await self._added.wait()
            await trio.sleep(TICK_S)
            now = math.floor(trio.current_time() / TICK_S)
            for tick in [tick for tick in self._due if tick <= now]:
                for exchange, on_late in list(self._due.pop(tick).items()):
                    on_late(exchange)


def _forget(calls: dict[Exchange, OnLate], exchange: Exchange) -> None:
    calls.pop(exchange, None)
