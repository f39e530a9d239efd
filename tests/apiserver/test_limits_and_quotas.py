"""LimitRanger and ResourceQuota: what a namespace allows, and what it may use up."""

from __future__ import annotations

from typing import Any

import pytest

SECOND = 1_000_000_000


def limit_range(name: str = "l", **item: Any) -> dict[str, Any]:
    item.setdefault("type", "Container")
    return {
        "apiVersion": "v1",
        "kind": "LimitRange",
        "metadata": {"name": name},
        "spec": {"limits": [item]},
    }


def pod(name: str, *, limits: Any = None, requests: Any = None, **spec: Any) -> dict[str, Any]:
    container: dict[str, Any] = {"name": "c", "image": "registry.example/app:1"}
    if limits or requests:
        given = {"limits": limits, "requests": requests}
        container["resources"] = {key: value for key, value in given.items() if value}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {"containers": [container], **spec},
    }


def add_quota(
    world: Any, name: str, hard: dict[str, str], used: dict[str, str] | None = None, **spec: Any
) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": name},
        "spec": {"hard": hard, **spec},
    }
    assert world.do("create", "resourcequotas", "default", body=quota).code == 201
    status = {"status": {"hard": hard, "used": used or dict.fromkeys(hard, "0")}}
    answer = world.do("patch", "resourcequotas", "default", name, subresource="status", body=status)
    assert answer.code == 200


def used(world: Any, name: str) -> dict[str, str]:
    found: dict[str, str] = world.do("get", "resourcequotas", "default", name).obj["status"]["used"]
    return found


def refusal(answer: Any) -> str:
    assert answer.code == 403
    text: str = answer.status["message"]
    return text


def test_a_container_gets_the_defaults_of_its_namespace_alone(world: Any) -> None:
    limits = limit_range(default={"cpu": "500m"}, defaultRequest={"cpu": "100m"})
    world.do("create", "limitranges", "default", body=limits)
    for namespace, expected in (("default", {"limits": {"cpu": "500m"}}), ("kube-public", {})):
        made = world.do("create", "pods", namespace, body=pod("a")).obj
        resources = made["spec"]["containers"][0].get("resources") or {}
        assert resources.get("limits", {}) == expected.get("limits", {})
    made = world.do("create", "pods", "default", body=pod("b")).obj
    assert made["metadata"]["annotations"] == {
        "kubernetes.io/limit-ranger": "LimitRanger plugin set: cpu request for container c; "
        "cpu limit for container c"
    }
    assert made["status"]["qosClass"] == "Burstable"


def test_equal_pods_follow_a_limit_range_that_comes_between_them(world: Any) -> None:
    assert world.do("create", "pods", "default", body=pod("a")).code == 201
    world.do("create", "limitranges", "default", body=limit_range(min={"cpu": "1"}))
    made = world.do("create", "pods", "default", body=pod("b")).obj
    assert made["spec"]["containers"][0]["resources"] == {"requests": {"cpu": "1"}}


@pytest.mark.parametrize(
    ("item", "resources", "expected"),
    [
        (
            {"max": {"cpu": "1"}},
            {"limits": {"cpu": "2"}},
            "maximum cpu usage per Container is 1, but limit is 2",
        ),
        (
            {"min": {"cpu": "1"}},
            {"requests": {"cpu": "50m"}},
            "minimum cpu usage per Container is 1, but request is 50m",
        ),
        (
            {"maxLimitRequestRatio": {"cpu": "2"}},
            {"requests": {"cpu": "100m"}, "limits": {"cpu": "300m"}},
            "cpu max limit to request ratio per Container is 2, but provided ratio is 3.000000",
        ),
        (
            {"type": "Pod", "max": {"memory": "1Gi"}},
            {"limits": {"memory": "2Gi"}},
            "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
        ),
    ],
)
def test_a_pod_outside_its_limits_is_refused(
    world: Any, item: Any, resources: Any, expected: str
) -> None:
    world.do("create", "limitranges", "default", body=limit_range(**item))
    answer = world.do("create", "pods", "default", body=pod("a", **resources))
    assert refusal(answer) == f'pods "a" is forbidden: {expected}'


def test_a_quota_is_charged_with_the_object_in_one_transaction(world: Any) -> None:
    add_quota(world, "q", {"pods": "2", "requests.cpu": "1"})
    made = world.do("create", "pods", "default", body=pod("a", requests={"cpu": "600m"}))
    quota = world.do("get", "resourcequotas", "default", "q")
    assert (made.code, quota.obj["status"]["used"]) == (201, {"pods": "1", "requests.cpu": "600m"})
    assert quota.obj["metadata"]["resourceVersion"] == str(made.revision)
    text = refusal(world.do("create", "pods", "default", body=pod("b", requests={"cpu": "500m"})))
    assert text == (
        'pods "b" is forbidden: exceeded quota: q, requested: requests.cpu=500m, '
        "used: requests.cpu=600m, limited: requests.cpu=1"
    )


