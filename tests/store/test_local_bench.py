"""The put benchmark commits what it claims, and reports what is promised."""

from __future__ import annotations

import json

from click.testing import CliRunner

from benches.store import main


def test_the_report_has_the_promised_keys_and_counts_every_put() -> None:
    result = CliRunner().invoke(main, ["--clients", "5", "--puts", "50", "--json"])
    assert result.exit_code == 0, result.output
    report = json.loads(result.stdout)
    assert report["puts"] == 50
    assert {"puts_per_second", "cpu_seconds", "latency_ms", "peak_rss_mb"} <= set(report)
    assert set(report["latency_ms"]) == {"p50", "p99"}


def test_impossible_work_is_refused() -> None:
    assert CliRunner().invoke(main, ["--clients", "0"]).exit_code == 2
