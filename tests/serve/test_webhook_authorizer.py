"""A program that decides over HTTPS for a served cluster, as `--authorization-config` names it."""

from __future__ import annotations

import base64
import http.server
import json
import ssl
import threading  # noqa: TID251 - the program that is asked serves in this process
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme

from tests.serve.test_serve import Api, serving

PODS = "/api/v1/namespaces/default/pods"
UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-version": "13",
    "sec-websocket-key": "AAAAAAAAAAAAAAAAAAAAAA==",
    "sec-websocket-protocol": "v5.channel.k8s.io",
}
CONFIG = """apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- {type: Node, name: node}
- {type: RBAC, name: rbac}
- type: Webhook
  name: program
  webhook:
    timeout: 5s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: NoOpinion
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: program.conf}
    matchConditions:
    - expression: request.user == 'alice'
"""


@contextmanager
def program(directory: Path) -> Iterator[list[Any]]:
    """Allows to read; the questions that it is asked. Its kubeconfig is in the directory."""
    asked: list[Any] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        timeout = 10.0

        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            review = json.loads(self.rfile.read(length))
            asked.append(review)
            about = review["spec"].get("resourceAttributes", {})
            review["status"] = {"allowed": about.get("verb") in {"get", "list"}, "reason": "why"}
            body = json.dumps(review).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_args: Any) -> None:
            """Nothing is written."""

    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(tls)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        # Each connection is secured by its own thread: one that says nothing delays no other.
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
        bundle = base64.b64encode(authority.cert_pem.bytes()).decode()
        url = f"https://localhost:{server.server_address[1]}/decide"
        cluster = {"server": url, "certificate-authority-data": bundle}
        config = {"clusters": [{"name": "c", "cluster": cluster}]}
        (directory / "program.conf").write_text(json.dumps(config))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield asked
        finally:
            server.shutdown()
            thread.join(10)


def code(api: Api, method: str, path: str, token: str, **headers: str) -> int:
    connection = api.connect()
    try:
        sent = {"authorization": f"Bearer {token}", **headers}
        connection.request(method, path, headers=sent)
        return connection.getresponse().status
    finally:
        connection.close()


@pytest.mark.parametrize(("gate", "expected"), [("true", 403), ("false", 404)])
def test_a_program_decides_over_https(tmp_path: Path, gate: str, expected: int) -> None:
    (tmp_path / "authorization.yaml").write_text(CONFIG)
    (tmp_path / "tokens.csv").write_text("ta,alice,u-1\ntb,bob,u-2\n")
    with (
        program(tmp_path) as asked,
        serving(
            "--authorization-config",
            str(tmp_path / "authorization.yaml"),
            "--token-auth-file",
            str(tmp_path / "tokens.csv"),
            "--feature-gates",
            f"AuthorizePodWebsocketUpgradeCreatePermission={gate}",
        ) as api,
    ):
        assert code(api, "GET", PODS, "ta") == 200
        assert code(api, "GET", PODS, "ta") == 200
        assert code(api, "DELETE", f"{PODS}/web", "ta") == 403
        assert code(api, "GET", "/metrics", "ta") == 403
        # The conditions leave this user to RBAC.
        assert code(api, "GET", PODS, "tb") == 403
        # What a WebSocket opens is created, unless the gate says that reading it is enough.
        exec_path = f"{PODS}/missing/exec?command=true&stdout=1"
        assert code(api, "GET", exec_path, "ta", **UPGRADE) == expected
    verbs = [
        (each["spec"].get("resourceAttributes") or each["spec"]["nonResourceAttributes"])["verb"]
        for each in asked
    ]
    assert verbs == ["list", "delete", "get", "get", *(["create"] if expected == 403 else [])]
    assert {each["spec"]["user"] for each in asked} == {"alice"}
