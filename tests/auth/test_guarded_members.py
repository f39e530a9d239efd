"""A cluster whose requests are judged, also while members fail."""

from __future__ import annotations

import random  # noqa: TID251  # seeded by each test
from typing import Any

import attrs
import pytest

from raftstore.auth import refusals
from raftstore.auth.ranges import READ, READWRITE, WRITE
from raftstore.auth.tokens import TTL_NS
from raftstore.errors import Status
from raftstore.raft import RaftMonitor
from raftstore.server.bare import BareCluster
from raftstore.server.credentials import Credentials, SeededEntropy
from raftstore.server.requests import decode
from raftstore.wire import unpack_events

CHEAP = Credentials(password_cost=4)
PASSWORD = "correct horse"


def put(key: bytes, value: bytes = b"v", lease: int = 0, *, prev: bool = False) -> tuple[str, Any]:
    return "put", [key, value, lease, prev, False, False]


def get(key: bytes, end: bytes = b"", *, serializable: bool = False) -> tuple[str, Any]:
    return "range", [key, end, 0, 0, 0, 0, serializable, False, False, 0, 0, 0, 0]


class Scene(BareCluster):
    """A cluster in which requests are made by users."""

    def __init__(self, size: int = 3, **config: Any) -> None:
        super().__init__(
            size,
            random.Random,
            monitor=RaftMonitor(),
            configure=lambda c: attrs.evolve(c, **config),
            credentials=CHEAP,
        )
        self.first = self.leader().id

    def ask(self, request: tuple[str, Any], token: str = "", member: int = 0) -> Any:
        """The fields of the answer, or the Status of the refusal."""
        if token:
            request = ("with_token", [token, *request])
        answer = self.call(member or self.first, *request)
        assert answer, "not answered"
        return answer[1] if answer[0] == 0 else Status(*answer)

    def must(self, op: str, *fields: Any, token: str = "") -> Any:
        answer = self.ask((op, list(fields)), token)
        assert not isinstance(answer, Status), answer
        return answer

    def log_in(self, name: str, password: str = PASSWORD, member: int = 0) -> Any:
        answer = self.ask(("authenticate", [name, password]), member=member)
        return answer if isinstance(answer, Status) else answer[1]

    def guard(self) -> str:
        """Root and ann, who may do everything under a/, and read b; the root's token."""
        self.must("auth_user_add", "root", PASSWORD, False)
        self.must("auth_user_add", "ann", PASSWORD, False)
        self.must("auth_role_add", "a")
        self.must("auth_role_grant_permission", "a", [READWRITE, b"a/", b"a0"])
        self.must("auth_role_grant_permission", "a", [READ, b"b", b""])
        self.must("auth_user_grant_role", "ann", "a")
        self.must("auth_user_grant_role", "root", "root")
        self.must("auth_enable")
        token: str = self.log_in("root")
        return token

    def entries(self) -> list[bytes]:
        log = self.leader().node.raft.log
        return [entry[3] for entry in log.slice(log.offset + 1, log.last_index + 1, 1 << 30)]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_nothing_is_refused_until_it_is_switched_on(scene: Scene) -> None:
    scene.must("auth_user_add", "ann", PASSWORD, False)
    assert scene.log_in("ann") == refusals.AUTH_NOT_ENABLED
    assert scene.must(*put_of(b"x"))
    # A token says nothing yet.
    assert not isinstance(scene.ask(get(b"x"), "made up"), Status)
    assert scene.must("auth_status")[1:] == [False, 2]


def put_of(key: bytes) -> tuple[Any, ...]:
    op, fields = put(key)
    return op, *fields


