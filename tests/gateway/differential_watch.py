"""Watch streams of two clusters, asked the same: every watch has to tell the same."""

from __future__ import annotations

import queue
import threading  # noqa: TID251 - grpcio hands messages to the thread that waits
from collections.abc import Iterator
from typing import Any

import attrs
import grpc
from hypothesis import strategies as st

from tests.gateway.differential import (
    BY_NAME,
    CALL_TIMEOUT_S,
    ENDS,
    Ago,
    Pair,
    Step,
    resolved,
    some,
    with_key,
)

WATCH = BY_NAME["Watch"]
SILENCE_S = 0.4
"""After which a stream has said everything; etcd looks for watches that lag every 100 ms."""
FIRST_WORD_S = 5.0
# From before the first revision on: etcd calls that compacted.
STARTS = st.sampled_from((0, 0, 1, Ago(0), Ago(1), Ago(3), Ago(6), Ago(-1), Ago(-3)))
CREATE = st.builds(
    # Whether an identifier can be had again depends on when a compaction ends its first owner.
    lambda fields: {
        "create_request": {**fields, **({"start_revision": 0} if fields.get("watch_id") else {})}
    },
    with_key(
        some(
            range_end=ENDS,
            start_revision=STARTS,
            prev_kv=st.booleans(),
            fragment=st.booleans(),
            filters=st.lists(st.integers(0, 1), max_size=2),
            watch_id=st.sampled_from((0, 5, 6)),
        )
    ),
)
CANCEL = st.builds(
    lambda number: {"cancel_request": {"watch_id": number}}, st.sampled_from((0, 1, 5, 77))
)
LIVE_KEYS = st.sampled_from((b"a", b"aa", b"b", b"c"))
WRITE = st.one_of(
    st.builds(lambda key, value: Step("Put", {"key": key, "value": value}), LIVE_KEYS, LIVE_KEYS),
    st.builds(lambda key: Step("DeleteRange", {"key": key}), LIVE_KEYS),
    st.builds(
        lambda key: Step(
            "Txn",
            {
                "success": [
                    {"request_delete_range": {"key": key}},
                    {"request_put": {"key": b"d", "value": key}},
                ]
            },
        ),
        LIVE_KEYS,
    ),
)


@attrs.frozen
class Plan:
    """What to write first, what to ask of one stream then, and what to write while it watches."""

    before: list[Step]
    creates: list[dict[str, Any]]
    cancels: list[dict[str, Any]]
    after: list[Step]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    before = draw(st.lists(WRITE, min_size=4, max_size=10))
    if draw(st.booleans()):
        # What the compaction is at is no deletion: later releases still show it to watches.
        before[3:3] = [Step("Put", {"key": b"a"}), Step("Compact", {"revision": Ago(0)})]
    creates = draw(st.lists(CREATE, min_size=1, max_size=12))
    return Plan(before, creates, draw(st.lists(CANCEL, max_size=2)), draw(st.lists(WRITE)))


@attrs.define
class Told:
    """What a stream has told of one watch."""

    created: int = 0
    events: list[str] = attrs.Factory(list)
    end: tuple[str, int] | None = None
    """The reason of the cancellation, and its compact revision."""


class Stream:
    """A watch stream, read by a thread."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.insecure_channel(address)
        self._asked: queue.Queue[bytes | None] = queue.Queue()
        self._said: queue.Queue[Any] = queue.Queue()
        make = self._channel.stream_stream(
            WATCH.path, response_deserializer=WATCH.response.FromString
        )
        self._call = make(self._requests(), timeout=CALL_TIMEOUT_S)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def ask(self, request: Any) -> None:
        self._asked.put(request.SerializeToString())

    def told(self, patience_s: float) -> dict[int, Told]:
        """By watch, until there is silence; the first word may take so long."""
        told: dict[int, Told] = {}
        while True:
            try:
                response = self._said.get(timeout=patience_s)
            except queue.Empty:
                return told
            patience_s = SILENCE_S
            _note(told.setdefault(response.watch_id, Told()), response)

    def close(self) -> None:
        self._asked.put(None)
        self._call.cancel()
        self._reader.join()
        self._channel.close()

    def _requests(self) -> Iterator[bytes]:
        while (data := self._asked.get()) is not None:
            yield data

    def _read(self) -> None:
        try:
            for response in self._call:
                self._said.put(response)
        except grpc.RpcError as error:
            if error.code() is not grpc.StatusCode.CANCELLED:
                raise


def _note(told: Told, response: Any) -> None:
    told.created += response.created
    told.events += [str(event) for event in response.events]
    if response.canceled:
        told.end = (response.cancel_reason, response.compact_revision)


def run(pair: Pair, plan: Plan) -> None:
    """Write, watch, write on.

    Raises:
        AssertionError: the two do not tell the same.
    """
    pair.run(plan.before)
    streams = [Stream(address) for address in pair.addresses]

    def compare(patience_s: float) -> dict[int, Told]:
        ours, theirs = (stream.told(patience_s) for stream in streams)
        assert theirs == ours, f"{plan}\nreal: {theirs}\nours: {ours}"
        return ours

    def ask(requests: list[dict[str, Any]]) -> None:
        for fields in requests:
            request = WATCH.request(**resolved(fields, pair.revision))
            for stream in streams:
                stream.ask(request)

    try:
        ask(plan.creates)
        # Answered before something is asked that could overtake it.
        told = compare(FIRST_WORD_S)
        # A real etcd cancels a watch once more that a compaction has ended.
        ended = {number for number, watch in told.items() if watch.end is not None}
        ask([item for item in plan.cancels if item["cancel_request"]["watch_id"] not in ended])
        if plan.cancels:
            compare(2 * SILENCE_S)
        for step in plan.after:
            pair.ask(*step)
        if plan.after:
            compare(2 * SILENCE_S)
    finally:
        for stream in streams:
            stream.close()
