"""The store benchmarks do what they claim, at any size, and report what is promised."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benches import etcd_client, h2load, served, store_catch_up, store_memory, store_vs_etcd
from benches.store import main

FIGURES = {"mode", "clients", "operations", "per_second", "cpu_seconds", "latency_ms", "transport"}


def figures(*arguments: str) -> dict[str, Any]:
    result = CliRunner().invoke(main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_the_report_has_the_promised_keys_and_counts_every_put() -> None:
    report = figures("--clients", "5", "--puts", "50")
    assert report["puts"] == 50
    assert FIGURES | {"puts_per_second", "peak_rss_mb"} <= set(report)
    assert set(report["latency_ms"]) == {"p50", "p99"}


@pytest.mark.parametrize("mode", ["range", "range-serializable", "txn", "mixed"])
def test_every_mode_carries_out_what_was_asked(mode: str) -> None:
    report = figures(mode, "--clients", "3", "--operations", "40")
    assert (report["mode"], report["clients"], report["operations"]) == (mode, 3, 40)


def test_every_watcher_gets_every_event_of_its_ranges() -> None:
    report = figures("watch", "--clients", "7", "--puts", "30", "--writers", "4")
    assert report["operations"] == 7 * 30
    report = figures("watch-own-ranges", "--clients", "7", "--puts", "30", "--writers", "4")
    assert report["operations"] == 27 + 7 * 3


def test_several_runs_stand_in_a_list() -> None:
    report = figures("put", "range", "--clients", "1", "--clients", "2", "--operations", "10")
    runs = [(run["mode"], run["clients"]) for run in report["runs"]]
    assert runs == [("put", 1), ("put", 2), ("range", 1), ("range", 2)]


def test_a_served_store_is_asked_over_grpc() -> None:
    report = figures("put", "--clients", "2", "--operations", "20", "--wire")
    assert (report["transport"], report["operations"]) == ("gRPC", 20)


@pytest.mark.skipif(served.ETCD is None, reason=served.WITHOUT_ETCD)
def test_a_real_etcd_is_asked_by_the_same_clients() -> None:
    arguments = ["--wire", "--with-etcd", "--clients", "2", "--operations", "20"]
    report = figures("range", *arguments)
    ratio = report["per_second"] / report["etcd_per_second"]
    assert report["ratio_to_etcd"] == pytest.approx(ratio, abs=0.001)


def test_memory_is_measured_after_every_phase_and_goes_down_with_a_compaction() -> None:
    arguments = ["--keys", "1000", "--clients", "100", "--json"]
    result = CliRunner().invoke(store_memory.main, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    blocks = {name: phase["python_blocks"] for name, phase in report["phases"].items()}
    assert blocks["compacted"] < blocks["overwritten"]
    assert blocks["compacted again"] < blocks["deleted"]
    assert report["peak_rss_mb"] >= report["phases"]["loaded"]["rss_mb"] > 0


def test_an_empty_member_catches_up_while_clients_continue() -> None:
    arguments = ["--history-gb", "0.001", "--before-s", "0.3", "--clients", "5", "--json"]
    result = CliRunner().invoke(store_catch_up.main, arguments)
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    # So short a history comes as a part of the log.
    assert report["transfer"]["seconds_to_catch_up"] > 0
    assert report["transfer"]["snapshots_installed"] == 0
    assert all(report[phase]["puts_per_second"] > 0 for phase in ("before", "during", "after"))


def test_an_empty_member_in_a_process_of_its_own_catches_up_as_well() -> None:
    arguments = ["--processes", "--history-gb", "0.001", "--before-s", "0.3", "--clients", "3"]
    result = CliRunner().invoke(store_catch_up.main, [*arguments, "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["transfer"]["seconds_to_catch_up"] > 0
    assert (report["transfer"]["terms_begun"], report["transfer"]["puts_failed"]) == (0, 0)
    assert len(report["after"]["cpu_percent_of_members"].split()) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--clients", "0"],
        ["get"],
        ["--wire", "--sync-latency-us", "5"],
        ["--with-etcd"],
    ],
)
def test_impossible_work_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


@pytest.mark.skipif(served.ETCD is None, reason=served.WITHOUT_ETCD)
@pytest.mark.skipif(h2load.H2LOAD is None, reason=h2load.WITHOUT_H2LOAD)
def test_both_sides_of_the_comparison_are_measured() -> None:
    arguments = ["--clients", "1", "--scale", "0.004", "--rounds", "1", "--wire", "--json"]
    arguments.append("--no-own-client")
    result = CliRunner().invoke(store_vs_etcd.main, arguments)
    assert result.exit_code == 0, result.output
    puts, ranges = json.loads(result.stdout)["rows"]
    assert (puts["mode"], puts["etcd"]["operations"]) == ("put", 20)
    assert puts["etcd_anchor_per_second"] == 1367
    ours, etcd = puts["raftstore"]["per_second"], puts["etcd"]["per_second"]
    assert (puts["ratio"], puts["ratio_to_anchor"]) == (
        round(ours / etcd, 2),
        round(ours / 1367, 2),
    )
    assert ranges["raftstore_over_grpc"]["per_second"] > 0
    assert puts["etcd_asked_by"] == "h2load"


@pytest.mark.skipif(served.ETCD is None, reason=served.WITHOUT_ETCD)
@pytest.mark.skipif(not etcd_client.is_available(), reason=etcd_client.WITHOUT_CLIENT)
def test_a_real_etcd_is_asked_by_its_own_client(tmp_path: Path) -> None:
    program = etcd_client.build(tmp_path)
    with served.real_etcd() as etcd:
        figures = etcd_client.ask(program, etcd.leader, "put", 12, 50, 256)
        assert (figures["operations"], figures["clients"]) == (50, 12)
        assert figures["latency_ms"]["p99"] >= figures["latency_ms"]["p50"] > 0
        with pytest.raises(etcd_client.ClientError, match="larger than max"):
            etcd_client.ask(program, etcd.leader, "put", 1, 1, 3 << 20)


def test_a_row_that_is_not_there_is_refused() -> None:
    result = CliRunner().invoke(store_vs_etcd.main, ["--clients", "5"])
    assert result.exit_code == 2
    assert "1, 100, 1000 clients" in result.output
