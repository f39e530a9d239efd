"""What is written down of requests, as the policy says; never a secret."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k8sactors.api.user import ADMIN_USER, UserInfo
from k8sactors.apiserver.audit_policy import AuditOptions, AuditPolicy
from k8sactors.apiserver.errors import AuditPolicyError
from tests.apiserver.conftest import World, config_map

ALICE = UserInfo("alice", "u-1", ("devs",))


def policy(*rules: dict[str, Any], **fields: Any) -> AuditPolicy:
    obj = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": list(rules), **fields}
    return AuditPolicy.of(obj)


class Audited:
    """A server whose audit log is kept."""

    def __init__(self, rules: AuditPolicy) -> None:
        self.lines: list[str] = []
        self.world = World()
        options = AuditOptions(rules, self.lines.append)
        self.world.add_server(authorization_modes=("RBAC",), audit=options)
        self.world.run()
        self.world.advance(1)
        self.lines.clear()

    def events(self) -> list[dict[str, Any]]:
        assert all(line.endswith("\n") for line in self.lines)
        return [json.loads(line) for line in self.lines]


def test_an_event_tells_who_did_what_to_which_end() -> None:
    audited = Audited(policy({"level": "Metadata"}))
    audited.world.do("create", "configmaps", "default", body=config_map("a"), user=ADMIN_USER)
    (event,) = audited.events()
    assert event.pop("auditID")
    assert event.pop("stageTimestamp").startswith("2025-01-01T00:00:01")
    assert event == {
        "kind": "Event",
        "apiVersion": "audit.k8s.io/v1",
        "level": "Metadata",
        "stage": "ResponseComplete",
        "requestURI": "/api/v1/namespaces/default/configmaps",
        "verb": "create",
        "user": {
            "username": "kubernetes-admin",
            "groups": ["system:masters", "system:authenticated"],
        },
        "objectRef": {
            "resource": "configmaps",
            "namespace": "default",
            "name": "a",
            "apiVersion": "v1",
        },
        "responseStatus": {"metadata": {}, "code": 201},
        "annotations": {"authorization.k8s.io/decision": "allow"},
    }


def test_a_refusal_is_written_down() -> None:
    audited = Audited(policy({"level": "Metadata"}))
    audited.world.do("get", "secrets", "default", "a", user=ALICE)
    (event,) = audited.events()
    assert event["annotations"] == {"authorization.k8s.io/decision": "forbid"}
    assert event["responseStatus"]["reason"] == "Forbidden"
    assert event["user"]["uid"] == "u-1"


def test_levels_say_whether_bodies_are_written_down() -> None:
    bodies = []
    for level in ("Metadata", "Request", "RequestResponse"):
        audited = Audited(policy({"level": level}))
        body = config_map("a", data={"k": "v"})
        audited.world.do("create", "configmaps", "default", body=body, user=ADMIN_USER)
        (event,) = audited.events()
        bodies.append(("requestObject" in event, "responseObject" in event))
    assert bodies == [(False, False), (True, False), (True, True)]
    assert event["requestObject"]["data"] == event["responseObject"]["data"] == {"k": "v"}


@pytest.mark.parametrize(
    ("rule", "written"),
    [
        ({"users": ["alice"]}, True),
        ({"users": ["bob"]}, False),
        ({"userGroups": ["devs", "ops"]}, True),
        ({"userGroups": ["ops"]}, False),
        ({"verbs": ["get"]}, True),
        ({"verbs": ["list"]}, False),
        ({"namespaces": ["default"]}, True),
        ({"namespaces": ["kube-system"]}, False),
        ({"resources": [{"group": "", "resources": ["configmaps"]}]}, True),
        ({"resources": [{"group": ""}]}, True),
        ({"resources": [{"group": "apps"}]}, False),
        (
            {"resources": [{"group": "", "resources": ["configmaps"], "resourceNames": ["b"]}]},
            False,
        ),
        ({"resources": [{"group": "", "resources": ["configmaps/status"]}]}, False),
        ({"nonResourceURLs": ["/healthz*"]}, False),
        ({"omitStages": ["ResponseComplete"]}, False),
    ],
)
def test_the_first_rule_that_matches_decides(rule: dict[str, Any], written: bool) -> None:
    audited = Audited(policy({"level": "Metadata", **rule}, {"level": "None"}))
    audited.world.do("get", "configmaps", "default", "a", user=ALICE)
    assert bool(audited.lines) is written


def test_a_watch_is_written_down_when_it_begins() -> None:
    audited = Audited(policy({"level": "Metadata", "verbs": ["watch"]}))
    world = audited.world
    world.peer = world.connect(world.server, ADMIN_USER)
    world.watch("configmaps", "default")
    (event,) = audited.events()
    assert (event["stage"], event["verb"]) == ("ResponseStarted", "watch")


def test_no_secret_is_written_down_at_any_level() -> None:
    audited = Audited(policy({"level": "RequestResponse"}))
    world = audited.world
    secret = {"kind": "Secret", "apiVersion": "v1", "metadata": {"name": "s"}}
    body = {**secret, "stringData": {"password": "hunter2"}}
    world.do("create", "secrets", "default", body=body, user=ADMIN_USER)
    world.do("get", "secrets", "default", "s", user=ADMIN_USER)
    account = {"kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": "app"}}
    world.do("create", "serviceaccounts", "default", body=account, user=ADMIN_USER)
    request = {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}}
    where = ("create", "serviceaccounts", "default", "app")
    made = world.do(*where, subresource="token", body=request, user=ADMIN_USER)
    token = made.obj["status"]["token"]
    review = {"kind": "TokenReview", "apiVersion": "authentication.k8s.io/v1"}
    review["spec"] = {"token": token}  # type: ignore[assignment] # an object, not a text
    world.do("create", "tokenreviews.authentication.k8s.io", body=review, user=ADMIN_USER)
    assert len(audited.lines) == 5
    text = "".join(audited.lines)
    assert "hunter2" not in text
    assert "aHVudGVyMg" not in text
    assert token not in text


@pytest.mark.parametrize(
    ("obj", "text"),
    [
        (None, "kind Policy"),
        ({"kind": "Policy", "apiVersion": "v1"}, "audit.k8s.io/v1 is expected"),
        ({"kind": "Policy", "apiVersion": "audit.k8s.io/v1"}, "rules: at least one"),
    ],
)
def test_a_malformed_policy_is_refused(obj: Any, text: str) -> None:
    with pytest.raises(AuditPolicyError, match=text):
        AuditPolicy.of(obj)
    for rule, place in (
        ({"level": "All"}, r"rules\[0\].level: 'All' is not one of None, Metadata"),
        ({"level": "None", "verbs": "get"}, r"rules\[0\].verbs: a list of texts"),
        ({"level": "None", "resources": ["pods"]}, r"rules\[0\].resources\[0\]: an object"),
    ):
        with pytest.raises(AuditPolicyError, match=place):
            policy(rule)
