"""Controllers and scheduler do what a real control plane was recorded to do (release 1.20).

Every case runs on a cluster of its own, on virtual time. Each accepted difference stands in
`accepted.py` and, with its reason, in docs/compatibility.md.
"""

from __future__ import annotations

import pytest

from k8sactors import simulation
from tests.golden import recordings
from tests.golden.accepted import is_accepted
from tests.golden.compare import differences
from tests.golden.replay import replay

if not recordings.present():
    pytest.skip(recordings.missing(), allow_module_level=True)


@pytest.mark.parametrize("name", recordings.names())
def test_the_cluster_does_what_the_real_control_plane_did(name: str) -> None:
    ours = simulation.run(replay, recordings.case(name), seed=1)
    found = differences(recordings.recorded(name), ours)
    assert [line for line in found if not is_accepted(name, line)] == []
