from __future__ import annotations

import pytest

from k8sactors.runtime.cri import ContainerConfig
from k8sactors.runtime.images import Behaviour, default_pull_policy, lookup
from k8sactors.runtime.programs import NEVER_NS, Program, exec_exit_code, program_of
from k8sactors.simulation import SECOND


def container(
    image: str, *command: str, kind: str = "app", ports: tuple[int, ...] = ()
) -> ContainerConfig:
    return ContainerConfig("app", 0, image, list(command), [], list(ports), kind)


def test_an_unknown_image_is_a_server_on_its_container_ports() -> None:
    program = program_of(container("shop/web:1", ports=(8080,)), {})
    assert Program(ports=(8080,), stop_ns=100_000_000) == program


def test_a_known_image_listens_without_declared_ports() -> None:
    assert program_of(container("nginx:1.27"), {}).ports == (80,)
    assert 6379 in program_of(container("redis:alpine"), {}).ports


@pytest.mark.parametrize(
    ("script", "run_ns", "exit_code"),
    [
        ("exit 3", SECOND // 100, 3),
        ("sleep 5; exit 2", 5 * SECOND + SECOND // 100, 2),
        ("echo hello && sleep 1m", 60 * SECOND + SECOND // 100, 0),
        ("false", SECOND // 100, 1),
        ("while true; do sleep 1; done", None, 0),
        ("sleep infinity", None, 0),
    ],
)
def test_shell_scripts_end_as_they_say(script: str, run_ns: int | None, exit_code: int) -> None:
    program = program_of(container("busybox:1.36", "sh", "-c", script), {})
    assert (run_ns, exit_code) == (program.run_ns, program.exit_code)


def test_a_bare_command_is_read_like_a_script() -> None:
    assert (
        program_of(container("busybox", "sleep", "3600"), {}).run_ns
        == 3600 * SECOND + SECOND // 100
    )


@pytest.mark.parametrize(
    "script", ["until nc -z db 5432; do sleep 1; done", "while true; do :; done"]
)
def test_init_scripts_that_wait_end_well_after_a_second(script: str) -> None:
    program = program_of(container("busybox:1", "sh", "-exc", script, kind="init"), {})
    assert (program.run_ns, program.exit_code) == (SECOND, 0)


def test_init_container_of_an_unknown_image_ends_well() -> None:
    assert program_of(container("shop/migrate:1", kind="init"), {}).run_ns == SECOND


def test_annotations_overrule_the_image() -> None:
    annotations = {"sim/run-seconds": "0.5", "sim/exit-code": "2", "sim/stop-after": "never"}
    program = program_of(container("nginx:1"), annotations)
    assert (
        program.run_ns,
        program.exit_code,
        program.stop_ns,
        program.killable,
    ) == (SECOND // 2, 2, NEVER_NS, False)


def test_run_seconds_does_not_touch_init_containers() -> None:
    program = program_of(container("shop/x:1", kind="init"), {"sim/run-seconds": "60"})
    assert program.run_ns == SECOND


def test_only_the_catalogue_makes_an_image_missing() -> None:
    assert Behaviour.MISSING is lookup("missing/app:1").behaviour
    assert Behaviour.SERVER is lookup("registry.example/unheard-of").behaviour


def test_pull_policy_follows_the_tag() -> None:
    assert default_pull_policy("localhost:5000/web") == "Always"
    assert default_pull_policy("web:latest") == "Always"
    assert default_pull_policy("web@sha256:00") == "IfNotPresent"


def test_exec_reports_what_the_command_says() -> None:
    assert [
        exec_exit_code(command)
        for command in (["cat", "/ok"], ["/bin/false"], ["sh", "-c", "exit 4"], ["true"])
    ] == [0, 1, 4, 0]


def test_a_script_that_ends_in_a_program_is_a_server() -> None:
    script = "mkdir -p /data && exec httpd -f -p 8080"
    program = program_of(container("busybox:1", "sh", "-c", script, ports=(8080,)), {})
    assert (program.run_ns, program.ports, program.stop_ns) == (None, (8080,), 100_000_000)
    python = program_of(container("python:3", "python3", "-m", "http.server"), {})
    assert python.run_ns is None


def test_a_plain_tool_ends_in_any_image() -> None:
    assert (
        program_of(container("shop/tools:1", "sleep", "5"), {}).run_ns == 5 * SECOND + SECOND // 100
    )
    assert program_of(container("shop/tools:1", "/bin/false"), {}).exit_code == 1
