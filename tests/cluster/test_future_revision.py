"""A list at a revision that the store has not reached."""

from __future__ import annotations

import pytest

from k8sactors import simulation
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster, ClusterSpec


@pytest.mark.parametrize("match", ["Exact", "NotOlderThan"])
def test_a_list_at_a_revision_to_come_is_504(match: str) -> None:
    async def main() -> StatusError:
        async with Cluster(ClusterSpec(topology="single", workers=1)) as cluster:
            with pytest.raises(StatusError) as caught:
                await cluster.client.list(
                    "configmaps",
                    "default",
                    resourceVersion="99999999",
                    resourceVersionMatch=match,
                )
            return caught.value

    error = simulation.run(main, seed=1)
    assert error.code == 504
    assert "Too large resource version" in error.message
    assert error.causes[0].reason == "ResourceVersionTooLarge"
