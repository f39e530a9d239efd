"""The zoo: each defect is caught by a check that is meant for it, the sound build passes."""

from __future__ import annotations

import json

import attrs
import pytest
from click.testing import CliRunner

from k8sactors.chaos.zoo.bug import Bug
from k8sactors.chaos.zoo.bugs import BUGS
from k8sactors.chaos.zoo.zoo import hunt
from k8sactors.cli.main import cli

# The defects that are caught within seconds. The others take longer than a test
# may; `make zoo` hunts them all.
QUICK = (3, 4, 8, 9, 10, 11, 13)
SEEDS = 60


@pytest.mark.covers("DC-08")
@pytest.mark.parametrize("number", QUICK)
def test_a_defect_is_caught_by_its_check_and_the_sound_build_passes(number: int) -> None:
    found = hunt(BUGS[number], SEEDS, fewest_control_seeds=1)
    assert found.finding is not None
    assert found.finding.check in BUGS[number].checks
    assert found.false_alarms == ()
    assert found.ok


def test_a_name_stands_for_one_pod_while_kubelets_restart_and_servers_lag() -> None:
    # Seed 20 put one pod on two kubelets when first lists could be stale.
    assert BUGS[14].campaign(20).findings == ()


@pytest.mark.parametrize("number", BUGS)
def test_a_defect_ends_with_its_block_even_after_an_error(number: int) -> None:
    bug = BUGS[number]
    sound = getattr(bug.owner, bug.function)
    with pytest.raises(KeyError):
        _fail_with(bug)
    assert getattr(bug.owner, bug.function) is sound


def _fail_with(bug: Bug) -> None:
    with bug.switched_on():
        assert getattr(bug.owner, bug.function) is bug.replacement
        raise KeyError


def test_the_command_tells_in_json_what_caught_a_defect() -> None:
    result = CliRunner().invoke(cli, ["zoo", "--bug", "3", "--seeds", "2", "--jobs", "1", "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.output)
    assert told["ok"]
    assert [(each["bug"], each["check"]) for each in told["bugs"]] == [(3, "single-vote")]


def test_the_command_fails_when_a_defect_is_not_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    bug = BUGS[3]
    harmless = attrs.evolve(bug, replacement=getattr(bug.owner, bug.function))
    monkeypatch.setitem(BUGS, 3, harmless)
    result = CliRunner().invoke(cli, ["zoo", "--bug", "3", "--seeds", "1", "--jobs", "1"])
    assert result.exit_code == 1
    assert "not caught" in result.output


def test_an_unknown_defect_is_bad_input() -> None:
    result = CliRunner().invoke(cli, ["zoo", "--bug", "99"])
    assert result.exit_code == 2
