"""Who asks: the connection's credentials decide, and nothing that a request says."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.api import codec, protocol
from k8sactors.api.user import FRONT_PROXY_USER, UserInfo
from tests.apiserver.conftest import Peer, World, config_map

JANE = UserInfo("jane", "u-1", ("shop",), {"scopes": ["read"]})


def users(world: World) -> list[UserInfo]:
    return [record.user for record in world.server.audit.records if record.name == "a"]


def create(world: World, **settings: Any) -> int:
    return world.do("create", "configmaps", "default", body=config_map("a"), **settings).code


def test_requests_are_those_of_the_user_that_the_connection_presented(world: World) -> None:
    assert create(world, user=JANE) == 201
    groups = ("shop", "system:authenticated")
    assert users(world) == [UserInfo("jane", "u-1", groups, {"scopes": ["read"]})]


def test_a_connection_without_credentials_is_anonymous(world: World) -> None:
    world.peers[world.server, str(JANE)] = Peer(world.peer.received)
    assert create(world, user=JANE) == 201
    assert users(world) == [UserInfo("system:anonymous", groups=("system:unauthenticated",))]


@pytest.mark.parametrize(
    "options",
    [
        {"user": "root"},
        {"username": "root", "uid": "0"},
        {"groups": ["system:masters"]},
        {"extra": {"scopes": ["all"]}, "impersonate": "root"},
        {"Impersonate-User": "root", "X-Remote-User": "root"},
    ],
)
def test_no_option_of_a_request_replaces_the_user(world: World, options: dict[str, Any]) -> None:
    body = codec.encode_value(config_map("a"))
    payload = protocol.request("create", "configmaps", "default", None, None, body, options)
    assert world.ask(payload, JANE).code == 201
    assert users(world) == [JANE.authenticated()]


def test_a_proxy_states_the_user_of_a_single_request(world: World) -> None:
    assert create(world, user=FRONT_PROXY_USER, stated=JANE) == 201
    assert create(world, user=FRONT_PROXY_USER) == 409
    assert [user.name for user in users(world)] == ["jane", "front-proxy-client"]
    assert users(world)[0].groups == ("shop", "system:authenticated")


def test_only_a_proxy_may_state_the_user_of_a_request(world: World) -> None:
    answer = world.do(
        "create", "configmaps", "default", body=config_map("a"), user=JANE, stated=UserInfo("root")
    )
    assert (answer.code, answer.status["reason"]) == (403, "Forbidden")
    assert not users(world)


def test_only_a_proxy_may_state_the_user_of_a_watch(world: World) -> None:
    assert world.watch("configmaps", stated=UserInfo("root")).events == [("ERROR", "403")]


@pytest.mark.parametrize(
    "credentials", ["jane", ["jane"], ["", "", [], {}], ["jane", "", [1], {}], ["jane", "", [], []]]
)
def test_malformed_credentials_close_the_connection(world: World, credentials: Any) -> None:
    peer = Peer()
    world.present(world.server, peer, credentials)
    assert peer.closed
    assert peer.close_reason.startswith("Unauthorized: ")


def test_a_connection_presents_its_credentials_once(world: World) -> None:
    peer = world.connect(world.server, JANE)
    world.present(world.server, peer, UserInfo("root").to_wire())
    assert peer.close_reason == "Unauthorized: the connection has presented credentials before"


def test_admission_and_authorization_see_the_record(world: World) -> None:
    calls: list[Any] = []
    world.server._authorize = lambda call: calls.append(call.user)
    assert create(world, user=JANE) == 201
    assert calls == [JANE.authenticated()]
