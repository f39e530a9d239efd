"""Transcripts: commands, and below each what it printed. REWRITE_TRANSCRIPTS=1 writes them again.

Commands: `network size=3 founded=1 max_inflight_messages=2`, `campaign 1`, `propose 1 data=x`,
`deliver` (one round of all messages), `settle`, `tick 1 n=5`, `cut 2`, `heal`, `transfer 1 to=2`,
`read 2`, `snapshot 1`, `crash 1`, `status`.

Members: `join 4`, `change 1 +4 ~5 -3 explicit` (voters, learners, removed; how), `leave 1`,
`members`. Flow: `flow 1` (what a leader knows), `hold 3` (messages to 3 wait), `release`, `lose
kind=APPEND` (until `heal`), `unreachable 1 member=3`, `report 1 member=3 ok=1` (what became of a
snapshot), `part 1 member=3` (of it has arrived). Leases: `lease 1`.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raftstore.raft import (
    LEAVE_JOINT,
    ChangeKind,
    ConfChange,
    Configuration,
    ConfigurationError,
    Entry,
    EntryKind,
    MemberChange,
    Message,
    MessageKind,
    ProposalDroppedError,
    Transition,
)

TESTDATA = Path(__file__).parent / "testdata"
REWRITE = os.environ.get("REWRITE_TRANSCRIPTS") == "1"


KINDS = {"+": ChangeKind.ADD_VOTER, "~": ChangeKind.ADD_LEARNER, "-": ChangeKind.REMOVE}
SIGNS = {kind: sign for sign, kind in KINDS.items()}
LONGEST_DATA = 20


def describe_entry(entry: Entry) -> str:
    if entry.kind == EntryKind.CONF_CHANGE:
        change = ConfChange.decode(entry.data)
        words = [f"{SIGNS[ChangeKind(kind)]}{member}" for kind, member in change.changes]
        text = " ".join(
            [*words, Transition(change.transition).name.lower()] if words else ["leave"]
        )
        return f"{entry.term}/{entry.index} <{text}>"
    if len(entry.data) > LONGEST_DATA:
        return f"{entry.term}/{entry.index} {len(entry.data)} bytes"
    return f"{entry.term}/{entry.index} {entry.data.decode()!r}"


def describe_members(configuration: Configuration) -> str:
    parts = [
        f"{name}={','.join(map(str, members))}"
        for name, members in configuration._asdict().items()
        if members and name != "auto_leave"
    ]
    return " ".join([*parts, "auto-leave"] if configuration.auto_leave else parts)


def describe(message: Message) -> str:
    parts = [
        f"{message.sender}->{message.to}",
        MessageKind(message.kind).name,
        f"term={message.term}",
    ]
    if message.index or message.log_term:
        parts.append(f"at={message.log_term}/{message.index}")
    if message.commit:
        parts.append(f"commit={message.commit}")
    if message.reject:
        parts.append(f"REJECTED hint={message.reject_hint}")
    if message.context:
        parts.append(f"context={message.context.decode()}")
    if message.snapshot is not None:
        parts.append(f"snapshot={message.snapshot.term}/{message.snapshot.index}")
    entries = [describe_entry(entry) for entry in message.entries]
    return " ".join(parts) + (f" [{', '.join(entries)}]" if entries else "")


class Session:
    """One transcript being played."""

    def __init__(self, make_network: Callable[..., Any]) -> None:
        self.make_network = make_network
        self.network: Any = None
        self.output: list[str] = []
        self.held: dict[int, list[Message]] = {}
        self.lost: dict[str, None] = {}

    def run(self, line: str) -> str:
        self.output = []
        name, *words = line.split()
        if name == "change":
            self.do_change(*words)
            return "\n".join(self.output) or "ok"
        options = dict(word.split("=") for word in words if "=" in word)
        numbers = [int(word) for word in words if "=" not in word and word.isdigit()]
        try:
            getattr(self, f"do_{name}")(*numbers, **options)
        except ProposalDroppedError as refusal:
            self.output.append(f"dropped: {refusal}")
        return "\n".join(self.output) or "ok"

    def do_network(self, size: str = "3", **settings: str) -> None:
        self.network = self.make_network(
            int(size), **{key: int(value) for key, value in settings.items()}
        )

    def do_campaign(self, node_id: int) -> None:
        self.network.nodes[node_id].campaign()

    def do_propose(self, node_id: int, data: str = "x", size: str = "0") -> None:
        self.network.nodes[node_id].propose([b"x" * int(size) or data.encode()])

    def do_tick(self, node_id: int, n: str = "1") -> None:
        for _ in range(int(n)):
            self.network.nodes[node_id].tick()

    def do_join(self, node_id: int) -> None:
        self.network.join(node_id)

    def do_change(self, node_id: str, *words: str) -> None:
        changes = [
            MemberChange(KINDS[word[0]], int(word[1:])) for word in words if word[0] in KINDS
        ]
        how = [word for word in words if word[0] not in KINDS]
        transition = Transition[how[0].upper()] if how else Transition.AUTO
        self.propose_change(int(node_id), ConfChange(transition, tuple(changes)))

    def do_leave(self, node_id: int) -> None:
        self.propose_change(node_id, LEAVE_JOINT)

    def propose_change(self, node_id: int, change: ConfChange) -> None:
        try:
            self.network.nodes[node_id].propose_change(change)
        except (ConfigurationError, ProposalDroppedError) as refusal:
            self.output.append(f"refused: {refusal}")

    def do_members(self) -> None:
        for node_id in self.network.ids:
            members = describe_members(self.network.configuration(node_id))
            self.output.append(f"{node_id} {members}")

    def do_flow(self, node_id: int) -> None:
        for member, progress in self.network.nodes[node_id].raft.progress.items():
            if member != node_id:
                snapshot = progress.pending_snapshot
                self.output.append(
                    f"{member} {progress.state.value} match={progress.match} next={progress.next}"
                    + (f" inflight={len(progress.inflight)}" if len(progress.inflight) else "")
                    + (f" bytes={progress.inflight.bytes}" if progress.inflight.bytes else "")
                    + (" paused" if progress.is_paused() else "")
                    + (f" snapshot={snapshot}" if snapshot else "")
                )

    def do_hold(self, node_id: int) -> None:
        self.held.setdefault(node_id, [])

    def do_release(self) -> None:
        held, self.held = self.held, {}
        self.network.in_flight += [message for messages in held.values() for message in messages]

    def do_lose(self, **kinds: str) -> None:
        self.lost |= dict.fromkeys(kinds["kind"].split(","))

    def do_unreachable(self, node_id: int, member: str) -> None:
        self.network.nodes[node_id].report_unreachable(int(member))

    def do_report(self, node_id: int, member: str, ok: str) -> None:
        self.network.nodes[node_id].report_snapshot(int(member), ok=ok == "1")

    def do_part(self, node_id: int, member: str) -> None:
        self.network.nodes[node_id].raft.report_snapshot_progress(int(member))

    def do_lease(self, node_id: int) -> None:
        has_lease = self.network.nodes[node_id].raft.has_lease()
        self.output.append("has its lease" if has_lease else "has none")

    def do_transfer(self, node_id: int, to: str) -> None:
        self.network.nodes[node_id].transfer_leader(int(to))

    def do_read(self, node_id: int) -> None:
        self.network.read(node_id)

    def do_snapshot(self, node_id: int) -> None:
        self.network.snapshot(node_id)

    def do_crash(self, node_id: int) -> None:
        self.network.crash(node_id)

    def do_cut(self, node_id: int) -> None:
        self.network.cut[node_id] = None

    def do_heal(self) -> None:
        self.network.cut.clear()
        self.lost.clear()

    def do_deliver(self) -> bool:
        """Carry out every Ready, then deliver what was sent."""
        network = self.network
        busy = False
        confirmed = dict(network.confirmed)
        for node_id in network.ids:
            while network.begin(node_id):
                self.describe_ready(node_id)
                network.sync(node_id)
                busy = True
        for context in network.confirmed.keys() - confirmed.keys():
            self.output.append(f"{context.decode()} confirmed at {network.confirmed[context]}")
        messages, network.in_flight = network.in_flight, []
        for message in messages:
            if message.to in self.held:
                self.held[message.to].append(message)
                self.output.append("held " + describe(message))
                continue
            lost = message.sender in network.cut or message.to in network.cut
            if MessageKind(message.kind).name in self.lost:
                self.output.append("lost " + describe(message))
                continue
            self.output.append(("lost " if lost else "") + describe(message))
            network.step(message)
        return busy or bool(messages)

    def describe_ready(self, node_id: int) -> None:
        ready = self.network.unsynced[node_id]
        if ready.soft_state is not None:
            role, leader = ready.soft_state.role.value, ready.soft_state.leader
            self.output.append(f"{node_id} is {role}, leader {leader}")
        if ready.snapshot is not None:
            self.output.append(f"{node_id} installs {ready.snapshot.term}/{ready.snapshot.index}")
        if ready.committed_entries:
            applied = [f"{e.term}/{e.index}" for e in ready.committed_entries]
            self.output.append(f"{node_id} applies {' '.join(applied)}")
            if any(e.kind == EntryKind.CONF_CHANGE for e in ready.committed_entries):
                members = describe_members(self.network.configuration(node_id))
                self.output.append(f"{node_id} has {members}")

    def do_settle(self) -> None:
        while self.do_deliver():
            pass

    def do_status(self) -> None:
        for node_id in self.network.ids:
            status = self.network.nodes[node_id].status()
            self.output.append(
                f"{node_id} {status['role']} term={status['term']} vote={status['vote']} "
                f"log={status['first_index']}..{status['last_index']} "
                f"commit={status['committed']} applied={status['applied']}"
            )
            for member, progress in status["progress"].items():
                self.output.append(f"    {member}: {progress['state']} match={progress['match']}")


def play(text: str, make_network: Callable[..., Any]) -> str:
    session = Session(make_network)
    parts = []
    for block in text.strip().split("\n\n"):
        lines = block.splitlines()
        comments = [line for line in lines if line.startswith("#")]
        command = next((line for line in lines if not line.startswith("#")), None)
        if command is None:
            parts.append(block)
            continue
        parts.append("\n".join([*comments, command, "----", session.run(command)]))
    return "\n\n".join(parts) + "\n"


@pytest.mark.parametrize("path", sorted(TESTDATA.glob("*.txt")), ids=lambda path: path.stem)
def test_transcript_prints_what_it_says(path: Path, make_network: Callable[..., Any]) -> None:
    text = path.read_text()
    played = play(text, make_network)
    if REWRITE:
        path.write_text(played)
    else:
        assert text == played
