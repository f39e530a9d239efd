"""Logs, commands and connections, from the client to the container, on virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from k8sactors import simulation
from k8sactors.api import streaming
from k8sactors.api.errors import StatusError
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.runtime.process import Process

Object = dict[str, Any]


def pod(name: str, *containers: Object, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": list(containers), **spec},
    }


def shell(script: str, name: str = "main", **fields: Any) -> Object:
    return {"name": name, "image": "busybox", "command": ["sh", "-c", script], **fields}


def run(main: Callable[[Cluster], Awaitable[None]]) -> None:
    async def inside() -> None:
        async with Cluster(ClusterSpec(workers=1)) as cluster:
            await main(cluster)

    simulation.run(inside, seed=1)


async def wait_phase(cluster: Cluster, name: str, phase: str = "Running") -> None:
    async def missing() -> str | None:
        found = await cluster.client.get("pods", name, "default")
        return None if found["status"]["phase"] == phase else found["status"]["phase"]

    await cluster.wait_for(missing, f"pod {name} is {phase}")


async def logs(cluster: Cluster, name: str, **options: Any) -> str:
    request = streaming.connect("get", "pods", "default", name, "log", options)
    data = b""
    with cluster.client.connect(request) as stream:
        await stream.opened()
        while (item := await stream.receive()) is not None:
            data += item[1]
    return data.decode()


async def execute(
    cluster: Cluster, name: str, *command: str, stdin: bytes | None = None, **options: Any
) -> tuple[str, str, Object]:
    given = {"command": list(command), "stdout": True, "stderr": True, **options}
    given["stdin"] = stdin is not None
    request = streaming.connect("create", "pods", "default", name, "exec", given)
    output = {streaming.STDOUT: b"", streaming.STDERR: b""}
    with cluster.client.connect(request) as stream:
        await stream.opened()
        if stdin is not None:
            await stream.send_bytes(streaming.STDIN, stdin)
            await stream.send(streaming.STDIN_CLOSED, None)
        while (item := await stream.receive()) is not None:
            output[item[0]] += item[1]
        status = stream.result
        assert status is not None
    return output["stdout"].decode(), output["stderr"].decode(), status


def test_the_log_holds_what_the_program_has_printed_with_its_times() -> None:
    async def main(cluster: Cluster) -> None:
        script = "echo one; echo two >&2; sleep 5; echo three; sleep 3600"
        await cluster.client.create("pods", pod("a", shell(script)))
        await wait_phase(cluster, "a")
        assert await logs(cluster, "a") == "one\ntwo\n"
        await trio.sleep(6)
        assert await logs(cluster, "a") == "one\ntwo\nthree\n"
        assert await logs(cluster, "a", tailLines=1) == "three\n"
        assert await logs(cluster, "a", limitBytes=6) == "one\ntw"
        assert await logs(cluster, "a", sinceSeconds=4) == "three\n"
        assert await logs(cluster, "a", stream="Stderr") == "two\n"
        lines = (await logs(cluster, "a", timestamps=True)).splitlines()
        first, third = lines[0].split()[0], lines[2].split()[0]
        assert len(first) == len("2026-01-01T00:00:00.000000000Z")
        assert int(third[17:19]) - int(first[17:19]) in {5, -55}

    run(main)


def test_following_a_log_ends_with_the_container() -> None:
    async def main(cluster: Cluster) -> None:
        script = "for i in 1 2 3; do echo $i; sleep 1; done; exit 0"
        body = pod("a", shell(script), restartPolicy="Never")
        body["metadata"]["annotations"] = {"sim/run-seconds": "5"}
        await cluster.client.create("pods", body)
        await wait_phase(cluster, "a")
        assert await logs(cluster, "a", follow=True) == "1\n2\n3\n"
        await wait_phase(cluster, "a", "Succeeded")
        assert await logs(cluster, "a") == "1\n2\n3\n"

    run(main)


def test_the_log_of_the_container_before_a_restart_is_kept() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("echo $HOSTNAME; sleep 30; exit 3")))
        await wait_phase(cluster, "a")
        with pytest.raises(StatusError) as refusal:
            await logs(cluster, "a", previous=True)
        assert refusal.value.code == 400
        assert refusal.value.message == 'previous terminated container "main" in pod "a" not found'
        await trio.sleep(50)
        assert await logs(cluster, "a", previous=True) == "a\n"

    run(main)


@pytest.mark.parametrize(
    ("containers", "options", "code", "text"),
    [
        (
            [shell("sleep 1", "one"), shell("sleep 1", "two")],
            {},
            400,
            "a container name must be specified for pod a, choose one of: [one two]",
        ),
        ([shell("sleep 1")], {"container": "x"}, 400, "container x is not valid for pod a"),
        (
            [{"name": "main", "image": "missing/it"}],
            {},
            400,
            'container "main" in pod "a" is waiting to start: trying and failing to pull image',
        ),
        ([shell("sleep 1")], {"tailLines": -1}, 422, "must be greater than or equal to 0"),
    ],
    ids=["no name", "unknown", "waiting", "invalid"],
)
def test_a_log_that_is_not_there_says_why(
    containers: list[Object], options: Object, code: int, text: str
) -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", *containers))
        await trio.sleep(5)
        with pytest.raises(StatusError) as refusal:
            await logs(cluster, "a", **options)
        assert (refusal.value.code, text in refusal.value.message) == (code, True), refusal.value

    run(main)


def test_a_command_has_streams_files_environment_and_an_exit_code() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create(
            "configmaps",
            {"metadata": {"name": "c", "namespace": "default"}, "data": {"color": "red"}},
            "default",
        )
        env = [
            {"name": "PLAIN", "value": "x"},
            {"name": "BOTH", "value": "$(PLAIN)y"},
            {"name": "POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "COLOR", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "color"}}},
        ]
        await cluster.client.create("pods", pod("a", shell("echo hi >/root/f; sleep 1h", env=env)))
        await wait_phase(cluster, "a")
        script = "echo $PLAIN $BOTH $POD $COLOR; cat /root/f"
        out, _, status = await execute(cluster, "a", "sh", "-c", script)
        assert (out, status["status"]) == ("x xy a red\nhi\n", "Success")
        out, err, status = await execute(cluster, "a", "sh", "-c", "echo no >&2; exit 7")
        assert (out, err) == ("", "no\n")
        assert status["reason"] == "NonZeroExitCode"
        assert status["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]
        out, _, _ = await execute(cluster, "a", "cat", stdin=b"x" * 300_000)
        assert out == "x" * 300_000
        _, _, status = await execute(cluster, "a", "no-such-thing")
        assert 'exec: "no-such-thing": executable file not found in $PATH' in status["message"]

    run(main)


def test_a_registered_program_decides_how_its_container_ends() -> None:
    async def counter(process: Process) -> int:
        for number in range(3):
            await process.print(f"{number} {process.hostname}")
            await process.sleep(1)
        return 4

    async def main(cluster: Cluster) -> None:
        cluster.images.register("example.org/counter", counter)
        container = {"name": "main", "image": "example.org/counter:2"}
        await cluster.client.create("pods", pod("a", container, restartPolicy="Never"))
        await wait_phase(cluster, "a", "Failed")
        found = await cluster.client.get("pods", "a", "default")
        ended = found["status"]["containerStatuses"][0]["state"]["terminated"]
        assert ended["exitCode"] == 4
        assert await logs(cluster, "a") == "0 a\n1 a\n2 a\n"

    run(main)


def test_a_client_that_goes_ends_its_command() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("sleep 1h")))
        await wait_phase(cluster, "a")
        script = "echo begun; while true; do echo x >> /root/x; sleep 1; done"
        options = {"command": ["sh", "-c", script], "stdout": True}
        request = streaming.connect("create", "pods", "default", "a", "exec", options)
        with cluster.client.connect(request) as stream:
            await stream.opened()
            assert await stream.receive() == (streaming.STDOUT, b"begun\n")
            await trio.sleep(3)
        await trio.sleep(1)
        before, _, _ = await execute(cluster, "a", "cat", "/root/x")
        await trio.sleep(5)
        after, _, _ = await execute(cluster, "a", "cat", "/root/x")
        assert before == after != ""

    run(main)


def test_a_client_that_does_not_read_holds_the_program_up() -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("sleep 1h")))
        await wait_phase(cluster, "a")
        await execute(cluster, "a", "tee", "/root/big", stdin=b"x" * 100_000)
        script = "while true; do cat /root/big; echo >> /root/n; done"
        options = {"command": ["sh", "-c", script], "stdout": True}
        request = streaming.connect("create", "pods", "default", "a", "exec", options)
        with cluster.client.connect(request) as stream:
            await stream.opened()
            await trio.sleep(20)
            before, _, _ = await execute(cluster, "a", "wc", "-c", "/root/n")
            await trio.sleep(20)
            after, _, _ = await execute(cluster, "a", "wc", "-c", "/root/n")
            assert before == after

    run(main)


@pytest.mark.parametrize("fault", ["killed", "cut"])
def test_a_kubelet_that_is_not_reached_is_named(fault: str) -> None:
    async def main(cluster: Cluster) -> None:
        await cluster.client.create("pods", pod("a", shell("sleep 1h")))
        await wait_phase(cluster, "a")
        node = (await cluster.client.get("pods", "a", "default"))["spec"]["nodeName"]
        if fault == "killed":
            cluster.network.hosts[node].kill_actor("kubelet")
            problem = "connect: connection refused"
        else:
            cluster.network.cut(node, "cp-1")
            problem = "i/o timeout"
        with pytest.raises(StatusError) as refusal:
            await logs(cluster, "a")
        assert refusal.value.code == 500
        assert refusal.value.message.startswith('Get "https://10.')
        assert ':10250/containerLogs/default/a/main": dial tcp ' in refusal.value.message
        assert refusal.value.message.endswith(problem), refusal.value.message
        with pytest.raises(StatusError) as refusal:
            await execute(cluster, "a", "true")
        assert "error dialing backend: dial tcp " in refusal.value.message

    run(main)