def test_each_request_needs_its_permission(scene: Scene) -> None:
    root = scene.guard()
    scene.must("lease_grant", 60, 7, token=root)
    scene.must("lease_grant", 60, 8, token=root)
    assert not isinstance(scene.ask(put(b"z", lease=8), root), Status)
    ann = scene.log_in("ann")
    txn = "txn", [[[0, 3, b"b", b"", b""]], [[2, put(b"a/1")[1]]], []]
    nested = "txn", [[], [[4, [[], [], [[2, put(b"z")[1]]]]]], []]
    compare = "txn", [[[0, 0, b"z", 0, b""]], [], []]
    allowed = [
        put(b"a/1"),
        put(b"a/1", lease=7),
        get(b"a/1"),
        get(b"a/", b"a0"),
        get(b"b", serializable=True),
        ("delete_range", [b"a/x", b"", False]),
        txn,
        ("lease_grant", [60, 0]),
        ("lease_keep_alive", [7]),
        ("lease_time_to_live", [7, True]),
        ("lease_time_to_live", [8, False]),
        ("lease_leases", []),
        ("status", []),
        ("member_list", [False]),
        ("auth_user_get", ["ann"]),
        ("auth_role_get", ["a"]),
    ]
    denied = [
        put(b"b"),
        put(b"a/1", lease=8),
        get(b"z"),
        get(b"a/", b"a1"),
        get(b"a/", b"\0", serializable=True),
        ("delete_range", [b"a/", b"b", False]),
        nested,
        compare,
        ("lease_revoke", [8]),
        ("lease_time_to_live", [8, True]),
        ("hash_kv", [0]),
        ("move_leader", [1]),
        ("member_add", [["http://new:1"], False]),
        ("member_remove", [3]),
        ("member_update", [3, ["http://new:1"]]),
        ("member_promote", [3]),
        ("auth_user_get", ["root"]),
        ("auth_role_get", ["root"]),
        ("auth_user_list", []),
        ("auth_status", []),
        ("auth_disable", []),
        ("auth_user_add", ["eve", "x", False]),
        ("auth_user_change_password", ["ann", "x"]),
    ]
    for member in (1, 2, 3):
        for request in allowed:
            assert not isinstance(scene.ask(request, ann, member), Status), request
        for request in denied:
            assert scene.ask(request, ann, member) == refusals.PERMISSION_DENIED, request
    assert scene.ask(("lease_revoke", [7]), ann) != refusals.PERMISSION_DENIED


def test_who_says_nothing_may_do_nothing_with_keys(scene: Scene) -> None:
    root = scene.guard()
    scene.must(*put_of(b"x"), token=root)
    for member in (1, 2, 3):
        for request in (
            put(b"x"),
            get(b"x"),
            get(b"x", serializable=True),
            ("auth_user_list", []),
            ("auth_disable", []),
            ("hash_kv", [0]),
        ):
            assert scene.ask(request, member=member) == refusals.USER_EMPTY, request
            assert scene.ask(request, "made up", member) == refusals.INVALID_AUTH_TOKEN
        for token in ("", "made up"):
            assert not isinstance(scene.ask(("status", []), token, member), Status)


def test_members_proposals_are_not_for_clients(scene: Scene) -> None:
    attempts = (
        ("as_user", ["root", 99, *put(b"x")]),
        ("auth_assign_token", ["root", b"", 1]),
        ("auth_add_user", ["eve", "", True]),
    )
    for request in attempts:
        assert scene.ask(request).code == "Unimplemented"
    root = scene.guard()
    for request in attempts:
        assert isinstance(scene.ask(request), Status)
        assert scene.ask(request, root).code == "Unimplemented"


def test_malformed_requests_harm_no_other_client(scene: Scene) -> None:
    root = scene.guard()
    for request in (
        ("with_token", ["t", "with_token", ["t", "status", []]]),
        ("with_token", ["t"]),
        ("with_token", [b"t", "status", []]),
        ("authenticate", ["root"]),
        ("auth_role_grant_permission", ["a", [READ, "text", b""]]),
        ("auth_user_delete", [7]),
        ("auth_user_add", ["x", "y"]),
    ):
        assert scene.ask(request) == Status("InvalidArgument", "etcdserver: malformed request")
    assert scene.ask(("auth_user_list", []), root)[1] == ["ann", "root"]


