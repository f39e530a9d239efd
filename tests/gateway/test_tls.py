"""TLS on the ports of clients: who may come in, and that nothing else is understood."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trustme
from click.testing import CliRunner

from raftstore.cli import main
from raftstore.server import joining
from raftstore.server.initial_cluster import parse_address
from raftstore.server.peers.protocol import PeerProtocolError
from raftstore.server.tls import TlsFiles, client_context
from tests.gateway.served import Served, start

ETCDCTL = shutil.which("etcdctl")
CURL = shutil.which("curl")
COMMAND_TIMEOUT_S = 10.0

needs_etcdctl = pytest.mark.skipif(
    ETCDCTL is None, reason="etcdctl is not installed (Debian: apt-get install etcd-client)"
)
needs_curl = pytest.mark.skipif(
    CURL is None, reason="curl is not installed (Debian: apt-get install curl)"
)


@attrs.frozen
class Secured:
    served: Served
    files: Path


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """A cluster that wants certificates of its CA from every client."""
    files = tmp_path_factory.mktemp("certificates")
    ca = trustme.CA()
    ca.cert_pem.write_to_path(files / "ca.crt")
    for name, issuer in (("server", ca), ("client", ca), ("stranger", trustme.CA())):
        pair = issuer.issue_cert("127.0.0.1", common_name=name)
        pair.private_key_pem.write_to_path(files / f"{name}.key")
        pair.cert_chain_pems[0].write_to_path(files / f"{name}.crt")
    running = start(
        *("--port", "0", "--members", "1", "--client-cert-auth"),
        *("--cert-file", str(files / "server.crt"), "--key-file", str(files / "server.key")),
        *("--trusted-ca-file", str(files / "ca.crt")),
        *("--peer-cert-file", str(files / "server.crt")),
        *("--peer-key-file", str(files / "server.key")),
        *("--peer-trusted-ca-file", str(files / "ca.crt"), "--peer-client-cert-auth"),
    )
    assert running.process.stdout is not None
    with running.process.stdout:
        try:
            yield Secured(running, files)
        finally:
            running.process.kill()
            running.process.wait()


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
    )


def etcdctl(secured: Secured, name: str, *command: str) -> subprocess.CompletedProcess[str]:
    assert ETCDCTL is not None
    files = secured.files
    identity = [f"--cert={files / name}.crt", f"--key={files / name}.key"] if name else []
    common = [f"--endpoints={secured.served.url}", f"--cacert={files / 'ca.crt'}"]
    timeouts = ["--dial-timeout=2s", "--command-timeout=2s"]
    return run(ETCDCTL, *common, *identity, *timeouts, *command)


def test_the_printed_url_says_that_tls_is_spoken(secured: Secured) -> None:
    assert secured.served.url.startswith("https://127.0.0.1:")


@needs_etcdctl
def test_etcdctl_with_a_certificate_works(secured: Secured) -> None:
    assert etcdctl(secured, "client", "put", "greeting", "hello").stdout == "OK\n"
    assert etcdctl(secured, "client", "get", "greeting").stdout == "greeting\nhello\n"
    assert secured.served.url in etcdctl(secured, "client", "member", "list").stdout


@pytest.mark.covers("ST-16")
@needs_etcdctl
@pytest.mark.parametrize("name", ["", "stranger"])
def test_etcdctl_without_a_certificate_of_the_ca_does_not(secured: Secured, name: str) -> None:
    refused = etcdctl(secured, name, "put", "greeting", "hello")
    assert refused.returncode != 0
    assert "OK" not in refused.stdout


@needs_etcdctl
def test_plain_text_is_not_understood(secured: Secured) -> None:
    assert ETCDCTL is not None
    url = secured.served.url.replace("https", "http")
    refused = run(ETCDCTL, f"--endpoints={url}", "--command-timeout=2s", "put", "k", "v")
    assert refused.returncode != 0


@needs_etcdctl
def test_members_of_other_processes_need_a_certificate_as_well(secured: Secured) -> None:
    listed = json.loads(etcdctl(secured, "client", "member", "list", "-w", "json").stdout)
    (url,) = listed["members"][0]["peerURLs"]
    assert url.startswith("https://127.0.0.1:")
    ca = str(secured.files / "ca.crt")

    def context(name: str) -> ssl.SSLContext | None:
        pair = [str(secured.files / f"{name}.{end}") for end in ("crt", "key")]
        return client_context(TlsFiles(*pair, ca, True))

    running = trio.run(joining.ask, parse_address(url), context("server"))
    assert running.members[1].peer_urls == (url,)
    for tls in (None, context("stranger")):
        with pytest.raises((trio.BrokenResourceError, PeerProtocolError)):
            trio.run(joining.ask, parse_address(url), tls)


@pytest.mark.covers("ST-14")
@needs_curl
def test_curl_reaches_the_json_gateway_over_both_protocols(secured: Secured) -> None:
    assert CURL is not None
    files = secured.files
    curl = (CURL, "--silent", "--no-buffer", "--fail", "--cacert", str(files / "ca.crt"))
    secret = ("--cert", str(files / "client.crt"), "--key", str(files / "client.key"))
    for version in ("--http1.1", "--http2"):

        def ask(path: str, body: str, version: str = version) -> Any:
            url = f"{secured.served.url}/v3/{path}"
            return json.loads(run(*curl, *secret, version, "-d", body, url).stdout)

        revision = ask("kv/put", '{"key": "Zm9v", "value": "YmFy"}')["header"]["revision"]
        (kv,) = ask("kv/range", '{"key": "Zm9v"}')["kvs"]
        assert (kv["value"], kv["mod_revision"]) == ("YmFy", revision)
        # A watch never ends: curl is to leave after the first answers.
        watch = f'{{"create_request": {{"key": "Zm9v", "start_revision": "{revision}"}}}}'
        url = f"{secured.served.url}/v3/watch"
        seen = run(*curl, *secret, version, "--max-time", "1", "-d", watch, url).stdout
        created, changed = (json.loads(line)["result"] for line in seen.splitlines())
        assert created["created"] is True
        assert changed["events"][0]["kv"]["value"] == "YmFy"


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--cert-file", "absent.crt"], "belong together"),
        (["--cert-file", "absent.crt", "--key-file", "absent.key"], "no file absent.crt"),
        (["--client-cert-auth"], "trusted CA file"),
        (["--trusted-ca-file", "ca.crt"], "no use without"),
    ],
)
def test_certificates_that_cannot_be_used_are_wrong_usage(
    arguments: list[str], complaint: str
) -> None:
    result = CliRunner().invoke(main, ["serve", "--port", "0", *arguments])
    assert result.exit_code == 2
    assert complaint in result.output
