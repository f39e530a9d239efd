"""Who may do what: roles, their bindings, nodes, and the reviews that tell of it."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import codec, protocol
from k8sactors.api.user import ADMIN_USER, UserInfo, node_user
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.bootstrap_policy import initial_policy
from k8sactors.apiserver.authz.rules import Rule, compact, missing
from tests.apiserver.conftest import Answer, World, config_map, pod

GROUP = "rbac.authorization.k8s.io"
ALICE = UserInfo("alice", groups=("devs",))
BOB = UserInfo("bob")
AT_ONCE = {"resourceVersion": "0"}


@pytest.fixture
def world() -> World:
    world = World()
    world.add_server(authorization_modes=("Node", "RBAC"))
    world.run()
    return world


def rule(verbs: str, resources: str, groups: str = "", names: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {
        "verbs": verbs.split(","),
        "apiGroups": groups.split(","),
        "resources": resources.split(","),
    }
    if names:
        found["resourceNames"] = names.split(",")
    return found


def create_role(
    world: World, name: str, *rules: dict[str, Any], user: UserInfo = ADMIN_USER, cluster: str = ""
) -> Answer:
    kind = f"{cluster}Role"
    obj = {"apiVersion": f"{GROUP}/v1", "kind": kind, "metadata": {"name": name}}
    resource = f"{kind.lower()}s.{GROUP}"
    body = {**obj, "rules": list(rules)}
    return world.do("create", resource, None if cluster else "default", body=body, user=user)


def bind(
    world: World,
    role: str,
    subject: str = "User:alice",
    *,
    name: str = "",
    user: UserInfo = ADMIN_USER,
    cluster: str = "",
    role_kind: str = "",
) -> Answer:
    subject_kind, _, subject_name = subject.partition(":")
    body = {
        "apiVersion": f"{GROUP}/v1",
        "kind": f"{cluster}RoleBinding",
        "metadata": {"name": name or role},
        "subjects": [{"kind": subject_kind, "apiGroup": GROUP, "name": subject_name}],
        "roleRef": {"apiGroup": GROUP, "kind": role_kind or f"{cluster}Role", "name": role},
    }
    resource = f"{cluster.lower()}rolebindings.{GROUP}"
    return world.do("create", resource, None if cluster else "default", body=body, user=user)


def grant(world: World, *rules: dict[str, Any], subject: str = "User:alice") -> None:
    assert create_role(world, "r", *rules).code == 201
    assert bind(world, "r", subject).code == 201


def code(world: World, verb: str, resource: str, name: str | None = None, **more: Any) -> int:
    more.setdefault("user", ALICE)
    return world.do(verb, resource, more.pop("namespace", "default"), name, **more).code


def test_who_has_no_role_may_do_nothing_and_is_told_so_in_the_real_words(world: World) -> None:
    answer = world.do("get", "pods", "default", "a", user=ALICE)
    assert answer.code == 403
    assert answer.status["message"] == (
        'pods "a" is forbidden: User "alice" cannot get resource "pods" in API group "" in the '
        'namespace "default"'
    )
    assert answer.status["details"] == {"name": "a", "kind": "pods"}
    answer = world.do("list", "nodes", user=ALICE)
    assert answer.status["message"] == (
        'nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the '
        "cluster scope"
    )


def test_a_role_grants_in_its_namespace_until_its_binding_is_deleted(world: World) -> None:
    grant(world, rule("list", "configmaps"))
    assert code(world, "list", "configmaps", **AT_ONCE) == 200
    assert code(world, "list", "configmaps", namespace="kube-system") == 403
    assert code(world, "list", "configmaps", namespace=None) == 403
    assert code(world, "list", "configmaps", user=BOB) == 403
    world.do("delete", f"rolebindings.{GROUP}", "default", "r", user=ADMIN_USER)
    assert code(world, "list", "configmaps", **AT_ONCE) == 403


def test_a_change_of_a_role_takes_effect_at_once(world: World) -> None:
    grant(world, rule("list", "configmaps"))
    assert code(world, "list", "secrets", **AT_ONCE) == 403
    patch = {"rules": [rule("list", "secrets")]}
    where = (f"roles.{GROUP}", "default", "r")
    changed = world.do("patch", *where, body=patch, user=ADMIN_USER, patchType="merge")
    assert changed.code == 200
    assert code(world, "list", "secrets", **AT_ONCE) == 200
    assert code(world, "list", "configmaps", **AT_ONCE) == 403


@pytest.mark.parametrize("subject", ["Group:devs", "Group:system:authenticated"])
def test_a_group_brings_its_roles(world: World, subject: str) -> None:
    grant(world, rule("list", "configmaps"), subject=subject)
    assert code(world, "list", "configmaps", **AT_ONCE) == 200


def test_names_limit_a_rule_to_objects(world: World) -> None:
    for name in ("a", "b"):
        world.do("create", "configmaps", "default", body=config_map(name), user=ADMIN_USER)
    grant(world, rule("get,list,delete", "configmaps", names="a"))
    assert code(world, "get", "configmaps", "a") == 200
    assert code(world, "get", "configmaps", "b") == 403
    assert code(world, "delete", "configmaps", "b") == 403
    assert code(world, "list", "configmaps") == 403
    assert code(world, "list", "configmaps", fieldSelector="metadata.name=a") == 200
    assert code(world, "list", "configmaps", fieldSelector="metadata.name=b") == 403


def test_subresources_are_granted_by_themselves(world: World) -> None:
    world.do("create", "pods", "default", body=pod("a"), user=ADMIN_USER)
    grant(world, rule("get", "pods/status"), rule("get", "*/scale", "apps"))
    assert code(world, "get", "pods", "a", subresource="status") == 200
    assert code(world, "get", "pods", "a") == 403
    assert code(world, "get", "deployments.apps", "a", subresource="scale") == 404
    assert code(world, "get", "deployments.apps", "a") == 403


def test_a_watch_is_authorized(world: World) -> None:
    def watch(user: UserInfo) -> list[tuple[str, str]]:
        world.peer = world.connect(world.server, user)
        return world.watch("configmaps", "default").events

    grant(world, rule("list", "configmaps"))
    assert watch(ALICE) == [("ERROR", "403")]
    assert watch(ADMIN_USER) == []


def test_what_an_update_would_create_needs_the_right_to_create(world: World) -> None:
    grant(world, rule("get,update", "leases", "coordination.k8s.io"))
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "a"}}
    answer = world.do(
        "update", "leases.coordination.k8s.io", "default", "a", body=lease, user=ALICE
    )
    assert answer.code == 403
    assert 'cannot create resource "leases"' in answer.status["message"]


# Escalation

MANAGER = rule("get,create,update,patch", "roles,rolebindings", GROUP)


def test_a_role_cannot_grant_what_its_author_lacks(world: World) -> None:
    grant(world, MANAGER, rule("get,list", "configmaps"))
    assert create_role(world, "x", rule("get", "configmaps"), user=ALICE).code == 201
    answer = create_role(world, "y", rule("get,watch", "configmaps,secrets"), user=ALICE)
    assert answer.code == 403
    assert answer.status["message"] == (
        'roles.rbac.authorization.k8s.io "y" is forbidden: user "alice" (groups=["devs" '
        '"system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n'
        '{APIGroups:[""], Resources:["configmaps"], Verbs:["watch"]}\n'
        '{APIGroups:[""], Resources:["secrets"], Verbs:["get" "watch"]}'
    )
    patched = world.do(
        "patch",
        f"roles.{GROUP}",
        "default",
        "x",
        body={"rules": [rule("*", "*")]},
        user=ALICE,
        patchType="merge",
    )
    assert patched.code == 403


def test_a_binding_cannot_give_what_its_author_lacks(world: World) -> None:
    grant(world, MANAGER)
    create_role(world, "x", rule("get", "secrets"))
    assert bind(world, "x", name="b", user=ALICE).code == 403
    refused = bind(world, "cluster-admin", name="c", user=ALICE, role_kind="ClusterRole")
    assert refused.code == 403
    assert bind(world, "nope", name="d", user=ALICE).code == 404
    # Members of system:masters may bind whatever they like, and what is not there.
    assert bind(world, "nope", name="d").code == 201


def test_the_verb_bind_lifts_the_check_for_one_role(world: World) -> None:
    grant(world, MANAGER, rule("bind", "roles", GROUP, "x"))
    for name in ("x", "z"):
        create_role(world, name, rule("get", "secrets"))
    assert bind(world, "z", name="c", user=ALICE).code == 403
    assert bind(world, "x", name="b", user=ALICE).code == 201


def test_an_aggregating_role_needs_all_rights(world: World) -> None:
    role = rule("create", "clusterroles", GROUP)
    assert create_role(world, "maker", role, cluster="Cluster").code == 201
    assert bind(world, "maker", cluster="Cluster").code == 201
    body = {
        "apiVersion": f"{GROUP}/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "all"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
    }
    answer = world.do("create", f"clusterroles.{GROUP}", body=body, user=ALICE)
    assert answer.code == 403
    assert "must have cluster-admin privileges to use an aggregationRule" in str(answer.status)


def of(*lines: str) -> list[Rule]:
    return [Rule.of(rule(*line.split(" "))) for line in lines]


@pytest.mark.parametrize(
    ("held", "wanted", "lacking"),
    [
        (["*  *"], ["get pods"], ["get pods"]),
        (["* * *"], ["get,list pods/log apps"], []),
        (["get */log"], ["get pods/log"], []),
        (["get *"], ["get *"], []),
        (["get pods"], ["get *"], ["get *"]),
        (["get pods  a"], ["get pods"], ["get pods"]),
        (["get pods  a"], ["get pods  a,b"], ["get pods  b"]),
        (["get pods"], ["get pods  a"], []),
    ],
)
def test_what_is_lacking(held: list[str], wanted: list[str], lacking: list[str]) -> None:
    assert compact(missing(of(*held), of(*wanted))) == of(*lacking)


def test_a_rule_for_paths() -> None:
    granted = Rule(("get",), urls=("/healthz", "/livez/*"))
    paths = {"/healthz": True, "/healthz/ping": False, "/livez/ping": True, "/livezz": False}
    for path, allowed in paths.items():
        assert granted.grants(Attributes(BOB, "get", path=path)) is allowed
    assert not granted.grants(Attributes(BOB, "post", path="/healthz"))


# Nodes


@pytest.fixture
def node_world(world: World) -> World:
    bound = pod("a", node="n1")
    bound["spec"]["volumes"] = [{"name": "v", "secret": {"secretName": "used"}}]
    assert world.do("create", "pods", "default", body=bound, user=ADMIN_USER).code == 201
    for name in ("used", "unused"):
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}}
        assert world.do("create", "secrets", "default", body=body, user=ADMIN_USER).code == 201
    world.run()
    return world


def test_a_kubelet_reads_what_its_pods_refer_to_and_nothing_else(node_world: World) -> None:
    own, other = node_user("n1"), node_user("n2")
    assert code(node_world, "get", "secrets", "used", user=own) == 200
    assert code(node_world, "get", "secrets", "used", user=other) == 403
    answer = node_world.do("get", "secrets", "default", "unused", user=own)
    assert answer.status["message"].endswith(
        "no relationship found between node 'n1' and this object"
    )
    assert code(node_world, "list", "secrets", user=own) == 403
    assert code(node_world, "delete", "secrets", "used", user=own) == 403
    assert code(node_world, "get", "pods", "a", user=own) == 200
    assert code(node_world, "get", "pods", "a", user=other) == 403
    assert code(node_world, "list", "pods", user=own) == 403
    assert code(node_world, "list", "pods", user=own, fieldSelector="spec.nodeName=n1") == 200


def test_a_node_has_its_own_lease_alone(node_world: World) -> None:
    def lease(namespace: str, name: str) -> int:
        where = ("get", "leases.coordination.k8s.io", name)
        return code(node_world, *where, namespace=namespace, user=node_user("n1"))

    assert lease("kube-node-lease", "n1") == 404
    assert lease("kube-node-lease", "n2") == 403
    assert lease("kube-system", "n1") == 403


def test_a_user_in_the_group_of_nodes_needs_the_name_of_one(node_world: World) -> None:
    impostor = UserInfo("n1", groups=("system:nodes",))
    assert code(node_world, "get", "secrets", "used", user=impostor) == 403


# Reviews


def review(world: World, kind: str, spec: dict[str, Any], user: UserInfo = ALICE) -> Answer:
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": kind, "spec": spec}
    return world.do("create", f"{kind.lower()}s.authorization.k8s.io", body=body, user=user)


def test_reviews_tell_what_is_allowed_and_why(world: World) -> None:
    grant(world, rule("list", "configmaps"))
    asked = {"verb": "list", "resource": "configmaps", "namespace": "default"}
    answer = review(world, "SelfSubjectAccessReview", {"resourceAttributes": asked})
    assert answer.code == 201
    assert answer.obj["status"] == {
        "allowed": True,
        "reason": 'RBAC: allowed by RoleBinding "r/default" of Role "r" to User "alice"',
    }
    asked = {**asked, "verb": "delete"}
    answer = review(world, "SelfSubjectAccessReview", {"resourceAttributes": asked})
    assert answer.obj["status"] == {"allowed": False}
    spec = {"user": "alice", "resourceAttributes": {**asked, "verb": "list"}}
    assert review(world, "SubjectAccessReview", spec).code == 403
    answer = review(world, "SubjectAccessReview", spec, ADMIN_USER)
    assert answer.obj["status"]["allowed"] is True
    assert answer.obj["spec"] == spec
    # Nothing of it is stored.
    assert not any(b"review" in key for key in world.memory.state)


def test_a_review_that_asks_nothing_is_refused(world: World) -> None:
    answer = review(world, "SelfSubjectAccessReview", {})
    assert answer.code == 422
    assert answer.status["details"]["causes"][0]["field"] == "spec.resourceAttributes"
    both = {"resourceAttributes": {"verb": "get"}, "nonResourceAttributes": {"verb": "get"}}
    assert review(world, "SelfSubjectAccessReview", both).code == 422
    answer = review(world, "SubjectAccessReview", {"resourceAttributes": {}}, ADMIN_USER)
    assert answer.status["details"]["causes"][0]["field"] == "spec.user"


def test_the_rules_of_a_user(world: World) -> None:
    grant(world, rule("get,list", "configmaps", names="a"))
    answer = review(world, "SelfSubjectRulesReview", {"namespace": "default"})
    status = answer.obj["status"]
    assert status["incomplete"] is False
    assert rule("get,list", "configmaps", names="a") in status["resourceRules"]
    assert any("/healthz" in each["nonResourceURLs"] for each in status["nonResourceRules"])


def test_a_binding_to_no_role_is_told_as_the_reason(world: World) -> None:
    bind(world, "nope")
    answer = world.do("list", "configmaps", "default", user=ALICE)
    assert answer.status["message"].endswith(
        ': RBAC: role.rbac.authorization.k8s.io "nope" not found'
    )


# The default roles


def test_default_roles_exist_and_are_valid(world: World) -> None:
    world.advance(1)
    for resource, namespace, obj in initial_policy():
        where = (resource, namespace or None, obj["metadata"]["name"])
        answer = world.do("get", *where, user=ADMIN_USER)
        assert answer.code == 200, where
        assert answer.obj.get("rules") == obj.get("rules")


def test_every_user_may_ask_what_is_served_and_who_it_is(world: World) -> None:
    world.advance(1)
    body = codec.encode_value(
        {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    )
    payload = protocol.request("create", "selfsubjectreviews.authentication.k8s.io", body=body)
    answer = world.ask(payload, ALICE)
    assert answer.obj["status"]["userInfo"] == {
        "username": "alice",
        "groups": ["devs", "system:authenticated"],
    }


def test_modes_that_allow_or_deny_all() -> None:
    allowing, denying = World(), World()
    allowing.add_server(authorization_modes=("AlwaysAllow",))
    denying.add_server(authorization_modes=("AlwaysDeny",))
    assert code(allowing, "list", "configmaps") == 200
    assert code(denying, "list", "configmaps") == 403
    assert code(denying, "list", "configmaps", user=ADMIN_USER) == 200
