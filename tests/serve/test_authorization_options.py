"""The options of `k8sactors serve` that say which authorizers decide."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from k8sactors.apiserver.authz.authorization_configuration import AuthorizationConfiguration
from k8sactors.cli.authorization import authorization_options
from k8sactors.simulation import SECOND

KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{name: c, cluster: {server: "https://authz.example/decide"}}]
"""
CONFIG = """apiVersion: apiserver.config.k8s.io/v1
kind: AuthorizationConfiguration
authorizers:
- type: Node
  name: node
- type: Webhook
  name: first
  webhook:
    timeout: 3s
    subjectAccessReviewVersion: v1
    matchConditionSubjectAccessReviewVersion: v1
    failurePolicy: Deny
    unauthorizedTTL: 1m30s
    cacheAuthorizedRequests: false
    connectionInfo: {type: KubeConfigFile, kubeConfigFile: authz.conf}
    matchConditions:
    - expression: has(request.resourceAttributes)
- type: RBAC
  name: rbac
"""


def invoke(directory: Path, *options: str) -> tuple[AuthorizationConfiguration | None, str]:
    (directory / "authz.conf").write_text(KUBECONFIG)
    seen: list[AuthorizationConfiguration] = []

    @click.command()
    @authorization_options
    def command(authorizers: AuthorizationConfiguration) -> None:
        seen.append(authorizers)

    result = CliRunner().invoke(command, list(options))
    assert result.exit_code == (0 if seen else 2)
    return seen[0] if seen else None, result.output.replace("\n", " ")


def test_modes_keep_their_order_and_name_a_program(tmp_path: Path) -> None:
    found, text = invoke(tmp_path)
    assert found is not None, text
    assert (found.modes, found.webhooks) == (("Node", "RBAC"), ())
    file = str(tmp_path / "authz.conf")
    found, text = invoke(
        tmp_path,
        "--authorization-mode=RBAC,Webhook",
        f"--authorization-webhook-config-file={file}",
        "--authorization-webhook-cache-authorized-ttl=10s",
    )
    assert found is not None, text
    assert found.modes == ("RBAC", "Webhook")
    [webhook] = found.webhooks
    assert webhook.client == {"url": "https://authz.example/decide"}
    assert (webhook.version, webhook.denies_on_failure) == ("v1beta1", False)
    assert (webhook.authorized_ttl_ns, webhook.unauthorized_ttl_ns) == (10 * SECOND, 30 * SECOND)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--authorization-mode=Webhook"], "config file not passed"),
        (["--authorization-webhook-config-file=x"], "without mode Webhook"),
        (["--authorization-config=x", "--authorization-mode=RBAC"], "can not be specified when"),
        (["--authorization-config=/missing"], "cannot be read"),
        (
            ["--authorization-mode=Webhook", "--authorization-webhook-cache-authorized-ttl=soon"],
            "no duration",
        ),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tmp_path: Path, options: list[str], expected: str
) -> None:
    found, text = invoke(tmp_path, *options)
    assert found is None
    assert expected in text


def test_a_file_configures_several_authorizers(tmp_path: Path) -> None:
    file = tmp_path / "authorization.yaml"
    file.write_text(CONFIG)
    found, text = invoke(tmp_path, "--authorization-config", str(file))
    assert found is not None, text
    assert found.modes == ("Node", "Webhook", "RBAC")
    [webhook] = found.webhooks
    assert (webhook.name, webhook.timeout_s, webhook.version) == ("first", 3.0, "v1")
    assert (webhook.authorized_ttl_ns, webhook.unauthorized_ttl_ns) == (0, 90 * SECOND)
    assert webhook.denies_on_failure
    assert webhook.conditions == ("has(request.resourceAttributes)",)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("type: RBAC", "type: Node", '18:9: authorizers[2].type: Duplicate value: "Node"'),
        ("type: RBAC", "type: Magic", '18:9: authorizers[2].type: Unsupported value: "Magic"'),
        ("name: rbac", "name: node", '19:9: authorizers[2].name: Duplicate value: "node"'),
        ("    timeout: 3s\n", "", "9:5: authorizers[1].webhook.timeout: Required value"),
        ("timeout: 3s", "timeout: 31s", "9:14: authorizers[1].webhook.timeout: Invalid value"),
        ("timeout: 3s", "timeout: soon", "expected a duration such as 3s"),
        ("failurePolicy: Deny", "failurePolicy: Ask", "12:20: authorizers[1].webhook.failurePoli"),
        ("expression: has(request", "expression: has(", "compilation failed"),
        ("has(request.resourceAttributes)", "1 + 1", "must evaluate to bool"),
        ("authz.conf", "other.conf", "15:60: authorizers[1].webhook.connectionInfo.kubeConfigFi"),
        ("kind: Auth", "kind: Other", "expected an object of kind AuthorizationConfiguration"),
        ("failurePolicy", "failurePolice", "unknown field; known are"),
    ],
)
def test_a_bad_file_is_refused_with_its_place(
    tmp_path: Path, old: str, new: str, expected: str
) -> None:
    file = tmp_path / "authorization.yaml"
    assert old in CONFIG
    file.write_text(CONFIG.replace(old, new))
    found, text = invoke(tmp_path, "--authorization-config", str(file))
    assert found is None
    assert expected in text
