"""Clusters of ours whose members are processes of their own."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import attrs
import trio
from click.testing import CliRunner

from benches.ports import unused_ports
from raftstore.cli import main
from tests.gateway.served import Served, launch, post, wait_ready

POLL_S = 0.1
COMMAND_TIMEOUT_S = 10.0


@attrs.define
class Members:
    """Members by name; those that run, and where their data is."""

    directory: Path
    initial_cluster: str
    addresses: dict[str, str]
    running: dict[str, Served] = attrs.Factory(dict)

    def launch(self, name: str, *options: str) -> subprocess.Popen[bytes]:
        """By default with the options of a founder."""
        return launch(
            *("--member", name, "--data-dir", str(self.directory / name), "--port", "0"),
            *(options or ("--initial-cluster", self.initial_cluster)),
            stderr=subprocess.PIPE,
        )

    def start(self, *names: str, options: tuple[str, ...] = ()) -> None:
        """All at once: none is ready before there is a quorum."""
        processes = {name: self.launch(name, *options) for name in names}
        for name, process in processes.items():
            self.running[name] = wait_ready(process)

    def kill(self, name: str) -> None:
        served = self.running.pop(name)
        served.process.kill()
        self.end_of(served)

    def end_of(self, served: Served) -> tuple[int, str]:
        """Exit status, and what was said on the way."""
        _, said = served.process.communicate(timeout=COMMAND_TIMEOUT_S)
        return served.process.returncode, said.decode()

    def refused(self, name: str, *options: str, directory: str = "") -> str:
        """What is said about a start that fails."""
        place = str(self.directory / (directory or name))
        arguments = ["serve", "--member", name, "--data-dir", place, "--port", "0", *options]
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code != 0
        return result.output

    def leader(self) -> str:
        """The member that leads; there is one soon."""
        while True:
            for name, served in self.running.items():
                _, status = post(served, "/v3/maintenance/status", {})
                if status.get("leader") == status["header"]["member_id"]:
                    return name
            trio.run(trio.sleep, POLL_S)


def founders(directory: Path, names: Sequence[str], others: Sequence[str] = ()) -> Members:
    """A cluster of members with these names, none started; addresses for `others` to join it."""
    all_names = (*names, *others)
    ports = (f"127.0.0.1:{port}" for port in unused_ports(len(all_names)))
    addresses = dict(zip(all_names, ports, strict=True))
    return Members(directory, ",".join(f"{name}={addresses[name]}" for name in names), addresses)
