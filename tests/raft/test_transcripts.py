"""Transcripts: commands, and below each what it printed. REWRITE_TRANSCRIPTS=1 writes them anew.

Commands: `network size=3`, `campaign 1`, `propose 1 data`, `deliver` (one round of all messages),
`settle`, `tick 1 n=5`, `cut 2`, `heal`, `transfer 1 to=2`, `read 2`, `snapshot 1`, `crash 1`,
`status`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raftstore.raft import Message, MessageKind, ProposalDroppedError

TESTDATA = Path(__file__).parent / "testdata"
REWRITE = os.environ.get("REWRITE_TRANSCRIPTS") == "1"


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
    entries = [f"{e.term}/{e.index} {e.data.decode()!r}" for e in message.entries]
    return " ".join(parts) + (f" [{', '.join(entries)}]" if entries else "")


class Session:
    """One transcript being played."""

    def __init__(self, make_network: Callable[..., Any]) -> None:
        self.make_network = make_network
        self.network: Any = None
        self.output: list[str] = []

    def run(self, line: str) -> str:
        self.output = []
        name, *words = line.split()
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

    def do_propose(self, node_id: int, data: str = "x") -> None:
        self.network.nodes[node_id].propose([data.encode()])

    def do_tick(self, node_id: int, n: str = "1") -> None:
        for _ in range(int(n)):
            self.network.nodes[node_id].tick()

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
            lost = message.sender in network.cut or message.to in network.cut
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
