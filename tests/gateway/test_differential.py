"""Sequences of any requests get the same answers from a served cluster and from a real etcd."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from tests.gateway import differential_watch
from tests.gateway.differential import SEQUENCES, Pair, Step
from tests.gateway.real import ETCD, WITHOUT_ETCD, real_etcd
from tests.gateway.served import start, stopping

EXAMPLES = "DIFFERENTIAL_EXAMPLES"
"""Set in the environment: so many sequences, other ones each time."""

pytestmark = pytest.mark.skipif(ETCD is None, reason=WITHOUT_ETCD)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    directory: Path = tmp_path_factory.mktemp("etcd")
    with (
        stopping(start("--port", "0", "--members", "1")) as ours,
        real_etcd(directory) as theirs,
    ):
        both = Pair(ours.url.removeprefix("http://"), theirs.endpoints[0])
        try:
            yield both
        finally:
            both.close()


@hypothesis.settings(
    max_examples=int(os.environ.get(EXAMPLES, "40")),
    deadline=None,
    report_multiple_bugs=False,
    derandomize=EXAMPLES not in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(sequence=SEQUENCES)
def test_both_answer_alike(pair: Pair, sequence: list[Step]) -> None:
    pair.run(sequence)


@hypothesis.settings(
    max_examples=int(os.environ.get(EXAMPLES, "40")) // 10,
    deadline=None,
    # Two seconds each: as it is found is good enough.
    phases=[hypothesis.Phase.generate],
    report_multiple_bugs=False,
    derandomize=EXAMPLES not in os.environ,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
@hypothesis.given(plan=differential_watch.plans())
def test_watches_on_one_stream_are_told_alike(pair: Pair, plan: differential_watch.Plan) -> None:
    differential_watch.run(pair, plan)
