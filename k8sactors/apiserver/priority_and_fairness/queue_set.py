"""The queues of a priority level, and the fair order in which their requests leave.

Fair Queuing for Server Requests (KEP-1040): the level has a clock R that runs as fast as each busy
queue would be served if all were served at once, a little of each. A queue knows at which R its
next request would begin; the request leaves first that would end first. How long a request takes is
not known before: each is charged `ASSUMED_SERVICE_NS` for its seats, which is put right when it
ends. Work is an integer of seats times nanoseconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import attrs

from k8sactors.apiserver.priority_and_fairness.shuffle_sharding import deal
from k8sactors.simulation import MILLISECOND, Timer

ASSUMED_SERVICE_NS: Final = 3 * MILLISECOND


@attrs.define(eq=False)
class Entry:
    """A request of a level that was short of seats: it waits, or it has left its queue."""

    request: Any
    # While it is served, and for `extra_ns` afterwards, while its changes are sent to watchers.
    seats: int
    final_seats: int
    extra_ns: int
    arrived_ns: int
    # None: the level has no queues.
    queue: Queue | None = None
    arrived_r: int = 0
    started_ns: int = 0
    started: bool = False
    # Whether its arrival is being handled: then it begins without being called back.
    entering: bool = True
    timer: Timer | None = None

    @property
    def most_seats(self) -> int:
        """What it holds from its start to its end."""
        return max(self.seats, self.final_seats)

    @property
    def work(self) -> int:
        """What it is charged when it starts."""
        return self.seats * ASSUMED_SERVICE_NS + self.final_seats * self.extra_ns


class Queue:
    """Requests of one level, first in, first out."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.waiting: dict[Entry, None] = {}
        self.waiting_work = 0
        self.executing = 0
        self.seats_in_use = 0
        # At which R its next request begins, and, if one waits, at which R that one would end.
        self.next_start_r = 0
        self.next_end_r = 0

    @property
    def oldest(self) -> Entry:
        """The request that has waited longest."""
        return next(iter(self.waiting))

    @property
    def busy(self) -> bool:
        """Whether it is served, or waits to be."""
        return bool(self.waiting) or self.executing > 0


class QueueSet:
    """The queues of one priority level."""

    def __init__(self, number: int, hand_size: int, length_limit: int) -> None:
        self.queues = [Queue(index) for index in range(number)]
        self.hand_size = hand_size
        self.length_limit = length_limit
        self.now_r = 0
        self._synced_ns = 0
        self._not_empty: dict[int, Queue] = {}
        self._busy = 0
        self._last_index = 0
        self._arrivals = 0
        self._hands: dict[int, tuple[int, ...]] = {}

    def synchronize(self, now_ns: int, seats: int) -> None:
        """Advance R; so many seats have been used since the last time, or could have been."""
        elapsed_ns = now_ns - self._synced_ns
        self._synced_ns = now_ns
        if self._busy:
            self.now_r += elapsed_ns * seats // self._busy

    def choose(self, flow_hash: int) -> Queue:
        """The queue for a request of a flow: that of its hand in which least work waits."""
        hand = self._hands.get(flow_hash)
        if hand is None:
            hand = deal(flow_hash, len(self.queues), self.hand_size)
            self._hands[flow_hash] = hand
        offset = self._arrivals % len(hand)
        self._arrivals += 1
        in_turn = (self.queues[index] for index in (*hand[offset:], *hand[:offset]))
        return min(in_turn, key=lambda queue: queue.waiting_work)

    def enqueue(self, entry: Entry, queue: Queue) -> None:
        """Let a request wait."""
        self._arrive(entry, queue)
        queue.waiting[entry] = None
        queue.waiting_work += entry.work
        self._not_empty[queue.index] = queue
        _bound(queue)

    def adopt(self, entry: Entry, queue: Queue) -> None:
        """Charge a queue for a request that was started before there were queues."""
        self._arrive(entry, queue)
        self._start(entry, queue)

    def first(self) -> Entry | None:
        """The request that is to be served next; it stays where it is."""
        if not self._not_empty:
            return None
        # Dozens of queues, of which most may be equal: this is asked for each request that waits.
        waiting = self._not_empty.values()
        lowest_r = min([queue.next_end_r for queue in waiting])
        number, after = len(self.queues), self._last_index + 1
        turns = [
            (queue.index - after) % number for queue in waiting if queue.next_end_r == lowest_r
        ]
        return self.queues[(min(turns) + after) % number].oldest

    def dispatch(self, entry: Entry) -> None:
        """Let a request begin."""
        queue = self.remove(entry)
        self._last_index = queue.index
        if not queue.busy:
            self._busy += 1
        self._start(entry, queue)

    def remove(self, entry: Entry) -> Queue:
        """Take a request out of its queue, which is returned."""
        queue = entry.queue
        assert queue is not None
        del queue.waiting[entry]
        queue.waiting_work -= entry.work
        if not queue.waiting:
            del self._not_empty[queue.index]
            if not queue.busy:
                self._busy -= 1
        _bound(queue)
        return queue

    def finish(self, entry: Entry, now_ns: int) -> None:
        """A request has ended: charge for the time that it took, not for what was assumed."""
        queue = entry.queue
        if queue is None or queue not in self.queues[queue.index : queue.index + 1]:
            # It began when the level had other queues.
            return
        served_ns = now_ns - entry.started_ns - entry.extra_ns
        queue.next_start_r += entry.seats * (served_ns - ASSUMED_SERVICE_NS)
        queue.executing -= 1
        queue.seats_in_use -= entry.most_seats
        if not queue.busy:
            self._busy -= 1
        _bound(queue)

    def waiting(self) -> Iterator[Entry]:
        """All requests that wait, queue by queue."""
        for queue in self.queues:
            yield from queue.waiting

    def _arrive(self, entry: Entry, queue: Queue) -> None:
        entry.queue, entry.arrived_r = queue, self.now_r
        if not queue.busy:
            self._busy += 1
            queue.next_start_r = self.now_r

    def _start(self, entry: Entry, queue: Queue) -> None:
        queue.executing += 1
        queue.seats_in_use += entry.most_seats
        queue.next_start_r += entry.work
        _bound(queue)


def _bound(queue: Queue) -> None:
    """No request begins before it has arrived: an idle queue saves nothing up."""
    if queue.waiting:
        oldest = queue.oldest
        queue.next_start_r = max(queue.next_start_r, oldest.arrived_r)
        queue.next_end_r = queue.next_start_r + oldest.work
