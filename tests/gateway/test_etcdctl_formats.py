"""Every output format of etcdctl: the same from a served cluster and from a real etcd."""

from __future__ import annotations

from typing import Any

import pytest

from raftstore.gateway.messages import message
from tests.gateway.etcdctl import (
    COMMAND_TIMEOUT_S,
    ETCDCTL,
    RealEtcd,
    begin,
    grant,
    reduced,
    run_side_by_side,
    said,
    until_silent,
)
from tests.gateway.served import start, stopping
from tests.gateway.session_formats import BEGIN, BINARY, COMMANDS, TEXT_FORMATS
from tests.gateway.sessions import WAITS

pytestmark = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
OWN_FIELDS = ("cluster_id", "member_id", "raft_term")


def in_format(item: str | tuple[str, str], name: str) -> tuple[str, str]:
    command, typed = (item, "") if isinstance(item, str) else item
    return f"{command} -w {name}", typed


def test_every_format_of_every_command_prints_what_it_prints_with_a_real_etcd(
    real_etcd: RealEtcd,
) -> None:
    session = [*BEGIN, *(in_format(item, name) for name in TEXT_FORMATS for item in COMMANDS)]
    with stopping(start("--port", "0", "--members", "1")) as ours:
        for command, printed, expected in run_side_by_side((ours.url, real_etcd.url), session):
            assert expected == printed, command


def test_the_messages_printed_as_protobuf_are_those_of_a_real_etcd(real_etcd: RealEtcd) -> None:
    with stopping(start("--port", "0", "--members", "1")) as ours:
        urls = ours.url, real_etcd.url
        leases = [grant(url) for url in urls]
        for item, kind in BINARY:
            command, typed = in_format(item, "protobuf")
            printed = [
                _binary(url, command.replace("LEASE", lease), typed, kind)
                for url, lease in zip(urls, leases, strict=True)
            ]
            assert printed[1] == printed[0], command


def _binary(url: str, command: str, typed: str, kind: str) -> str:
    process = begin(url, command.removeprefix(WAITS), typed)
    if command.startswith(WAITS):
        data, status = until_silent(process), 0
    else:
        data, status = process.communicate(timeout=COMMAND_TIMEOUT_S)[0], process.returncode
    if not kind:
        return reduced(said(url, data, status))
    assert status == 0, data
    return str(_without_identity(message(kind).FromString(data)))


def _without_identity(answer: Any) -> Any:
    header = answer if answer.DESCRIPTOR.name == "ResponseHeader" else answer.header
    for field in OWN_FIELDS:
        assert getattr(header, field), f"{field} is missing"
        header.ClearField(field)
    for member in getattr(answer, "members", ()):
        for field in ("ID", "name", "peerURLs", "clientURLs"):
            assert getattr(member, field), f"{field} is missing"
            member.ClearField(field)
    return answer
