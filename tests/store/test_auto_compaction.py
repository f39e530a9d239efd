"""History goes by itself: periodic and by revision, as etcd's compactors do it."""

from __future__ import annotations

import random  # noqa: TID251 - seeded by each test
from typing import Any

import attrs
import pytest
from click.testing import CliRunner

from raftstore.cli.main import main
from raftstore.errors import ConfigurationError
from raftstore.server.auto_compaction import HOUR_NS, AutoCompaction, Retention, parse_retention
from raftstore.server.bare import BareCluster
from raftstore.server.config import MemberConfig
from raftstore.units import SECOND

MINUTE = 60
MINUTE_NS = MINUTE * SECOND


def compactions(retention: Retention, seconds: int, *, per_second: int = 1) -> list[Any]:
    """(second, revision compacted at) of a leader that ticks each second, and writes."""
    compactor = AutoCompaction(retention, SECOND)
    found = []
    for second in range(1, seconds + 1):
        target = compactor.target(second, second * per_second, leading=True)
        if target:
            found.append((second, target))
    return found


def test_a_period_passes_before_the_first_compaction_then_one_comes_each_period() -> None:
    found = compactions(Retention("periodic", 5 * MINUTE_NS), 22 * MINUTE)
    assert [second // MINUTE for second, _ in found] == [5, 10, 15, 20]
    kept_seconds = [second - revision for second, revision in found]
    # etcd notes revisions ten times a period, so that up to a tenth more is kept.
    assert all(5 * MINUTE - 1 <= kept <= 5 * MINUTE * 11 // 10 for kept in kept_seconds)


def test_long_periods_are_compacted_every_hour() -> None:
    found = compactions(Retention("periodic", 3 * HOUR_NS), 6 * 3600)
    assert [second // 3600 for second, _ in found] == [3, 4, 5, 6]
    assert all(3 * 3600 - 1 <= second - revision <= 3.11 * 3600 for second, revision in found)


def test_the_newest_revisions_stay_in_the_mode_revision() -> None:
    assert compactions(Retention("revision", 1000), 16 * MINUTE, per_second=4) == [
        (5 * MINUTE, 4 * 5 * MINUTE - 1000),
        (10 * MINUTE, 4 * 10 * MINUTE - 1000),
        (15 * MINUTE, 4 * 15 * MINUTE - 1000),
    ]


def test_nothing_is_compacted_where_nothing_was_written_since() -> None:
    compactor = AutoCompaction(Retention("periodic", MINUTE_NS), SECOND)
    targets = [compactor.target(second, 7, leading=True) for second in range(1, 600)]
    assert [target for target in targets if target] == [7]


def test_a_follower_only_notes_and_continues_at_once_when_it_leads() -> None:
    compactor = AutoCompaction(Retention("periodic", MINUTE_NS), SECOND)
    for second in range(1, 120):
        assert compactor.target(second, second, leading=False) == 0
    assert 120 - 67 <= compactor.target(120, 120, leading=True) <= 60


@pytest.mark.parametrize(
    ("mode", "text", "amount"),
    [
        ("periodic", "0", 0),
        ("periodic", "2", 2 * HOUR_NS),
        ("periodic", "5m", 5 * MINUTE_NS),
        ("periodic", "1h30m", 90 * MINUTE_NS),
        ("periodic", "1.5s", 1500 * 10**6),
        ("revision", "1000", 1000),
    ],
)
def test_retentions_are_read_as_etcd_does(mode: str, text: str, amount: int) -> None:
    assert parse_retention(mode, text) == Retention(mode, amount)


@pytest.mark.parametrize(
    ("mode", "text"), [("periodic", "x"), ("periodic", "5 m"), ("periodic", ""), ("revision", "5m")]
)
def test_other_retentions_are_refused(mode: str, text: str) -> None:
    with pytest.raises(ConfigurationError, match="auto-compaction-retention"):
        parse_retention(mode, text)
    arguments = ["serve", "--auto-compaction-mode", mode, "--auto-compaction-retention", text]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "auto-compaction-retention" in result.output


def test_the_leader_compacts_for_all_members_with_accounts_as_well() -> None:
    retention = Retention("periodic", 60 * SECOND)

    def configure(config: MemberConfig) -> MemberConfig:
        return attrs.evolve(config, auto_compaction=retention)

    cluster = BareCluster(3, random.Random, configure=configure)
    cluster.advance(30)
    leader = cluster.leader().id
    assert cluster.call(leader, "auth_user_add", ["root", "secret", False])[0] == 0
    assert cluster.call(leader, "auth_user_grant_role", ["root", "root"])[0] == 0
    for number in range(100):
        cluster.call(leader, "put", [b"k", b"%d" % number, 0, False, False, False])
    assert cluster.call(leader, "auth_enable", [])[0] == 0
    cluster.advance(1_300)
    revisions = {member.store.compact_revision for member in cluster.members.values()}
    assert revisions == {101}
    assert {len(member.store.space.history) for member in cluster.members.values()} == {1}
