"""The benches over HTTPS at a small size, against one served cluster."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benches import https, relist
from benches.h2load import H2LOAD, WITHOUT_H2LOAD, LoadError
from benches.https_load import send
from benches.served_api import ServedApi, served_api

pytestmark = pytest.mark.skipif(H2LOAD is None, reason=WITHOUT_H2LOAD)


@pytest.fixture(scope="module")
def served() -> Iterator[ServedApi]:
    with served_api() as running:
        yield running


def test_lists_are_measured(served: ServedApi) -> None:
    figures = relist.measure(served, pods=20, clients=3)
    assert figures["pod_bytes"] == pytest.approx(relist.POD_BYTES, rel=0.1)
    for form in relist.FORMS:
        assert figures[form]["at_once"]["peak_rss_mb"] > figures["rss_before_mb"] / 2


def test_requests_and_watches_are_measured_and_a_slow_watcher_is_cut(served: ServedApi) -> None:
    figures = https.measure(served, 40, connections=2, streams=2, watchers=5, events=7)
    assert figures["get"]["per_second"] > 0
    assert figures["create"]["per_second"] > 0
    assert figures["watch"]["watches"] == 5
    slow = figures["slow_watcher"]
    assert slow["others_saw"] == slow["objects"]


def test_refusals_are_no_figures(served: ServedApi) -> None:
    with pytest.raises(LoadError, match="4 of 4 requests failed"):
        send(served, f"{https.CONFIG_MAPS}/absent", 4, connections=1)