def test_a_compute_quota_demands_that_containers_say_what_they_need(world: Any) -> None:
    add_quota(world, "q", {"requests.cpu": "1", "limits.memory": "1Gi"})
    assert refusal(world.do("create", "pods", "default", body=pod("a"))) == (
        'pods "a" is forbidden: failed quota: q: must specify limits.memory for: c; '
        "requests.cpu for: c"
    )


def test_nothing_is_charged_for_what_is_not_stored(world: Any, make: Any) -> None:
    add_quota(world, "q", {"pods": "5", "configmaps": "5"})
    world.do("create", "pods", "default", body=pod("a"), dryRun="All")
    assert used(world, "q") == {"pods": "0", "configmaps": "0"}
    assert world.do("create", "configmaps", "default", body=make.config_map("a")).code == 201
    assert world.do("create", "configmaps", "default", body=make.config_map("a")).code == 409
    assert used(world, "q") == {"pods": "0", "configmaps": "1"}


def test_creates_that_race_through_two_servers_never_overdraw_a_quota(
    empty_world: Any, make: Any
) -> None:
    world = empty_world
    servers = [world.add_server(), world.add_server()]
    world.run()
    add_quota(world, "q", {"configmaps": "7"})
    numbers = [
        world.submit(
            "create", "configmaps", "default", body=make.config_map(f"m{n}"), server=servers[n % 2]
        )
        for n in range(20)
    ]
    world.run()
    codes = [world.answer(number).code for number in numbers]
    assert (codes.count(201), codes.count(403)) == (7, 13)
    assert len(world.do("list", "configmaps", "default").items) == 7
    assert used(world, "q") == {"configmaps": "7"}


def test_an_update_is_charged_for_what_it_adds(world: Any, make: Any) -> None:
    add_quota(world, "q", {"services.nodeports": "1"})
    world.do("create", "services", "default", body=make.service("s"))
    assert used(world, "q") == {"services.nodeports": "0"}
    patch = {"spec": {"type": "NodePort"}}
    assert world.do("patch", "services", "default", "s", body=patch).code == 200
    assert used(world, "q") == {"services.nodeports": "1"}
    world.do("create", "services", "default", body=make.service("t"))
    assert world.do("patch", "services", "default", "t", body=patch).code == 403
    labels = {"metadata": {"labels": {"a": "b"}}}
    assert world.do("patch", "services", "default", "s", body=labels).code == 200


@pytest.mark.parametrize(
    ("scope", "inside", "outside"),
    [
        ({"scopes": ["Terminating"]}, {"activeDeadlineSeconds": 9}, {}),
        ({"scopes": ["NotTerminating"]}, {}, {"activeDeadlineSeconds": 9}),
        ({"scopes": ["BestEffort"]}, {}, {"requests": {"cpu": "1"}}),
        ({"scopes": ["NotBestEffort"]}, {"requests": {"cpu": "1"}}, {}),
        (
            {
                "scopeSelector": {
                    "matchExpressions": [
                        {
                            "scopeName": "PriorityClass",
                            "operator": "In",
                            "values": ["system-node-critical"],
                        }
                    ]
                }
            },
            {"priorityClassName": "system-node-critical"},
            {},
        ),
    ],
)
def test_a_scope_says_which_pods_count(world: Any, scope: Any, inside: Any, outside: Any) -> None:
    add_quota(world, "q", {"pods": "1"}, **scope)
    for number, spec in enumerate((outside, outside, inside)):
        assert world.do("create", "pods", "default", body=pod(f"p{number}", **spec)).code == 201
    assert world.do("create", "pods", "default", body=pod("last", **inside)).code == 403
    assert used(world, "q") == {"pods": "1"}


def test_storage_is_counted_by_class_too(world: Any) -> None:
    hard = {
        "gold.storageclass.storage.k8s.io/requests.storage": "3Gi",
        "persistentvolumeclaims": "9",
    }
    add_quota(world, "q", hard)

    def claim(name: str, size: str, storage_class: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": name},
            "spec": {
                "accessModes": ["ReadWriteOnce"],
                "storageClassName": storage_class,
                "resources": {"requests": {"storage": size}},
            },
        }

    codes = [
        world.do("create", "persistentvolumeclaims", "default", body=claim(*each)).code
        for each in (("a", "2Gi", "gold"), ("b", "2Gi", "gold"), ("c", "2Gi", "silver"))
    ]
    assert codes == [201, 403, 201]
    assert used(world, "q") == {
        "gold.storageclass.storage.k8s.io/requests.storage": "2Gi",
        "persistentvolumeclaims": "2",
    }
