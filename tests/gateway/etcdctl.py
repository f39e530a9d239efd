"""Debian's etcd and etcdctl: running them, and what of their words differs between clusters."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from pathlib import Path

import trio

ETCDCTL = shutil.which("etcdctl")
ETCD = shutil.which("etcd")
COMMAND_TIMEOUT_S = 8.0
START_TIMEOUT_S = 10.0


def etcdctl(url: str, command: str, typed: str = "") -> str:
    """What a command prints, without times and addresses, and its exit status."""
    assert ETCDCTL is not None
    done = subprocess.run(
        [ETCDCTL, *shlex.split(command)],
        input=typed.encode(),
        capture_output=True,
        timeout=COMMAND_TIMEOUT_S,
        env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": url},
        check=False,
    )
    lines = (done.stdout + done.stderr).decode().splitlines()
    # The client's own log lines tell of its retries, with times and addresses.
    kept = [line for line in lines if not line.startswith('{"level":')]
    return "\n".join([*kept, f"exit status {done.returncode}"]).replace(url, "URL")


def reduced(text: str) -> str:
    """Without what differs between any two clusters."""
    text = re.sub(
        r'("?(?:cluster_id|member_id|raft_term|ClusterID|MemberID|RaftTerm)"? ?: ?)\d+',
        r"\1N",
        text,
    )
    text = re.sub(r"remaining\(\d+s\)", "remaining(N)", text)
    return re.sub(r"took = \S+", "took = N", text)


class RealEtcd:
    """A single real member on ports that nobody uses."""

    def __init__(self, directory: Path) -> None:
        assert ETCD is not None
        client, peer = unused_ports(2)
        self.url = f"http://127.0.0.1:{client}"
        peer_url = f"http://127.0.0.1:{peer}"
        with (directory / "log").open("wb") as log:
            self.process = subprocess.Popen(
                [
                    ETCD,
                    f"--data-dir={directory / 'data'}",
                    f"--listen-client-urls={self.url}",
                    f"--advertise-client-urls={self.url}",
                    f"--listen-peer-urls={peer_url}",
                    f"--initial-advertise-peer-urls={peer_url}",
                    f"--initial-cluster=default={peer_url}",
                ],
                stdout=log,
                stderr=log,
            )

    def wait_ready(self) -> None:
        deadline_attempts = 20
        for _ in range(deadline_attempts):
            assert self.process.poll() is None, "etcd has ended"
            if "is healthy" in etcdctl(self.url, "endpoint health --dial-timeout=500ms"):
                return
            trio.run(trio.sleep, START_TIMEOUT_S / deadline_attempts)
        raise AssertionError("etcd did not become healthy")


def unused_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
