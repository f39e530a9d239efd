"""Priority and fairness where requests enter a server: flows, seats, queues, and what is told."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api.protocol import ACCESS, flow_uids, request
from k8sactors.api.user import FRONT_PROXY, FRONT_PROXY_USER, MASTERS, UserInfo, node_user
from k8sactors.apiserver.priority_and_fairness.bootstrap_configuration import (
    AUTO_UPDATE,
    FLOW_SCHEMAS,
    PRIORITY_LEVELS,
)

ADMIN = UserInfo("admin", groups=(MASTERS,))
CONTROLLERS = UserInfo("system:kube-controller-manager")


def account(namespace: str, name: str) -> UserInfo:
    groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}")
    return UserInfo(f"system:serviceaccount:{namespace}:{name}", groups=groups)


def flow_of(world: Any, user: UserInfo, verb: str, resource: str, *where: str) -> tuple[str, str]:
    """Schema and level of a request, by the uids that a proxy is told."""
    answer = world.ask(request(verb, resource, *where, user=user.authenticated()), FRONT_PROXY_USER)
    schema_uid, level_uid = flow_uids(answer.payload)
    return name_of(world, FLOW_SCHEMAS, schema_uid), name_of(world, PRIORITY_LEVELS, level_uid)


def name_of(world: Any, resource: str, uid: str) -> str:
    listed = world.do("list", resource, user=ADMIN)
    [name] = [obj["metadata"]["name"] for obj in listed.items if obj["metadata"]["uid"] == uid]
    return str(name)


@pytest.fixture
def small_world(empty_world: Any) -> Any:
    """A server of 49 seats: of these, `global-default` has 4 and `workload-low` 20."""
    empty_world.add_server(max_mutating_in_flight=24, max_readonly_in_flight=25)
    # Until the status of all schemas is written.
    empty_world.advance(2)
    return empty_world


def flood(world: Any, make: Any, number: int, user: Any = "flood") -> list[int]:
    return [
        world.submit("create", "configmaps", "default", body=make.config_map(f"f{i}"), user=user)
        for i in range(number)
    ]


def level(world: Any, name: str) -> Any:
    return world.server.flow.levels[name]


# Configuration


def test_the_bootstrap_configuration_is_that_of_the_real_server(world: Any) -> None:
    levels = {
        obj["metadata"]["name"]: obj["spec"].get("limited", {}).get("nominalConcurrencyShares")
        for obj in world.do("list", PRIORITY_LEVELS).items
    }
    assert levels == {
        "catch-all": 5,
        "exempt": None,
        "global-default": 20,
        "leader-election": 10,
        "node-high": 40,
        "system": 30,
        "workload-high": 40,
        "workload-low": 100,
    }
    schemas = {
        obj["metadata"]["name"]: obj["spec"]["matchingPrecedence"]
        for obj in world.do("list", FLOW_SCHEMAS).items
    }
    assert sorted(schemas, key=lambda name: (schemas[name], name)) == [
        "exempt",
        "probes",
        "system-leader-election",
        "endpoint-controller",
        "workload-leader-election",
        "system-node-high",
        "system-nodes",
        "kube-controller-manager",
        "kube-scheduler",
        "kube-system-service-accounts",
        "service-accounts",
        "global-default",
        "catch-all",
    ]


@pytest.mark.parametrize(
    ("user", "asked", "expected"),
    [
        (ADMIN, ("list", "pods"), ("exempt", "exempt")),
        (node_user("n"), ("get", "nodes", None, "n"), ("system-node-high", "node-high")),
        (node_user("n"), ("get", "pods", "default", "p"), ("system-nodes", "system")),
        (
            CONTROLLERS,
            ("get", "leases.coordination.k8s.io", "kube-system", "l"),
            ("system-leader-election", "leader-election"),
        ),
        (
            CONTROLLERS,
            ("get", "endpoints", "default", "e"),
            ("endpoint-controller", "workload-high"),
        ),
        (CONTROLLERS, ("list", "pods", "default"), ("kube-controller-manager", "workload-high")),
        (
            account("kube-system", "proxy"),
            ("list", "pods"),
            ("kube-system-service-accounts", "workload-high"),
        ),
        (account("default", "app"), ("list", "pods"), ("service-accounts", "workload-low")),
        (UserInfo("jane"), ("list", "pods"), ("global-default", "global-default")),
        (UserInfo("system:anonymous"), ("list", "pods"), ("global-default", "global-default")),
    ],
)
def test_requests_belong_to_flows(
    world: Any, user: UserInfo, asked: tuple[str, ...], expected: tuple[str, str]
) -> None:
    assert flow_of(world, user, *asked) == expected


def test_a_schema_of_higher_precedence_is_tried_first(world: Any) -> None:
    everything = {"verbs": ["*"], "apiGroups": [""], "resources": ["secrets"]}
    schema = {
        "apiVersion": "flowcontrol.apiserver.k8s.io/v1",
        "kind": "FlowSchema",
        "metadata": {"name": "jane-s-secrets"},
        "spec": {
            "priorityLevelConfiguration": {"name": "system"},
            "matchingPrecedence": 50,
            "rules": [
                {
                    "subjects": [{"kind": "User", "user": {"name": "jane"}}],
                    "resourceRules": [{**everything, "namespaces": ["default"]}],
                }
            ],
        },
    }
    jane = UserInfo("jane")
    assert flow_of(world, jane, "list", "secrets", "default")[0] == "global-default"
    assert world.do("create", FLOW_SCHEMAS, body=schema).code == 201
    assert flow_of(world, jane, "list", "secrets", "default") == ("jane-s-secrets", "system")
    # Neither the other namespaces nor the cluster's scope are named.
    assert flow_of(world, jane, "list", "secrets", "kube-system")[0] == "global-default"
    assert flow_of(world, jane, "list", "secrets")[0] == "global-default"
    world.do("delete", FLOW_SCHEMAS, name="jane-s-secrets")
    assert flow_of(world, jane, "list", "secrets", "default")[0] == "global-default"


def test_schemas_tell_whether_their_level_exists(world: Any) -> None:
    world.advance(2)
    for schema in world.do("list", FLOW_SCHEMAS).items:
        [condition] = schema["status"]["conditions"]
        assert (condition["type"], condition["status"], condition["reason"]) == (
            "Dangling",
            "False",
            "Found",
        )
    world.do("delete", PRIORITY_LEVELS, name="workload-low")
    world.advance(2)
    schema = world.do("get", FLOW_SCHEMAS, name="service-accounts").obj
    [condition] = schema["status"]["conditions"]
    assert (condition["status"], condition["reason"]) == ("True", "NotFound")
    assert flow_of(world, account("default", "app"), "list", "pods")[0] == "global-default"


def test_suggested_objects_are_kept_as_long_as_their_annotation_says_so(world: Any) -> None:
    def shares(name: str) -> int:
        spec = world.do("get", PRIORITY_LEVELS, name=name).obj["spec"]
        return int(spec["limited"]["nominalConcurrencyShares"])

    def change(name: str, annotation: str) -> None:
        found = world.do("get", PRIORITY_LEVELS, name=name).obj
        found["spec"]["limited"]["nominalConcurrencyShares"] = 77
        found["metadata"]["annotations"] = {AUTO_UPDATE: annotation}
        assert world.do("update", PRIORITY_LEVELS, name=name, body=found).code == 200

    change("system", "true")
    change("workload-low", "false")
    assert world.do("delete", FLOW_SCHEMAS, name="probes").code == 200
    assert (shares("system"), shares("workload-low")) == (77, 77)
    world.advance(70)
    assert (shares("system"), shares("workload-low")) == (30, 77)
    assert world.do("get", FLOW_SCHEMAS, name="probes").code == 200


# Seats


def test_seats_are_shared_out_by_nominal_shares(small_world: Any) -> None:
    flow = small_world.server.flow
    flow.refresh()
    assert {name: each.nominal for name, each in flow.levels.items()} == {
        "exempt": 0,
        "catch-all": 1,
        "global-default": 4,
        "leader-election": 2,
        "node-high": 8,
        "system": 6,
        "workload-high": 8,
        "workload-low": 20,
    }


def test_a_flood_by_one_user_does_not_delay_another(small_world: Any, make: Any) -> None:
    world = small_world
    numbers = flood(world, make, 150)
    quiet = world.submit("create", "configmaps", "default", body=make.config_map("q"), user="quiet")
    assert level(world, "global-default").waiting == 147
    done_before = []
    while world.answer(quiet) is None:
        answers, world.memory.answers = world.memory.answers[:1], world.memory.answers[1:]
        for answer in answers:
            answer()
        done_before = [number for number in numbers if world.answer(number) is not None]
    assert world.answer(quiet).code == 201
    assert len(done_before) <= 12
    world.run()
    assert {world.answer(number).code for number in numbers} == {201}
    assert level(world, "global-default").in_use == 0


def test_another_level_is_not_concerned_at_all(small_world: Any, make: Any) -> None:
    world = small_world
    flood(world, make, 150)
    asked = len(world.memory.answers)
    world.submit(
        "create", "configmaps", "default", body=make.config_map("s"), user=account("default", "a")
    )
    world.submit("create", "configmaps", "default", body=make.config_map("t"), user=ADMIN)
    assert len(world.memory.answers) == asked + 2


def test_full_queues_refuse_and_say_when_to_come_back(small_world: Any, make: Any) -> None:
    world = small_world
    numbers = flood(world, make, 400)
    refused = [world.answer(number) for number in numbers if world.answer(number) is not None]
    # Four seats, and six queues of fifty requests.
    assert len(refused) == 400 - 4 - 300
    assert {answer.code for answer in refused} == {429}
    assert refused[0].status["message"] == "Too many requests, please try again later."
    assert refused[0].status["details"]["retryAfterSeconds"] == 1
    assert world.server.metrics()["rejected"] == 96
    world.run()
    assert sum(world.answer(number).code == 201 for number in numbers) == 304


def test_requests_that_wait_too_long_are_refused(small_world: Any, make: Any) -> None:
    world = small_world
    numbers = flood(world, make, 100)
    # The store does not answer: a seat that is held stays so.
    world.run = lambda: None
    world.advance(14.5)
    assert [number for number in numbers if world.answer(number) is not None] == []
    world.advance(1)
    refused = [world.answer(number) for number in numbers if world.answer(number) is not None]
    assert {answer.code for answer in refused} == {429}
    shown = level(world, "global-default")
    assert len(refused) == shown.rejected["global-default", "time-out"] == 100 - shown.in_use
    assert shown.waiting == 0


def test_the_exempt_are_not_limited(small_world: Any, make: Any) -> None:
    flood(small_world, make, 200, ADMIN)
    assert len(small_world.memory.answers) == 200


def test_a_list_of_many_objects_takes_more_seats(world: Any, make: Any) -> None:
    for number in range(250):
        world.submit("create", "configmaps", "default", body=make.config_map(f"c{number}"))
    world.run()
    world.memory.failure = None
    number = world.submit("list", "configmaps", "default", user="jane")
    held = [request.seats for request in level(world, "global-default").executing]
    world.run()
    assert held == [3]
    assert world.answer(number).code == 200
    world.submit("list", "configmaps", "default", user="jane", fieldSelector="metadata.name=c1")
    assert [each.seats for each in level(world, "global-default").executing] == [1]
    world.run()
    assert level(world, "global-default").in_use == 0


def test_open_watches_hold_no_seats(small_world: Any, make: Any) -> None:
    world = small_world
    watches = [world.watch("configmaps", "default") for _ in range(20)]
    assert all(each.in_use == 0 for each in world.server.flow.levels.values())
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert all(watch.events == [("ADDED", "a")] for watch in watches)


def test_a_watch_waits_for_its_turn_to_begin(small_world: Any, make: Any) -> None:
    world = small_world
    flood(world, make, 10, "test")
    answers, world.memory.answers = world.memory.answers, []
    world.present(world.server, world.peer, UserInfo("test").to_wire())
    watch = world.watch("configmaps", "default", allowWatchBookmarks=True)
    assert world.server.metrics()["watches"] == 0
    world.memory.answers = answers
    world.run()
    assert world.server.metrics()["watches"] == 1
    assert {name for _, name in watch.events} <= {f"f{number}" for number in range(10)}


def test_a_level_borrows_what_others_do_not_need(small_world: Any, make: Any) -> None:
    world = small_world
    app = account("default", "app")
    flood(world, make, 60, app)
    low = level(world, "workload-low")
    assert (low.limit, low.in_use, low.waiting) == (20, 20, 40)
    world.run = lambda: None
    world.advance(11)
    # 18 seats of the others can be lent; each keeps what it does not lend.
    lent = sum(each.nominal - each.least for each in world.server.flow.levels.values())
    assert 20 < low.limit <= 20 + lent
    assert low.in_use == low.limit
    for other in world.server.flow.levels.values():
        assert other.exempt or other.least <= other.limit
    limited = [each for each in world.server.flow.levels.values() if not each.exempt]
    assert sum(each.limit for each in limited) <= 49 + len(limited)
    del world.run
    world.advance(30)
    assert (low.limit, low.in_use, low.accounting) == (20, 0, False)


def test_a_level_that_may_not_borrow_does_not(small_world: Any, make: Any) -> None:
    world = small_world
    found = world.do("get", PRIORITY_LEVELS, name="workload-low", user=ADMIN).obj
    found["spec"]["limited"]["borrowingLimitPercent"] = 0
    found["metadata"]["annotations"] = {AUTO_UPDATE: "false"}
    assert (
        world.do("update", PRIORITY_LEVELS, name="workload-low", body=found, user=ADMIN).code == 200
    )
    flood(world, make, 60, account("default", "app"))
    world.run = lambda: None
    world.advance(11)
    assert level(world, "workload-low").limit == 20


# What is told


def page(world: Any, path: str) -> str:
    options = {"verb": "get", "group": "", "resource": "", "path": path}
    answer = world.ask(request(ACCESS, "", None, None, None, None, options), ADMIN)
    return str(answer.payload[2][1].decode())


def test_debug_pages_show_levels_queues_and_requests(small_world: Any, make: Any) -> None:
    world = small_world
    flood(world, make, 10)
    answers, world.memory.answers = world.memory.answers, []
    shown = page(world, "/debug/api_priority_and_fairness/dump_priority_levels")
    rows = [[cell.strip() for cell in line.split(",")] for line in shown.splitlines()]
    assert rows[0] == [
        "PriorityLevelName",
        "ActiveQueues",
        "IsIdle",
        "IsQuiescing",
        "WaitingRequests",
        "ExecutingRequests",
    ]
    [row] = [row for row in rows if row[0] == "global-default"]
    assert row[2:] == ["false", "false", "6", "4"]
    shown = page(world, "/debug/api_priority_and_fairness/dump_queues")
    queues = [line for line in shown.splitlines() if line.startswith("global-default,")]
    assert len(queues) == 128
    shown = page(world, "/debug/api_priority_and_fairness/dump_requests")
    waiting = [line for line in shown.splitlines() if line.startswith("global-default,")]
    assert len(waiting) == 6
    assert all("flood" in line for line in waiting)
    world.memory.answers = answers
    world.run()
    shown = page(world, "/debug/api_priority_and_fairness/dump_requests")
    assert len(shown.splitlines()) == 1


def test_metrics_have_the_names_of_the_real_server(small_world: Any, make: Any) -> None:
    world = small_world
    flood(world, make, 400)
    labels = 'flow_schema="global-default",priority_level="global-default"'
    shown = page(world, "/metrics").splitlines()
    assert f"apiserver_flowcontrol_current_inqueue_requests{{{labels}}} 300" in shown
    assert f"apiserver_flowcontrol_current_executing_requests{{{labels}}} 4" in shown
    rejected = f'apiserver_flowcontrol_rejected_requests_total{{{labels},reason="queue-full"}} 96'
    assert rejected in shown
    assert 'apiserver_flowcontrol_nominal_limit_seats{priority_level="global-default"} 4' in shown
    world.run()
    shown = page(world, "/metrics").splitlines()
    assert f"apiserver_flowcontrol_dispatched_requests_total{{{labels}}} 304" in shown
    wait = "apiserver_flowcontrol_request_wait_duration_seconds_count"
    assert f'{wait}{{execute="true",{labels}}} 300' in shown


def test_a_proxy_is_told_the_flow_also_of_what_is_refused(world: Any) -> None:
    stated = UserInfo("jane").authenticated()
    answer = world.ask(request("get", "pods", "default", "none", user=stated), FRONT_PROXY_USER)
    assert answer.code == 404
    assert len(flow_uids(answer.payload) or ()) == 2
    assert flow_uids(world.ask(request("get", "pods", "default", "none"), ADMIN).payload) is None
    assert FRONT_PROXY_USER.name == FRONT_PROXY


def test_what_happens_follows_from_what_was_sent(empty_world: Any, make: Any) -> None:
    def run() -> list[int]:
        world = type(empty_world)()
        world.add_server(max_mutating_in_flight=24, max_readonly_in_flight=25)
        world.run()
        for round_number in range(5):
            for user in ("a", "b", "c"):
                flood(world, make, 10 * (round_number + 1), user)
            world.advance(0.5)
        world.run()
        return list(world.peer.received)

    assert run() == run()
