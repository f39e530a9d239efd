"""`k8sactors serve --restore`: a cluster that continues where a snapshot was saved."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from k8sactors.cli.serve import serve
from tests.serve.test_serve import Api, serving

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
TOKEN = "/api/v1/namespaces/kube-system/serviceaccounts/default/token"
REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-1"
EVENTS = "/api/v1/namespaces/default/events"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(serve, ["--port", "0", *arguments])


def created(api: Api, name: str) -> Any:
    answer = api.ask("POST", CONFIG_MAPS, {"metadata": {"name": name}, "data": {"a": name}})
    assert answer.code == 201
    return answer.body


def is_good(api: Api, token: str) -> bool:
    answer = api.ask("POST", REVIEWS, {"spec": {"token": token}})
    return bool(answer.body["status"].get("authenticated"))


def test_a_snapshot_brings_everything_back(tmp_path: Path) -> None:
    snapshot, directory = tmp_path / "saved.db", tmp_path / "cluster"
    with serving("--snapshot", str(snapshot), "--topology", "stacked") as first:
        before = created(first, "kept")
        event = {
            "metadata": {"name": "e"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        }
        assert first.ask("POST", EVENTS, event).code == 201
        lease = first.until(LEASE, lambda lease: "renewTime" in lease["spec"])
        token = first.ask("POST", TOKEN, {"spec": {}}).body["status"]["token"]
        last = created(first, "last")["metadata"]["resourceVersion"]
    options = "--data-dir", str(directory)
    with serving(*options, "--restore", str(snapshot), ends_with=-signal.SIGKILL) as second:
        # The topology is that of the snapshot.
        assert sorted(second.own) == ["cp-1", "cp-2", "cp-3"]
        assert second.ask("GET", f"{CONFIG_MAPS}/kept").body == before
        # An event has a lease of the store.
        assert second.ask("GET", f"{EVENTS}/e").code == 200
        found = second.ask("GET", LEASE).body
        assert found["metadata"]["uid"] == lease["metadata"]["uid"]
        assert is_good(second, token)
        later = created(second, "later")
        assert int(later["metadata"]["resourceVersion"]) > int(last)
        os.kill(second.process.pid, signal.SIGKILL)
    with serving(*options) as third:
        assert third.ask("GET", f"{CONFIG_MAPS}/kept").body == before
        assert third.ask("GET", f"{CONFIG_MAPS}/later").body == later
        assert is_good(third, token)
    again = run(*options, "--restore", str(snapshot))
    assert again.exit_code == 1
    assert "holds a cluster already; leave out --restore" in again.stderr


def test_without_a_directory_what_is_restored_is_gone_with_the_process(tmp_path: Path) -> None:
    snapshot = tmp_path / "saved.db"
    with serving("--snapshot", str(snapshot)) as first:
        before = created(first, "kept")
    # A start that was killed while it restored leaves this.
    with serving("--restore", str(snapshot)) as second:
        assert second.ask("GET", f"{CONFIG_MAPS}/kept").body == before
    companion = tmp_path / "saved.db.cluster"
    assert (companion / "pki" / "sa.key").stat().st_mode & 0o077 == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == ["saved.db", "saved.db.cluster"]


def test_a_restore_that_was_killed_begins_again(tmp_path: Path) -> None:
    snapshot, directory = tmp_path / "saved.db", tmp_path / "cluster"
    with serving("--snapshot", str(snapshot)) as first:
        before = created(first, "kept")
    (tmp_path / "cluster.restoring" / "cp-1").mkdir(parents=True)
    with serving("--restore", str(snapshot), "--data-dir", str(directory)) as second:
        assert second.ask("GET", f"{CONFIG_MAPS}/kept").body == before
    assert not (tmp_path / "cluster.restoring").exists()


@pytest.mark.parametrize(
    ("content", "words"), [(b"", "cannot restore"), (b"x" * 70_000, "cannot restore")]
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "bad.db").write_bytes(content)
    directory = tmp_path / "cluster"
    refused = run("--restore", str(tmp_path / "bad.db"), "--data-dir", str(directory))
    assert refused.exit_code == 1
    assert words in refused.stderr
    assert not directory.exists()


def test_the_store_of_others_is_restored_by_its_own_tools(tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_bytes(b"")
    refused = run("--restore", str(tmp_path / "bad.db"), "--store", "etcd://127.0.0.1:1")
    assert refused.exit_code == 2
    assert "--restore: restore it with etcdutl" in refused.stderr
    assert run("--restore", str(tmp_path / "missing.db")).exit_code == 2
