"""A cluster's state as a snapshot of etcd."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from k8sactors.cli.serve import serve
from k8sactors.cluster.errors import ClusterError
from k8sactors.cluster.snapshot_file import save_snapshot
from k8sactors.testing.cluster import K8sCluster, run_with
from raftstore.server.restore import read_state

CONFIG = "{apiVersion: v1, kind: ConfigMap, metadata: {name: kept}, data: {key: value-kept}}"


def test_a_saved_snapshot_has_all_objects_and_its_checksum(tmp_path: Path) -> None:
    cluster, file = K8sCluster(), tmp_path / "cluster.db"

    async def main() -> None:
        await cluster.apply(CONFIG)
        save_snapshot(cluster.assembly, file)
        with pytest.raises(ClusterError, match="cannot save the snapshot"):
            save_snapshot(cluster.assembly, tmp_path / "missing" / "cluster.db")

    run_with(cluster, main)
    state = b"".join(read_state(file, check_hash=True))
    assert b"/registry/configmaps/default/kept" in state
    assert b"value-kept" in state
    assert [each.name for each in tmp_path.iterdir()] == ["cluster.db"]


def test_serve_saves_no_snapshot_of_a_store_elsewhere() -> None:
    options = ["--snapshot", "cluster.db", "--store", "etcd://127.0.0.1:2379"]
    result = CliRunner().invoke(serve, options)
    assert result.exit_code == 2
    assert "save it from the etcd of --store" in " ".join(result.output.split())