def test_a_password_opens_and_a_wrong_one_does_not(scene: Scene) -> None:
    root = scene.guard()
    scene.must("auth_user_add", "cert", "", True, token=root)
    assert scene.log_in("ann", "wrong") == refusals.AUTH_FAILED
    assert scene.log_in("stranger") == refusals.AUTH_FAILED
    assert scene.log_in("cert", "") == refusals.AUTH_FAILED
    ann = scene.log_in("ann")
    scene.must("auth_user_change_password", "ann", "new", token=root)
    assert scene.ask(get(b"a/1"), ann) == refusals.INVALID_AUTH_TOKEN
    assert scene.log_in("ann") == refusals.AUTH_FAILED
    assert not isinstance(scene.ask(get(b"a/1"), scene.log_in("ann", "new")), Status)
    scene.must("auth_user_delete", "ann", token=root)
    assert scene.log_in("ann", "new") == refusals.AUTH_FAILED


def test_no_entry_and_no_snapshot_holds_a_secret(scene: Scene) -> None:
    root = scene.guard()
    scene.must("auth_user_change_password", "ann", "another secret", token=root)
    held = b"".join([*scene.entries(), *scene.leader().store.snapshot()])
    assert b"ann" in held
    for secret in (PASSWORD, "another secret", root, root.partition(".")[0]):
        assert secret.encode() not in held
    names = [decode(data)[0] for data in scene.entries() if data]
    assert "as_user" in names


def test_a_token_is_good_at_every_member_and_for_a_time(scene: Scene) -> None:
    scene.guard()
    for member in (1, 2, 3):
        token = scene.log_in("ann", member=member)
        for other in (1, 2, 3):
            assert not isinstance(scene.ask(get(b"b"), token, other), Status)
    scene.now_ns += TTL_NS
    assert scene.ask(get(b"b"), token) == refusals.INVALID_AUTH_TOKEN


def test_permissions_count_when_a_request_is_applied(scene: Scene) -> None:
    root = scene.guard()
    ann = scene.log_in("ann")
    member = scene.members[scene.first]
    answers: list[Any] = []
    revoke = ["auth_user_revoke_role", ["ann", "a"]]
    member.receive_client("c", "with_token", [root, *revoke], answers.append)
    member.receive_client("c", "with_token", [ann, *put(b"a/1")], answers.append)
    scene.settle()
    assert [answer[0] == 0 for answer in answers] == [True, False]
    assert Status(*answers[1]) == refusals.AUTH_OLD_REVISION
    assert scene.ask(put(b"a/1"), ann) == refusals.PERMISSION_DENIED


def test_what_was_asked_before_the_switch_is_judged_behind_it(scene: Scene) -> None:
    scene.must("auth_user_add", "root", PASSWORD, False)
    scene.must("auth_user_grant_role", "root", "root")
    member = scene.members[scene.first]
    answers: list[Any] = []
    member.receive_client("c", "auth_enable", [], answers.append)
    member.receive_client("c", *put(b"x"), answers.append)
    member.receive_client("c", *get(b"x"), answers.append)
    scene.settle()
    refused = [Status(*answer) for answer in answers if answer[0] != 0]
    assert refused == [refusals.USER_EMPTY] * 2
    root = scene.log_in("root")
    assert scene.ask(get(b"x"), root)[3] == 0
    scene.must("auth_disable", token=root)
    scene.must(*put_of(b"x"))
    assert scene.ask(get(b"x"))[3] == 1


def test_the_switch_and_the_accounts_survive_restarts_and_snapshots() -> None:
    scene = Scene(snapshot_entries=10, catch_up_entries=2)
    root = scene.guard()
    lagging = scene.first % 3 + 1
    scene.kill(lagging)
    for number in range(40):
        scene.must(*put_of(b"a/%d" % number), token=root)
    scene.start(lagging)
    scene.advance(30)
    assert scene.members[lagging].store.revision == scene.leader().store.revision
    assert scene.ask(get(b"a/1", serializable=True), member=lagging) == refusals.USER_EMPTY
    ann = scene.log_in("ann", member=lagging)
    assert scene.ask(get(b"a/1"), ann, lagging)[3] == 1
    for member in (1, 2, 3):
        scene.kill(member)
    for member in (1, 2, 3):
        scene.start(member)
    scene.first = scene.leader().id
    assert scene.ask(put(b"x")) == refusals.USER_EMPTY
    assert scene.ask(get(b"a/1"), scene.log_in("ann"))[3] == 1


