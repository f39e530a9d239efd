"""Sessions with etcdctl against a served cluster and a real etcd: the same words from both."""

from __future__ import annotations

import re
import shlex
import subprocess

import pytest

from tests.gateway import sessions
from tests.gateway.etcdctl import ETCDCTL, RealEtcd, etcdctl, run_side_by_side
from tests.gateway.served import Served, start, stopping
from tests.gateway.test_etcdctl import SESSION

pytestmark = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)

SESSIONS = {
    "auth": sessions.AUTH,
    "keys": sessions.KEYS,
    "transactions": sessions.TRANSACTIONS,
    "leases": sessions.LEASES,
    "history": sessions.HISTORY,
    "cluster": sessions.CLUSTER,
}
# Commands that work on files, or take minutes; members come and go in test_etcdctl_members.
ELSEWHERE = {
    "check datascale",
    "check perf",
    "completion bash",
    "completion fish",
    "completion powershell",
    "completion zsh",
    "endpoint status",
    "help",
    "make-mirror",
    "member add",
    "member list",
    "member promote",
    "member remove",
    "member update",
    "migrate",
    "snapshot restore",
    "snapshot save",
    "snapshot status",
}

# What does not reach the server: which endpoint, how long to try, and what completion scripts say.
OF_THE_CLIENT = {
    "--discovery-srv",
    "--discovery-srv-name",
    "--insecure-discovery",
    "--insecure-skip-tls-verify",
    "--insecure-transport",
    "--keepalive-time",
    "--keepalive-timeout",
    "--no-descriptions",
}
# Flags of every command, and one that needs no server, with the place where they are used.
ASKED_ELSEWHERE = {
    "--endpoints": "all of them, as ETCDCTL_ENDPOINTS",
    "--write-out": "test_etcdctl_formats, as -w",
    "--command-timeout": "test_etcdctl_three",
    "--dial-timeout": "test_etcdctl_three",
    "--debug": "its lines are for people",
    "--cacert": "test_tls",
    "--cert": "test_tls",
    "--key": "test_tls",
    "defrag --data-dir": "opens a database file without a server",
}


@pytest.mark.parametrize("name", SESSIONS)
def test_a_session_prints_what_it_prints_with_a_real_etcd(name: str, real_etcd: RealEtcd) -> None:
    with stopping(start("--port", "0", "--members", "1")) as ours:
        urls = ours.url, real_etcd.url
        for command, printed, expected in run_side_by_side(urls, SESSIONS[name]):
            assert expected == printed, command


def test_no_command_of_etcdctl_is_forgotten() -> None:
    commands = _commands()
    assert len(commands) > 40
    asked = {_without_options(line) for line in _lines()}
    missing = {
        command
        for command in commands - ELSEWHERE
        if not any(f"{line} ".startswith(f"{command} ") for line in asked)
    }
    assert missing == set()


def test_no_flag_of_a_command_is_forgotten() -> None:
    lines = _lines()
    missing = {
        f"{command} {flag}"
        for command in _commands() - ELSEWHERE
        for flag in _flags(_help(*command.split()).partition("GLOBAL OPTIONS:")[0])
        if not any(command in line and flag in line for line in lines)
    }
    assert missing - ASKED_ELSEWHERE.keys() == set()
    for flag in _flags(_help()) - OF_THE_CLIENT - ASKED_ELSEWHERE.keys():
        assert any(flag in line for line in lines), flag


def _lines() -> list[str]:
    known = [*SESSIONS.values(), sessions.QUOTA]
    items = [*SESSION, *(item for session in known for item in session)]
    return [item if isinstance(item, str) else item[0] for item in items]


def _help(*command: str) -> str:
    assert ETCDCTL is not None
    asked = [ETCDCTL, *command, "--help"]
    return subprocess.run(
        asked, capture_output=True, check=True, env={"ETCDCTL_API": "3"}
    ).stdout.decode()


def _commands() -> set[str]:
    listed = _help().partition("COMMANDS:")[2].partition("OPTIONS:")[0]
    return set(re.findall(r"^\t(\w[\w -]*?)\t", listed, re.MULTILINE))


def _flags(text: str) -> set[str]:
    options = text.partition("OPTIONS:")[2]
    return set(re.findall(r"^ +(?:-\w, )?(--[a-z-]+)", options, re.MULTILINE)) - {"--help"}


def _without_options(line: str) -> str:
    words = shlex.split(line.removeprefix(sessions.WAITS))
    if words[:1] == ["--user"]:
        words = words[2:]
    return " ".join(words)


def test_what_concerns_the_cluster_is_for_root_with_the_words_of_later_releases(
    fresh: Served,
) -> None:
    for command in (
        "user add root:secret",
        "user add ann:pw",
        "user grant-role root root",
        "auth enable",
    ):
        assert etcdctl(fresh.url, command).endswith("exit status 0")
    for command in ("defrag", "endpoint hashkv", "auth disable"):
        assert "etcdserver: user name is empty" in etcdctl(fresh.url, command)
        assert "etcdserver: permission denied" in etcdctl(fresh.url, f"--user ann:pw {command}")
    # A token is good at all members.
    for url in fresh.urls:
        assert "etcdserver: permission denied" in etcdctl(url, "--user ann:pw get a")
        assert etcdctl(url, "--user root:secret put a 1") == "OK\nexit status 0"
