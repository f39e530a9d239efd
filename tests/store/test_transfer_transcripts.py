"""Snapshots in parts, as transcripts; REWRITE_TRANSCRIPTS=1 writes them again.

The leader's end and the follower's end of a transfer, and between them a wire that the commands
decide about: `state megabytes=1` (how much there is), `begin` (Raft asks for a snapshot to be
sent), `deliver n=3` (of what is under way, oldest first; all without a number), `lose n=1`,
`double n=1`, `overtake` (the youngest goes first), `load n=1` (the follower takes in so many
parts), `tick leader n=3`, `tick follower n=40`, `restart` (the follower forgets), `stop` (the
leader leads no more), `garble` (the oldest part is spoilt). What Raft is told stands in the output.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from raftstore.mvcc import Store
from raftstore.raft import Configuration, Message, Snapshot
from raftstore.raft.messages import SNAPSHOT
from raftstore.server.transfer import SNAPSHOT_PART, Pace, SnapshotReceiver, SnapshotSender

TESTDATA = Path(__file__).parent / "testdata"
REWRITE = os.environ.get("REWRITE_TRANSCRIPTS") == "1"
VALUE_BYTES = 10_000
LEADER, FOLLOWER, TERM = 1, 2, 3
Wire = list[Any]


class Parts(NamedTuple):
    """Parts in a row that fare alike."""

    verb: str
    number: int
    first: int
    last: int
    is_last: bool

    def __str__(self) -> str:
        one = self.first == self.last
        places = f"part {self.first}" if one else f"parts {self.first} to {self.last}"
        end = ", the last one" if self.is_last else ""
        return f"{self.verb} {places} of transfer {self.number}{end}"


class Session:
    """One transcript being played; it is the transport and Raft at both ends."""

    def __init__(self) -> None:
        self.output: list[str | Parts] = []
        self.under_way: list[Wire] = []
        self.store = Store(1, 1)
        self.sender = SnapshotSender(self, 0, Pace(lambda: 0))
        self.receiver = SnapshotReceiver(self)

    def run(self, line: str) -> str:
        self.output = []
        name, *words = line.split()
        options = dict(word.split("=") for word in words if "=" in word)
        numbers = {key: int(value) for key, value in options.items()}
        getattr(self, f"do_{name}")(*[word for word in words if "=" not in word], **numbers)
        return "\n".join(map(str, self.output)) or "ok"

    def tell(self, verb: str, wire: Wire) -> None:
        if wire[0] != SNAPSHOT_PART:
            _, number, count = wire
            answer = f"{count} parts taken" if count >= 0 else "refused"
            self.output.append(f"{verb} the answer: transfer {number}, {answer}")
            return
        _, number, _, place, _, is_last = wire
        before = self.output[-1] if self.output else ""
        if isinstance(before, Parts) and before[:2] == (verb, number) and before.last == place - 1:
            self.output[-1] = before._replace(last=place, is_last=is_last)
        else:
            self.output.append(Parts(verb, number, place, place, is_last))

    # The transport, and Raft of the leader

    def send_peer(self, _member_id: int, wire: Wire) -> None:
        self.tell("sent", wire)
        self.under_way.append(wire)

    @property
    def raft(self) -> Session:
        return self

    def report_snapshot_progress(self, member: int) -> None:
        self.output.append(f"Raft hears that {member} is getting on")

    def report_snapshot(self, member: int, *, ok: bool) -> None:
        self.output.append(f"Raft hears that {member} {'has it' if ok else 'has not got it'}")

    # Commands

    def do_state(self, megabytes: int) -> None:
        for number in range(megabytes * 100):
            fields = [b"k%d" % number, b"x" * VALUE_BYTES, 0, False, False, False]
            self.store.apply_wire("put", fields, 0)

    def do_begin(self) -> None:
        revision = self.store.revision
        snapshot = Snapshot(revision, TERM, Configuration.of_voters((1, 2)), self.store.view())
        self.sender.begin(Message(SNAPSHOT, FOLLOWER, LEADER, TERM, snapshot=snapshot))

    def arrive(self, wire: Wire) -> None:
        self.tell("arrived", wire)
        if wire[0] == SNAPSHOT_PART:
            self.receiver.take(LEADER, wire, TERM)
        else:
            self.sender.answered(FOLLOWER, wire, self)  # type: ignore[arg-type]

    def do_deliver(self, n: int = 1_000) -> None:
        due, self.under_way = self.under_way[:n], self.under_way[n:]
        for wire in due:
            self.arrive(wire)

    def do_overtake(self) -> None:
        self.arrive(self.under_way.pop())

    def do_lose(self, n: int = 1) -> None:
        lost, self.under_way = self.under_way[:n], self.under_way[n:]
        for wire in lost:
            self.tell("lost", wire)

    def do_double(self, n: int = 1) -> None:
        self.under_way[:n] = [wire for wire in self.under_way[:n] for _ in range(2)]

    def do_garble(self) -> None:
        oldest = next(wire for wire in self.under_way if wire[0] == SNAPSHOT_PART)
        oldest[4] = b"\xc1 nothing that was ever packed"

    def do_load(self, n: int = 1) -> None:
        complete = self.receiver.load(n)
        if complete is not None:
            snapshot = complete.snapshot
            assert snapshot is not None
            loaded = snapshot.data.take_loaded()
            same = loaded.space.revision == snapshot.index
            self.output.append(f"installs {snapshot.term}/{snapshot.index}, whole: {same}")

    def do_tick(self, end: str, n: int = 1) -> None:
        for _ in range(n):
            if end == "leader":
                self.sender.tick(self)  # type: ignore[arg-type]
            else:
                self.receiver.tick()

    def do_restart(self) -> None:
        self.receiver = SnapshotReceiver(self)

    def do_stop(self) -> None:
        self.sender.stop()


def play(text: str) -> str:
    session = Session()
    parts = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        comments = [line for line in lines if line.startswith("#")]
        command = next(line for line in lines if not line.startswith("#"))
        parts.append("\n".join([*comments, command, "----", session.run(command)]))
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("path", sorted(TESTDATA.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript_prints_what_it_says(path: Path) -> None:
    text = path.read_text()
    played = play(text)
    if REWRITE:
        path.write_text(played)
    else:
        assert text == played
