"""Users, roles, passwords and tokens by themselves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from raftstore.auth import hash_password, refusals, verify_password
from raftstore.auth.accounts import Accounts
from raftstore.auth.policy import KEY_OPS, OPEN_OPS, Need, needs
from raftstore.auth.ranges import READ, READWRITE, WRITE
from raftstore.auth.tokens import TTL_NS, Tokens, digest
from raftstore.errors import Status, StoreError

HASH = hash_password("secret", bytes(16), cost=4)


def refusal(call: Callable[..., Any], *arguments: Any, **options: Any) -> Status:
    with pytest.raises(StoreError) as caught:
        call(*arguments, **options)
    return caught.value.status


def accounts() -> Accounts:
    made = Accounts()
    made.add_user("root", HASH, no_password=False)
    made.add_user("ann", HASH, no_password=False)
    made.add_role("reader")
    made.grant_permission("reader", (READ, b"a", b"c"))
    made.grant_role("ann", "reader")
    return made


def test_every_mistake_has_etcds_words() -> None:
    made = accounts()
    found = [
        refusal(made.add_user, "", HASH, no_password=False),
        refusal(made.add_user, "ann", HASH, no_password=False),
        refusal(made.delete_user, "bob"),
        refusal(made.change_password, "bob", HASH),
        refusal(made.grant_role, "bob", "reader"),
        refusal(made.grant_role, "ann", "writer"),
        refusal(made.revoke_role, "ann", "writer"),
        refusal(made.add_role, ""),
        refusal(made.add_role, "reader"),
        refusal(made.delete_role, "writer"),
        refusal(made.permissions, "writer"),
        refusal(made.grant_permission, "reader", None),
        refusal(made.grant_permission, "writer", (READ, b"a", b"")),
        refusal(made.revoke_permission, "reader", b"a", b""),
        refusal(made.enable),
        refusal(Accounts().enable),
    ]
    assert found == [
        refusals.USER_EMPTY,
        refusals.USER_ALREADY_EXISTS,
        refusals.USER_NOT_FOUND,
        refusals.USER_NOT_FOUND,
        refusals.USER_NOT_FOUND,
        refusals.ROLE_NOT_FOUND,
        refusals.ROLE_NOT_GRANTED,
        refusals.ROLE_EMPTY,
        refusals.ROLE_ALREADY_EXISTS,
        refusals.ROLE_NOT_FOUND,
        refusals.ROLE_NOT_FOUND,
        refusals.PERMISSION_NOT_GIVEN,
        refusals.ROLE_NOT_FOUND,
        refusals.PERMISSION_NOT_GRANTED,
        refusals.ROOT_ROLE_NOT_EXIST,
        refusals.ROOT_USER_NOT_EXIST,
    ]


def test_what_keeps_root_in_power_cannot_be_taken_away_while_it_counts() -> None:
    made = accounts()
    made.add_role("root")
    made.grant_role("root", "root")
    made.enable()
    for call, arguments in (
        (made.delete_user, ("root",)),
        (made.delete_role, ("root",)),
        (made.revoke_role, ("root", "root")),
    ):
        assert refusal(call, *arguments) == refusals.INVALID_AUTH_MANAGEMENT
    made.disable()
    made.revoke_role("root", "root")
    made.delete_role("root")
    made.delete_user("root")


def test_every_change_makes_a_revision_and_nothing_else_does() -> None:
    made = accounts()
    before = made.revision
    made.grant_role("ann", "reader")
    made.disable()
    refusal(made.add_role, "reader")
    assert made.revision == before
    made.grant_permission("reader", (WRITE, b"a", b"c"))
    assert made.revision == before + 1
    assert made.permissions("reader") == [(WRITE, b"a", b"c")]


def test_permissions_follow_every_change() -> None:
    made = accounts()
    assert made.permits("ann", READ, b"b", b"")
    assert not made.permits("ann", WRITE, b"b", b"")
    made.add_role("more")
    made.grant_permission("more", (READWRITE, b"c", b"e"))
    made.grant_role("ann", "more")
    assert made.permits("ann", READ, b"a", b"e")
    assert not made.permits("ann", WRITE, b"a", b"e")
    made.revoke_permission("reader", b"a", b"c")
    assert not made.permits("ann", READ, b"b", b"")
    made.delete_role("more")
    assert not made.permits("ann", READ, b"d", b"")
    assert made.user_roles("ann") == ["reader"]
    assert not made.permits("stranger", READ, b"d", b"")


def test_accounts_survive_a_snapshot() -> None:
    made, other = accounts(), Accounts()
    other.load(made.dump())
    assert other.dump() == made.dump()
    assert other.permits("ann", READ, b"b", b"")
    other.load(None)
    assert other.dump() == Accounts().dump()


def test_only_hashes_are_kept() -> None:
    made = accounts()
    add = made.add_user
    assert refusal(add, "bob", "plain", no_password=False) == refusals.INVALID_AUTH_MANAGEMENT
    assert refusal(made.change_password, "ann", "$$$") == refusals.INVALID_AUTH_MANAGEMENT
    add("cert", "whatever", no_password=True)
    assert made.users["cert"].password_hash == ""


def test_a_password_is_found_again_and_no_other() -> None:
    assert verify_password("secret", HASH)
    assert not verify_password("Secret", HASH)
    assert not verify_password("", HASH)
    assert not verify_password("secret", "")
    other = hash_password("secret", b"\1" * 16, cost=4)
    assert other != HASH
    assert "secret" not in HASH
    long = "x" * 100
    assert not verify_password(long[:72], hash_password(long, bytes(16), cost=4))


def test_a_token_lives_for_a_while_after_its_last_use() -> None:
    tokens = Tokens()
    tokens.assign(digest("t"), "ann", 0)
    assert tokens.user("t", TTL_NS - 1) == "ann"
    assert tokens.user("t", 2 * TTL_NS - 2) == "ann"
    assert tokens.user("t", 4 * TTL_NS) is None
    assert tokens.user("t", 0) is None
    assert len(tokens) == 0


def test_tokens_are_bounded_and_the_idle_go_first() -> None:
    tokens = Tokens(max_tokens=2)
    for number, name in enumerate("abc"):
        tokens.assign(digest(name), name, number)
        tokens.user("a", number)
    assert [tokens.user(name, 5) for name in "abc"] == ["a", None, "c"]
    tokens.drop_user("a")
    assert [tokens.user(name, 5) for name in "abc"] == [None, None, "c"]


def test_what_a_transaction_needs_counts_both_branches_and_what_is_nested() -> None:
    put = [2, [b"p", b"", 7, True, False, False]]
    delete = [3, [b"d", b"e", True]]
    get = [1, [b"g", b"\0", *[0] * 11]]
    inner = [4, [[], [get], []]]
    fields = [[[0, 3, b"k", b"v", b"l"]], [put], [delete, inner]]
    assert list(needs("txn", fields)) == [
        Need(READ, b"k", b"l"),
        Need(WRITE, b"p"),
        Need(WRITE, lease=7),
        Need(READ, b"p"),
        Need(WRITE, b"d", b"e"),
        Need(READ, b"d", b"e"),
        Need(READ, b"g", b"\0"),
    ]
    assert not KEY_OPS & OPEN_OPS
