"""What etcdctl prints about members, with labels for what differs between any two clusters."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

import attrs

from tests.gateway.etcdctl import COMMAND_TIMEOUT_S, begin, reduced, said

LABELS = ("FIRST", "SECOND", "THIRD", "FOURTH", "FIFTH")
NUMBERS = {"RAFT TERM", "RAFT INDEX", "RAFT APPLIED INDEX", "DB SIZE", "VERSION"}
STATUS = ("ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM")
STATUS += ("RAFT INDEX", "RAFT APPLIED INDEX", "ERRORS")
HASH = ("ENDPOINT", "HASH")
PLAIN = {"raftIndex", "raftTerm", "raftAppliedIndex", "dbSize", "dbSizeInUse", "version"}
PLAIN |= {"cluster_id", "raft_term", "revision"}


@attrs.define
class Side:
    """One of the two clusters, and what its words stand for."""

    url: str
    names: dict[str, str] = attrs.Factory(dict)
    ids: dict[int, str] = attrs.Factory(dict)
    urls: dict[str, str] = attrs.Factory(dict)
    cluster_id: int = 0
    hashes: dict[str, str] = attrs.Factory(dict)

    def learn(self) -> None:
        """Look who the members are; new ones get the next label."""
        listed = json.loads(ask(self.url, "member list -w json").splitlines()[0])
        self.cluster_id = listed["header"]["cluster_id"]
        for member in listed["members"]:
            label = self.ids.setdefault(member["ID"], LABELS[len(self.ids)])
            if member.get("name"):
                self.names[member["name"]] = label
            for kind, urls in (("PEER", "peerURLs"), ("CLIENT", "clientURLs")):
                if len(member.get(urls, ())) == 1 and f"{kind}-{label}" not in self.urls.values():
                    self.urls[member[urls][0]] = f"{kind}-{label}"

    def filled(self, command: str) -> tuple[str, str]:
        """The command with this cluster's ids and addresses, and the URL to ask."""
        url = self.url
        by_label = {label: text for text, label in self.urls.items()}
        if command.startswith("AT-"):
            place, _, command = command.removeprefix("AT-").partition(" ")
            url = ",".join(by_label[f"CLIENT-{label}"] for label in place.split("+"))
        for label, text in by_label.items():
            command = command.replace(label, text)
        for number, label in self.ids.items():
            command = command.replace(f"ID-{label}", f"{number:x}")
        return command, url

    def plain(self, text: str) -> str:
        """What was printed, with labels for what differs between clusters.

        Equal hashes have the same label, so that it is seen whether members agree.
        """
        self.hashes = {}
        lines = text.splitlines()
        status = lines.pop()
        if lines and lines[0][:1] in "{[":
            lines = [self.json(line) if line[0] in "{[" else self.words(line) for line in lines]
        elif lines and lines[0].startswith("+-"):
            lines = sorted(map(str, self.table(lines)))
        elif any(" : " in line for line in lines):
            blocks = re.split(r'\n(?="ID" : |"ClusterID" : )', "\n".join(lines))
            lines = sorted(self.words(_without_numbers(block)).rstrip() for block in blocks)
        else:
            lines = sorted(self.line(line) for line in lines)
        return "\n".join([*lines, status])

    def json(self, line: str) -> str:
        return json.dumps(self.labelled(json.loads(line)), sort_keys=True)

    def labelled(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self.labelled(item, name) for name, item in value.items()}
        if isinstance(value, list):
            items = [self.labelled(item, key) for item in value]
            return sorted(items, key=json.dumps)
        if key in PLAIN:
            return "N"
        if key in {"ID", "member_id", "leader"} and value in self.ids:
            return self.ids[value]
        if key == "hash":
            return self.hash(str(value))
        if key == "took":
            return "TOOK"
        return self.words(value) if isinstance(value, str) else value

    def line(self, line: str) -> str:
        cells = line.split(", ")
        if len(cells) == len(STATUS):
            return str(self.row(STATUS, cells))
        if len(cells) == len(HASH) and cells[1].isdigit():
            return str(self.row(HASH, cells))
        return _in_order(self.words(line))

    def hash(self, number: str) -> str:
        return self.hashes.setdefault(number, f"HASH-{len(self.hashes) + 1}")

    def row(self, names: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
        pairs = dict(zip(names, cells, strict=True))
        return {
            name: self.hash(cell) if name == "HASH" else self.words(cell)
            for name, cell in pairs.items()
            if name not in NUMBERS
        }

    def table(self, lines: list[str]) -> Iterator[dict[str, str]]:
        rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
        for cells in rows[1:]:
            yield self.row(rows[0], cells)

    def words(self, text: str) -> str:
        for url, label in self.urls.items():
            text = text.replace(url, label).replace(url.removeprefix("http://"), label)
        for name, label in self.names.items():
            text = re.sub(rf"(?<![\w-]){name}(?![\w-])", label, text)
        numbers = {number: f"ID-{label}" for number, label in self.ids.items()}
        for number, label in [*numbers.items(), (self.cluster_id, "CLUSTER")]:
            # Ids of ours are small numbers, of which there are others in addresses.
            text = re.sub(rf" *(?<![\w.:/-])({number:x}|{number})(?![\w.:-])", f" {label}", text)
        return reduced(text)


def ask(url: str, command: str) -> str:
    """What a command prints."""
    process = begin(url, command)
    output = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    return said("no url", output, process.returncode)


def _without_numbers(text: str) -> str:
    return re.sub(
        r'"(Version|DBSize|RaftIndex|RaftTerm|RaftAppliedIndex|Revision)" : \S+', r'"\1" : N', text
    )


def _in_order(line: str) -> str:
    """The members in the setting of an initial cluster come in the order of their ids."""
    name, equals, members = line.partition('="')
    if name != "ETCD_INITIAL_CLUSTER":
        return line
    return name + equals + ",".join(sorted(members.rstrip('"').split(",")))


def run(sides: tuple[Side, Side], commands: list[str]) -> None:
    """Both print the same."""
    for command in commands:
        running = [(side, begin(*reversed(side.filled(command)))) for side in sides]
        printed = []
        for side, process in running:
            output = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
            printed.append((side, said("no url", output, process.returncode)))
        if "member " in command:
            for side, text in printed:
                if text.endswith("exit status 0"):
                    side.learn()
        ours, theirs = (plain(command, side, text) for side, text in printed)
        assert theirs == ours, f"{command}\n{printed[0][1]}\n{printed[1][1]}"


def plain(command: str, side: Side, text: str) -> str:
    """What a command has printed; only some print words that labels stand for."""
    if re.search("member|endpoint|move-leader|defrag", command):
        return side.plain(text)
    return reduced(text)
