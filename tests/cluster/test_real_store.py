"""A cluster of actors whose state is in a real etcd, or in a served raftstore."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

from benches.ports import unused_ports
from k8sactors import simulation
from k8sactors.cli.main import cli
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.simulation import RealClock
from tests.gateway.real import ETCD, WITHOUT_ETCD, Etcd, real_etcd
from tests.gateway.served import start

ETCDCTL = shutil.which("etcdctl")
HEAD = "apiVersion: k8sactors/v1\nname: test\ndescription: A test.\n"
CLUSTER = "cluster: {topology: single, workers: 1}\n"
DEPLOYMENT = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "web"},
    "spec": {
        "replicas": 2,
        "selector": {"matchLabels": {"app": "web"}},
        "template": {
            "metadata": {"labels": {"app": "web"}},
            "spec": {"containers": [{"name": "web", "image": "nginx:1.27"}]},
        },
    },
}
STEPS = f"""steps:
  - apply: {{objects: [{json.dumps(DEPLOYMENT)}]}}
  - expect: {{that: [{{available: {{name: web}}}}]}}
"""


@pytest.fixture
def etcd(tmp_path: Path) -> Iterator[Etcd]:
    if ETCD is None:
        pytest.skip(WITHOUT_ETCD)
    with real_etcd(tmp_path) as running:
        yield running


@pytest.fixture
def raftstore_target() -> Iterator[str]:
    running = start("--port", "0", "--members", "1")
    assert running.process.stdout is not None
    with running.process.stdout:
        try:
            yield running.url.replace("http://", "etcd://")
        finally:
            running.process.kill()
            running.process.wait()


def scenario(tmp_path: Path, steps: str = STEPS) -> str:
    file = tmp_path / "scenario.yaml"
    file.write_text(HEAD + CLUSTER + steps)
    return str(file)


def call(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def keys_of(endpoint: str) -> list[str]:
    assert ETCDCTL is not None
    listed = subprocess.run(
        [ETCDCTL, "--endpoints", endpoint, "get", "--prefix", "/registry/", "--keys-only"],
        env={**os.environ, "ETCDCTL_API": "3"},
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return [line for line in listed.stdout.splitlines() if line]


@pytest.mark.parametrize("store", ["etcd", "raftstore"])
def test_a_deployment_becomes_available_and_is_kept_in_the_store(
    store: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if ETCDCTL is None:
        pytest.skip("etcdctl is not installed (Debian: apt-get install etcd-client)")
    if store == "etcd":
        target = request.getfixturevalue("etcd").target
    else:
        target = request.getfixturevalue("raftstore_target")
    result = call("run", scenario(tmp_path), "--store", target)
    assert result.exit_code == 0, result.output
    assert "1 store member" in result.output
    keys = keys_of(target.removeprefix("etcd://"))
    assert "/registry/deployments.apps/default/web" in keys
    assert sum(key.startswith("/registry/pods/default/web-") for key in keys) == 2
    assert "/registry/nodes/worker-1" in keys
    # A second cluster would find the objects of the first.
    again = call("run", scenario(tmp_path), "--store", target)
    assert again.exit_code == 1
    assert "objects of another cluster" in again.output
    assert "etcdctl del --prefix /registry/" in again.output


def test_the_cluster_continues_when_an_endpoint_of_three_dies(tmp_path: Path) -> None:
    if ETCD is None:
        pytest.skip(WITHOUT_ETCD)

    async def main() -> int:
        spec = ClusterSpec(topology="single", workers=1).on_store(etcd.endpoints)
        async with Cluster(spec) as cluster:
            await cluster.apply([DEPLOYMENT])
            await cluster.wait_available("deployments.apps/web")
            await trio.to_thread.run_sync(etcd.kill, 0)

            async def grow() -> str | None:
                # The patch may meet an election: its outcome is open then, and repeating harmless.
                change = {"spec": {"replicas": 4}}
                await cluster.client.patch("deployments.apps", "web", change, "default")
                return None

            # What is seen of this by scheduler, controllers and kubelets comes from watches.
            await cluster.wait_for(grow, "the deployment takes the change", timeout_s=40)
            await cluster.wait_available("deployments.apps/web", timeout_s=40)
            leader = cluster.store_leader()
            assert leader is not None
            assert leader[0] in {"etcd-2", "etcd-3"}
            return len((await cluster.client.list("pods", "default"))["items"])

    with real_etcd(tmp_path, 3) as etcd:
        assert simulation.run(main, clock=RealClock()) == 4


@pytest.mark.parametrize(
    ("url", "status", "answer"),
    [
        ("localhost:2379", 2, "has no scheme; write etcd://HOST:PORT"),
        ("http://127.0.0.1:2379", 2, "write etcd://127.0.0.1:2379"),
        ("etcd://127.0.0.1:none", 2, "'none' is no port"),
        ("etcd://{port}", 1, "Connection refused"),
        ("etcd://{port}", 1, "`raftstore serve`"),
    ],
)
def test_a_store_that_cannot_be_used_is_refused_with_a_remedy(
    tmp_path: Path, url: str, status: int, answer: str
) -> None:
    nothing = f"127.0.0.1:{unused_ports(1)[0]}"
    result = call("run", scenario(tmp_path), "--store", url.format(port=nothing))
    assert result.exit_code == status
    assert answer in result.output
    assert "Traceback" not in result.output


def test_tls_where_none_is_spoken_is_refused_with_what_is_wrong(
    tmp_path: Path, raftstore_target: str
) -> None:
    secure = raftstore_target.replace("etcd://", "etcds://")
    result = call("run", scenario(tmp_path), "--store", secure)
    assert (result.exit_code, "no TLS" in result.output) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "answer"),
    [
        (["--store", "etcd://h", "--store-cacert", "ca.crt"], "write --store etcds://"),
        (["--store-cert", "x"], "need --store etcds://"),
        (["--store", "etcds://h", "--store-cert", "x"], "--store-cert and --store-key go together"),
        (["--store", "etcds://h", "--store-cacert", "/no/such"], "cannot use /no/such"),
    ],
)
def test_certificates_that_cannot_be_meant_are_refused(
    tmp_path: Path, arguments: list[str], answer: str
) -> None:
    result = call("run", scenario(tmp_path), *arguments)
    assert (result.exit_code, answer in result.output) == (2, True), result.output


@pytest.mark.parametrize(
    "fault",
    [
        "kill-actor: store-leader",
        "kill-host: etcd-1",
        "pause-host: store-members",
        "restart-actor: cp-1/etcd",
        "kill-leader: {}",
        "disk-full: cp-1",
    ],
)
def test_faults_of_members_that_are_not_ours_are_refused_before_the_start(
    tmp_path: Path, fault: str
) -> None:
    file = scenario(tmp_path, f"steps: [{{inject: {{{fault}}}}}]\n")
    result = call("run", file, "--store", "etcd://127.0.0.1:1")
    assert result.exit_code == 2
    assert "with --store the members are no part of the cluster" in result.output
