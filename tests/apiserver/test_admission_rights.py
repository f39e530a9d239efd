"""Admission plugins that ask the authorizer: certificates and owner references."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from k8sactors.api.user import MASTERS, UserInfo

ADMIN = UserInfo("root", groups=(MASTERS,))
REQUESTS = "certificatesigningrequests.certificates.k8s.io"
PLURAL = "certificatesigningrequests"
SIGNER = "example.com/team"


@pytest.fixture
def guarded(empty_world: Any) -> Any:
    """A world in which users have the rights that `grant` gives them, and no others."""
    empty_world.add_server(
        authorization_modes=("RBAC",),
        enable_admission_plugins=("OwnerReferencesPermissionEnforcement",),
    )
    empty_world.run()
    return empty_world


def grant(world: Any, user: str, *rules: dict[str, Any]) -> None:
    group = "rbac.authorization.k8s.io"
    role = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": user},
        "rules": list(rules),
    }
    binding = {
        "apiVersion": f"{group}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": user},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": user},
        "subjects": [{"apiGroup": group, "kind": "User", "name": user}],
    }
    for plural, body in (("clusterroles", role), ("clusterrolebindings", binding)):
        assert world.do("create", f"{plural}.{group}", body=body, user=ADMIN).code == 201
    world.run()


def rule(group: str, resources: str, verbs: str, **more: Any) -> dict[str, Any]:
    return {
        "apiGroups": [group],
        "resources": resources.split(),
        "verbs": verbs.split(),
        **more,
    }


def ask_for_certificate(world: Any) -> None:
    der = base64.b64encode(b"\x30\x03\x02\x01\x00").decode()
    pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{der}\n-----END CERTIFICATE REQUEST-----\n"
    body = {
        "apiVersion": "certificates.k8s.io/v1",
        "kind": "CertificateSigningRequest",
        "metadata": {"name": "a"},
        "spec": {
            "request": base64.b64encode(pem.encode()).decode(),
            "signerName": SIGNER,
            "usages": ["client auth"],
        },
    }
    assert world.do("create", REQUESTS, body=body, user=ADMIN).code == 201
    world.run()


@pytest.mark.parametrize("signers", [[SIGNER], ["example.com/*"]], ids=["signer", "domain"])
def test_a_request_is_approved_by_those_who_may_for_its_signer(
    guarded: Any, signers: list[str]
) -> None:
    world = guarded
    ask_for_certificate(world)
    change = rule(
        "certificates.k8s.io", f"{REQUESTS.split('.', maxsplit=1)[0]}/approval", "get patch update"
    )
    approve = rule("certificates.k8s.io", "signers", "approve", resourceNames=signers)
    grant(world, "bob", change)
    grant(world, "alice", change, approve)
    conditions = [{"type": "Approved", "status": "True", "reason": "R"}]
    body = {"status": {"conditions": conditions}}
    answer = world.do("patch", REQUESTS, None, "a", subresource="approval", body=body, user="bob")
    assert answer.code == 403
    assert answer.status["message"].endswith(
        f'user not permitted to approve requests with signerName "{SIGNER}"'
    )
    answer = world.do("patch", REQUESTS, None, "a", subresource="approval", body=body, user="alice")
    assert answer.code == 200


def test_a_certificate_is_issued_by_those_who_may_sign(guarded: Any) -> None:
    world = guarded
    ask_for_certificate(world)
    change = rule(
        "certificates.k8s.io", f"{REQUESTS.split('.', maxsplit=1)[0]}/status", "get patch update"
    )
    grant(world, "bob", change)
    conditions = [{"type": "Failed", "status": "True", "reason": "R"}]
    body = {"status": {"conditions": conditions}}
    answer = world.do("patch", REQUESTS, None, "a", subresource="status", body=body, user="bob")
    assert answer.code == 403
    assert answer.status["message"].endswith(
        f'user not permitted to sign requests with signerName "{SIGNER}"'
    )
    grant(world, "alice", change, rule("certificates.k8s.io", "signers", "sign"))
    answer = world.do("patch", REQUESTS, None, "a", subresource="status", body=body, user="alice")
    assert answer.code == 200


def test_owners_are_set_by_those_who_may_delete(guarded: Any, make: Any) -> None:
    world = guarded
    owner = world.do("create", "configmaps", "default", body=make.config_map("o"), user=ADMIN).obj
    grant(world, "bob", rule("", "configmaps", "create get"))
    grant(world, "carol", rule("", "configmaps", "create get delete"))
    grant(
        world,
        "alice",
        rule("", "configmaps", "create get delete"),
        rule("", "configmaps/finalizers", "update"),
    )
    reference = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "name": "o",
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": True,
    }

    def create(user: str, **more: Any) -> Any:
        metadata = {"ownerReferences": [{**reference, **more}]}
        body = make.config_map(f"by-{user}", metadata=metadata)
        return world.do("create", "configmaps", "default", body=body, user=user)

    answer = create("bob")
    assert answer.code == 403
    assert "cannot set an ownerRef on a resource you can't delete: " in answer.status["message"]
    answer = create("carol")
    assert answer.code == 403
    assert "a resource you can't set finalizers on: " in answer.status["message"]
    assert create("carol", blockOwnerDeletion=False).code == 201
    assert create("alice").code == 201


AS_ACCOUNT = (
    "!authorizer.serviceAccount('a', 'b').group('').resource('pods').check('get').allowed() && "
    "request.userInfo.username == 'alice'"
)


@pytest.mark.parametrize(
    "expression",
    [
        "authorizer.group('').resource('secrets').namespace('default').check('get').allowed()",
        "authorizer.requestResource.check('delete').allowed()",
        "authorizer.path('/metrics').check('get').allowed()",
        AS_ACCOUNT,
    ],
)
def test_a_policy_asks_what_the_user_may_do(guarded: Any, make: Any, expression: str) -> None:
    world = guarded
    create = rule("", "configmaps", "create")
    grant(world, "bob", create)
    paths = {"nonResourceURLs": ["/metrics"], "verbs": ["get"]}
    grant(
        world, "alice", create, rule("", "secrets", "get"), rule("", "configmaps", "delete"), paths
    )
    policies = {
        "ValidatingAdmissionPolicy": {
            "matchConstraints": {
                "resourceRules": [
                    {
                        "apiGroups": [""],
                        "apiVersions": ["v1"],
                        "operations": ["CREATE"],
                        "resources": ["configmaps"],
                    }
                ]
            },
            "validations": [{"expression": expression}],
        },
        "ValidatingAdmissionPolicyBinding": {"policyName": "p", "validationActions": ["Deny"]},
    }
    plurals = ("validatingadmissionpolicies", "validatingadmissionpolicybindings")
    group = "admissionregistration.k8s.io"
    for plural, (kind, spec) in zip(plurals, policies.items(), strict=True):
        body = {"apiVersion": f"{group}/v1", "kind": kind, "metadata": {"name": "p"}, "spec": spec}
        assert world.do("create", f"{plural}.{group}", body=body, user=ADMIN).code == 201
    world.run()
    codes = [
        world.do("create", "configmaps", "default", body=make.config_map(user), user=user).code
        for user in ("alice", "bob")
    ]
    assert codes == [201, 422]
