"""The server as a whole: failures of the store, limits, audit, leases of events, compaction."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import errors
from k8sactors.apiserver.errors import StoreUnavailableError, UnknownOutcomeError


def test_without_a_store_writes_are_503_and_say_why(world: Any, make: Any) -> None:
    world.memory.failure = StoreUnavailableError("no endpoint answered txn in time")
    refused = world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert refused.code == 503
    assert "no endpoint answered txn in time" in refused.status["message"]
    assert world.do("list", "configmaps", "default").code == 503
    assert world.do("list", "configmaps", "default", resourceVersion="0").code == 200


def test_a_write_of_unknown_outcome_is_504(world: Any, make: Any) -> None:
    world.memory.lose_answers = UnknownOutcomeError("connection lost")
    lost = world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert lost.code == 504
    assert lost.status["reason"] == "Timeout"
    world.memory.lose_answers = None
    assert world.do("get", "configmaps", "default", "a").code == 200


def test_a_server_that_cannot_fill_its_caches_is_not_healthy(empty_world: Any) -> None:
    world = empty_world
    world.memory.failure = StoreUnavailableError("no leader")
    server = world.add_server()
    number = world.submit("list", "pods")
    world.advance(4)
    assert world.answer(number).code == 503
    assert server.health()[0] is False
    assert "no leader" in server.health()[1]
    world.memory.failure = None
    world.advance(2)
    assert server.health() == (True, "ok")
    assert world.do("list", "pods").code == 200


@pytest.mark.covers("DC-18")
def test_more_requests_than_the_limit_are_429(empty_world: Any, make: Any) -> None:
    world = empty_world
    world.add_server(max_mutating_in_flight=5, enable_priority_and_fairness=False)
    world.run()
    numbers = [
        world.submit("create", "configmaps", "default", body=make.config_map(f"c{number}"))
        for number in range(8)
    ]
    refused = [world.answer(number) for number in numbers[5:]]
    assert [answer.code for answer in refused] == [429, 429, 429]
    assert refused[0].status["details"]["retryAfterSeconds"] == 1
    assert world.do("list", "configmaps", "default").code == 200
    assert world.server.metrics()["in_flight_mutating"] == 0


@pytest.mark.covers("AP-06", "AR-13")
def test_each_mutation_is_audited_once(world: Any, make: Any) -> None:
    audit = world.server.audit
    seen: list[Any] = []
    audit.listeners.append(seen.append)
    world.do("create", "configmaps", "default", body=make.config_map("a"), user="jane")
    world.do("create", "configmaps", "default", body=make.config_map("a"), user="jane")
    world.do("list", "configmaps", "default")
    world.do("delete", "configmaps", "default", "a", user="joe")
    shown = [(record.user.name, record.verb, record.name, record.code) for record in seen]
    assert shown == [
        ("jane", "create", "a", 201),
        ("jane", "create", "a", 409),
        ("joe", "delete", "a", 200),
    ]
    assert list(audit.records)[-3:] == seen


def test_an_authorizer_can_refuse(world: Any, make: Any) -> None:
    def refuse(call: Any) -> Any:
        if call.user.name == "jane":
            return errors.forbidden("configmaps", call.name, 'User "jane" cannot create')
        return None

    world.server._authorize = refuse
    body = make.config_map("a")
    assert world.do("create", "configmaps", "default", body=body, user="jane").code == 403
    assert world.do("create", "configmaps", "default", body=body, user="joe").code == 201


def test_events_of_a_minute_share_a_lease(world: Any) -> None:
    def event(name: str) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": "default"},
            "involvedObject": {"kind": "Pod", "name": "p", "namespace": "default"},
            "reason": "R",
            "message": "m",
            "type": "Normal",
        }

    for name in "abc":
        assert world.do("create", "events", "default", body=event(name)).code == 201
    assert world.memory.leases == 1
    world.advance(61)
    assert world.do("create", "events", "default", body=event("d")).code == 201
    assert world.memory.leases == 2
    leases = [
        state.lease
        for key, state in sorted(world.memory.state.items())
        if key.startswith(b"/registry/events/")
    ]
    assert leases == [1, 1, 1, 2]


def test_one_of_several_servers_compacts(world: Any, make: Any) -> None:
    other = world.add_server()
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    world.advance(305)
    assert world.memory.compacted == 0
    noted = world.memory.revision
    world.advance(300)
    assert 0 < world.memory.compacted <= noted
    compacted = [server.compactor.compacted_revision for server in (world.server, other)]
    assert sorted(compacted) == [0, world.memory.compacted]


def test_same_seed_same_names_and_uids(make: Any, world: Any) -> None:
    twin = type(world)()
    twin.add_server()
    twin.run()
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"generateName": "x-"}}
    first = world.do("create", "configmaps", "default", body=body).obj["metadata"]
    second = twin.do("create", "configmaps", "default", body=body).obj["metadata"]
    assert (first["name"], first["uid"]) == (second["name"], second["uid"])
    assert make.config_map("a")["kind"] == "ConfigMap"
