"""Debian's etcd and etcdctl: running them, and what of their words differs between clusters."""

from __future__ import annotations

import os
import re
import select
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import trio

from benches.ports import unused_ports
from tests.gateway.sessions import WAITS, Session

ETCDCTL = shutil.which("etcdctl")
ETCD = shutil.which("etcd")
COMMAND_TIMEOUT_S = 8.0
START_TIMEOUT_S = 10.0
FIRST_WORD_TIMEOUT_S = 3.0
SILENCE_S = 0.5


def etcdctl(url: str, command: str, typed: str = "") -> str:
    """What a command prints, without times and addresses, and its exit status."""
    process = begin(url, command, typed)
    output = process.communicate(timeout=COMMAND_TIMEOUT_S)[0]
    return said(url, output, process.returncode)


def begin(url: str, command: str, typed: str = "") -> subprocess.Popen[bytes]:
    """Start a command; what is typed is typed ahead."""
    assert ETCDCTL is not None
    process = subprocess.Popen(
        [ETCDCTL, *shlex.split(command)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env={**os.environ, "ETCDCTL_API": "3", "ETCDCTL_ENDPOINTS": url},
    )
    assert process.stdin is not None
    process.stdin.write(typed.encode())
    process.stdin.flush()
    return process


def until_silent(process: subprocess.Popen[bytes]) -> bytes:
    """What a command prints until it has said nothing for a while; it is ended then."""
    assert process.stdout is not None
    output = b""
    patience_s = FIRST_WORD_TIMEOUT_S
    while select.select([process.stdout], [], [], patience_s)[0]:
        chunk = os.read(process.stdout.fileno(), 65_536)
        if not chunk:
            break
        output += chunk
        patience_s = SILENCE_S
    process.kill()
    process.communicate()
    return output


def said(url: str, output: bytes, status: int | None) -> str:
    """The words of a command, and its exit status if it ended by itself."""
    # The client's own log lines tell of its retries, with times and addresses.
    lines = [
        line
        for line in output.decode("utf-8", "backslashreplace").splitlines()
        if not line.startswith('{"level":')
    ]
    if status is not None:
        lines.append(f"exit status {status}")
    return "\n".join(lines).replace(url, "URL").replace(url.removeprefix("http://"), "ADDRESS")


def reduced(text: str) -> str:
    """Without what differs between any two clusters."""
    text = re.sub(
        r'("?(?:cluster_id|member_id|raft_term|ClusterID|MemberID|RaftTerm|Hash|hash)"? ?: ?)\d+',
        r"\1N",
        text,
    )
    text = re.sub(r"\bmemberID:\d+ ", "memberID:N ", text)
    text = re.sub(r"(URL, )\d+$", r"\1HASH", text, flags=re.MULTILINE)
    text = re.sub(r"^(\| +URL \|) +\d+ \|$", r"\1 HASH |", text, flags=re.MULTILINE)
    text = re.sub(r"remaining\(\d+s\)", "remaining(N)", text)
    text = re.sub(r'("ID":)\d+', r"\1N", text)
    text = re.sub(r'("ttl":)\d+', r"\1N", text)
    text = re.sub(r'("TTL" : )\d+', r"\1N", text)
    text = re.sub(r'("took":")[^"]+', r"\1N", text)
    text = re.sub(r"\b\d+(\.\d+)?(µs|ms)\b", "TOOK", text)
    # Keys of locks and elections end with the lease's number.
    text = re.sub(r"\b[0-9a-f]{12,16}\b", "NUMBER", text)
    text = re.sub(r"took = \S+", "took = N", text)
    # The columns of a table are as wide as what stands in them.
    return re.sub(r"^[|+].*$", _without_widths, text, flags=re.MULTILINE)


def _without_widths(line: re.Match[str]) -> str:
    return re.sub(r"-+", "-", re.sub(r" +", " ", line[0]))


class RealEtcd:
    """A single real member on unused ports."""

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


def run_side_by_side(urls: tuple[str, str], session: Session) -> Iterator[tuple[str, str, str]]:
    """Run a session on two clusters; each command, and what it prints on either.

    "LEASE" stands for a lease that was granted before the session begins.
    """
    leases = [grant(url) for url in urls]
    for item in session:
        command, typed = (item, "") if isinstance(item, str) else item
        waits = command.startswith(WAITS)
        running = [
            begin(
                url,
                command.removeprefix(WAITS).replace("LEASE", lease),
                typed.replace("LEASE", lease),
            )
            for url, lease in zip(urls, leases, strict=True)
        ]
        printed = []
        for url, lease, process in zip(urls, leases, running, strict=True):
            if waits:
                text = said(url, until_silent(process), None)
            else:
                text = said(
                    url, process.communicate(timeout=COMMAND_TIMEOUT_S)[0], process.returncode
                )
            plain = text.replace(lease, "LEASE").replace(str(int(lease, 16)), "LEASE")
            printed.append(reduced(plain))
        yield command, printed[0], printed[1]


def grant(url: str) -> str:
    """A lease of ten minutes; its number as etcdctl writes it."""
    granted = etcdctl(url, "lease grant 600")
    found = re.match(r"lease ([0-9a-f]{16}) granted with TTL\(600s\)", granted)
    assert found, granted
    return found[1]
