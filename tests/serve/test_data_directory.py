"""`k8sactors serve --data-dir`: what was acknowledged is there after the process was killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import ssl
import stat
import threading  # noqa: TID251 - the clients of another process
import time  # noqa: TID251 - a served cluster lives on real time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from k8sactors.cli.serve import serve
from k8sactors.cluster.data_directory import open_cluster_directory
from k8sactors.cluster.spec import ClusterSpec
from tests.serve.test_serve import Api, serving

CONFIG_MAPS = "/api/v1/namespaces/default/configmaps"
WRITERS = 4


class Writers:
    """Threads that create ConfigMaps as fast as they can, and note what was acknowledged."""

    def __init__(self, api: Api) -> None:
        self.acknowledged: dict[str, str] = {}
        self._api = api
        self._threads = [
            threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)
        ]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        connection = self._api.connect()
        for count in range(10_000):
            name = f"w{number}-{count}"
            body = json.dumps({"metadata": {"name": name}, "data": {"count": str(count)}})
            try:
                headers = {"content-type": "application/json"}
                connection.request("POST", CONFIG_MAPS, body, headers)
                response = connection.getresponse()
                created = json.loads(response.read())
            except (OSError, ValueError, ConnectionError):
                return
            if response.status == 201:
                self.acknowledged[name] = created["metadata"]["uid"]

    def join(self) -> None:
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(serve, list(arguments))


def time_of(api: Api) -> str:
    """What the cluster's clock shows."""
    body = {"metadata": {"name": "now"}}
    created = api.ask("POST", f"{CONFIG_MAPS}?dryRun=All", body)
    return str(created.body["metadata"]["creationTimestamp"])


def existing(api: Api) -> dict[str, Any]:
    items = api.ask("GET", CONFIG_MAPS).body["items"]
    return {item["metadata"]["name"]: item["metadata"]["uid"] for item in items}


def ready(url: str) -> int:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection(url.removeprefix("https://"), context=context)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status
    finally:
        connection.close()


def test_nothing_that_was_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    directory = tmp_path / "cluster"
    options = "--data-dir", str(directory), "--workers", "1", "--speed", "10"
    pod = {"metadata": {"name": "web"}, "spec": {"containers": [{"name": "a", "image": "nginx"}]}}
    pod_path = "/api/v1/namespaces/default/pods/web"
    with serving(*options, "--topology", "stacked", ends_with=-signal.SIGKILL) as first:
        assert first.ask("POST", pod_path.rpartition("/")[0], pod).code == 201
        assert sorted(first.own) == ["cp-1", "cp-2", "cp-3"]
        assert {ready(url) for url in first.own.values()} == {200}
        before = first.until(pod_path, lambda pod: pod["status"]["phase"] == "Running")
        writers = Writers(first)
        time.sleep(1.0)
        clock = time_of(first)
        os.kill(first.process.pid, signal.SIGKILL)
        writers.join()
    assert len(writers.acknowledged) > 10
    authority = (directory / "pki" / "ca.crt").read_bytes()
    # The topology is that of the directory.
    with serving(*options) as second:
        found = existing(second)
        # Clients would see the past.
        assert time_of(second) > clock
        missing = {name for name, uid in writers.acknowledged.items() if found.get(name) != uid}
        assert not missing
        running = second.until(
            pod_path,
            lambda pod: pod["status"].get("containerStatuses", [{}])[0].get("restartCount") == 1,
        )
        assert running["metadata"]["uid"] == before["metadata"]["uid"]
        refused = run(*options)
        assert refused.exit_code == 1
        assert f"{directory}: in use by process {second.process.pid}" in refused.stderr
    assert (directory / "pki" / "ca.crt").read_bytes() == authority
    kubeconfig = directory / "admin.conf"
    assert stat.S_IMODE(kubeconfig.stat().st_mode) == 0o600
    other = run(*options, "--topology", "single")
    assert other.exit_code == 1
    assert "topology 'stacked', not 'single'" in other.stderr


@pytest.mark.parametrize(
    ("file", "content", "words"),
    [
        ("notes.txt", "mine", "not empty, and not the directory of a cluster"),
        ("cluster.json", "{}", "holds a store of `raftstore serve`"),
        ("k8sactors.json", "{", "unreadable"),
        ("k8sactors.json", '{"format": 2, "topology": "single"}', "of an unknown format 2"),
        ("k8sactors.json", '{"format": 1, "topology": "ring"}', "of an unknown topology 'ring'"),
    ],
)
def test_a_directory_that_holds_something_else_is_left_alone(
    tmp_path: Path, file: str, content: str, words: str
) -> None:
    (tmp_path / file).write_text(content)
    refused = run("--port", "0", "--data-dir", str(tmp_path))
    assert refused.exit_code == 1
    assert words in refused.stderr
    assert [each.name for each in tmp_path.iterdir()] == [file]


def test_a_clock_that_is_damaged_is_refused_with_the_remedy(tmp_path: Path) -> None:
    directory = open_cluster_directory(tmp_path, ClusterSpec(topology="single", workers=1))
    directory.keep_clock_bound(17)
    assert directory.clock_bound_ns() == 17
    directory.release()
    (tmp_path / "clock.json").write_text("{}")
    refused = run("--port", "0", "--workers", "1", "--data-dir", str(tmp_path))
    assert refused.exit_code == 1
    assert f"{tmp_path}/clock.json: unreadable" in refused.stderr
    assert "remove it" in refused.stderr


def test_the_state_is_kept_in_one_place() -> None:
    refused = run("--data-dir", "somewhere", "--store", "etcd://127.0.0.1:1")
    assert refused.exit_code == 2
    assert "either in --data-dir or in --store" in refused.stderr


@pytest.mark.parametrize("speed", ["0", "-1", "5000", "fast"])
def test_a_speed_that_cannot_be_is_refused(speed: str) -> None:
    refused = run("--speed", speed)
    assert refused.exit_code == 2
    assert "--speed" in refused.stderr


def test_a_cluster_may_run_faster_than_its_clients() -> None:
    with serving("--speed", "20") as api:
        lease = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/worker-1"
        first = api.ask("GET", lease).body["spec"]["renewTime"]
        # The kubelet renews its lease every ten seconds of its own.
        api.until(lease, lambda lease: lease["spec"]["renewTime"] != first)
        # A watch ends in order when the server does.
        connection = api.connect()
        connection.request("GET", f"{CONFIG_MAPS}?watch=1")
        watch = connection.getresponse()
        os.kill(api.process.pid, signal.SIGTERM)
        watch.read()
        connection.close()
        assert api.process.wait(10) == 0