def test_leases_expire_although_no_client_revokes_them(scene: Scene) -> None:
    root = scene.guard()
    scene.must("lease_grant", 2, 7, token=root)
    scene.ask(put(b"a/1", lease=7), root)
    scene.advance(60)
    assert scene.ask(get(b"a/1"), root)[3] == 0


def test_watches_are_permitted_when_they_begin(scene: Scene) -> None:
    scene.guard()
    ann = scene.log_in("ann")
    member = scene.members[scene.first]
    items: list[Any] = []
    member.watch("c", [b"a/", b"a0", 0, False, [], False, ann], items.append)
    for fields, status in (
        ([b"a/", b"b", 0, False, [], False, ann], refusals.PERMISSION_DENIED),
        ([b"a/", b"a0", 0, False, [], False], refusals.USER_EMPTY),
        ([b"a/", b"a0", 0, False, [], False, "made up"], refusals.INVALID_AUTH_TOKEN),
    ):
        with pytest.raises(Exception, match="etcdserver") as caught:
            member.watch("c", fields, items.append)
        assert caught.value.status == status  # type: ignore[attr-defined]  # a StoreError
    scene.ask(put(b"a/1"), ann)
    assert [event[1][0] for item in items for event in unpack_events(item[5])] == [b"a/1"]


def test_a_certificate_names_its_user_at_one_member(scene: Scene) -> None:
    access = scene.members[scene.first].access
    assert access.token_of_certificate("ann") == ""
    scene.guard()
    token = access.token_of_certificate("ann")
    assert token == access.token_of_certificate("ann")
    assert not isinstance(scene.ask(get(b"b"), token), Status)
    assert scene.ask(get(b"z"), token) == refusals.PERMISSION_DENIED
    elsewhere = scene.first % 3 + 1
    assert scene.ask(get(b"b"), token, elsewhere) == refusals.INVALID_AUTH_TOKEN
    assert scene.ask(get(b"b"), access.token_of_certificate("eve")) == refusals.PERMISSION_DENIED


def test_a_change_meanwhile_makes_the_member_look_at_the_password_again(scene: Scene) -> None:
    root = scene.guard()
    member = scene.members[scene.first]
    answers: list[Any] = []
    add = ["auth_role_add", ["other"]]
    member.receive_client("c", "with_token", [root, *add], answers.append)
    member.receive_client("c", "authenticate", ["ann", PASSWORD], answers.append)
    scene.settle()
    assert len(answers) == 2
    assert not isinstance(scene.ask(get(b"b"), answers[1][1][1]), Status)


def test_too_many_logins_at_once_are_put_off() -> None:
    scene = Scene()
    scene.guard()
    jobs: list[Any] = []
    access = scene.members[scene.first].access
    access._offload = lambda job, done: jobs.append((job, done))
    answers: list[Any] = []
    for _ in range(65):
        scene.members[scene.first].receive_client(
            "c", "authenticate", ["ann", PASSWORD], answers.append
        )
    assert answers == [["ResourceExhausted", "etcdserver: too many requests"]]
    for job, done in jobs:
        done(job())
    scene.settle()
    assert len(answers) == 65
    assert [answer[0] for answer in answers].count(0) == 64


def test_seeded_entropy_repeats_with_its_seed_only() -> None:
    first, again, other = (SeededEntropy(random.Random(seed)) for seed in (1, 1, 2))
    drawn = [first(16), first(16)]
    assert drawn == [again(16), again(16)]
    assert len({*drawn, other(16)}) == 3


def test_a_guarded_cluster_is_the_same_on_all_members(scene: Scene) -> None:
    root = scene.guard()
    ann = scene.log_in("ann")
    for number in range(20):
        scene.ask(put(b"a/%d" % number), ann, number % 3 + 1)
        scene.ask(put(b"b%d" % number), ann, number % 3 + 1)
        scene.ask(("auth_role_grant_permission", ["a", [WRITE, b"c%d" % number, b""]]), root)
        ann = scene.log_in("ann")
    states = {repr([*member.store.snapshot()]) for member in scene.members.values()}
    assert len(states) == 1
