"""What is inside of a container, without a cluster: shell, log, files, time."""

from __future__ import annotations

import pytest

from k8sactors.runtime.container_log import ContainerLog
from k8sactors.runtime.container_process import ContainerProcess, Surroundings
from k8sactors.runtime.cri import ContainerConfig
from k8sactors.runtime.filesystem import FILES_BYTES, Filesystem
from k8sactors.runtime.image_registry import ImageRegistry
from k8sactors.simulation import SECOND
from tests.kubelet.fakes import FakeClock

SCRIPTS = [
    ("echo a  b 'c  d' \"e  f\"", "a b c  d e  f\n"),
    ("x=1; y=$((x * 7 + 2)); echo $y ${z:-none} ${#y}", "9 none 1\n"),
    ("for i in 1 2 3; do if [ $i -eq 2 ]; then continue; fi; echo $i; done", "1\n3\n"),
    ("n=0; while [ $n -lt 3 ]; do n=$((n + 1)); done; echo $n", "3\n"),
    ("printf 'b\\na\\nb\\n' | sort -u | wc -l", "2\n"),
    ("false || echo or; true && echo and; ! false && echo not", "or\nand\nnot\n"),
    ("echo $(echo inner; echo more)", "inner more\n"),
    (
        "echo one > /root/f; echo two >> /root/f; cat < /root/f; rm /root/f; cat /root/f",
        "one\ntwo\n",
    ),
    ("(cd /etc; pwd); pwd", "/etc\n/\n"),
    ("seq 5 | grep -v 3 | head -2", "1\n2\n"),
    ("set -e; false; echo never", ""),
    ("sleep 1 & echo first; wait; echo last", "first\nlast\n"),
    ("mkdir -p /a/b; touch /a/b/c; cd /a/b; echo *; tar cf - . | tar tf -", "c\n.\n./c\n"),
    ("yes | head -1", "y\n"),
    ("echo 'not closed", ""),
]


def container(script: str, clock: FakeClock) -> ContainerProcess:
    config = ContainerConfig("main", 0, "busybox", ["sh", "-c", script], [], [], "app")
    where = Surroundings("default", "a", "10.244.1.2", clock.wall_ns())
    inside = ContainerProcess(config, where, ImageRegistry(), lambda: clock)
    inside.start_main()
    return inside


def printed(inside: ContainerProcess, stream: str = "stdout") -> str:
    lines = inside.log.lines(0)
    return b"".join(line.data for line in lines if line.stream == stream).decode()


@pytest.mark.parametrize(("script", "output"), SCRIPTS, ids=[script for script, _ in SCRIPTS])
def test_a_script_prints_what_a_shell_would(script: str, output: str) -> None:
    clock = FakeClock()
    inside = container(script, clock)
    clock.advance(10)
    inside.catch_up()
    assert printed(inside) == output


def test_a_late_look_sees_what_an_early_one_would() -> None:
    script = "while true; do date +%s; sleep 7; done"
    early_clock, late_clock = FakeClock(), FakeClock()
    early, late = container(script, early_clock), container(script, late_clock)
    early.catch_up()
    for _ in range(100):
        early_clock.advance(3)
    late_clock.advance(300)
    late.catch_up()
    assert early.log.lines(0) == late.log.lines(0)
    assert len(late.log.lines(0)) == 43


def test_a_program_that_never_waits_is_slowed_down() -> None:
    clock = FakeClock()
    inside = container("while true; do echo x; done", clock)
    clock.advance(60)
    inside.catch_up()
    assert 1_000 < len(inside.log.lines(0)) < 10_000


def test_the_end_of_a_container_ends_what_runs_in_it() -> None:
    clock = FakeClock()
    inside = container("printf begun; sleep 5; echo never", clock)
    clock.advance(2)
    inside.end(clock.wall_ns())
    clock.advance(10)
    inside.catch_up()
    assert printed(inside) == "begun"
    assert inside.log.ended


def test_a_log_keeps_its_newest_lines() -> None:
    log = ContainerLog(limit_bytes=100)
    for number in range(100):
        log.append(number, "stdout", f"line {number:03}\n".encode())
    assert log.size_bytes <= 100
    lines = log.lines(0)
    assert lines[-1].data == b"line 099\n"
    assert (log.first, log.end) == (100 - len(lines), 100)


def test_files_are_bounded() -> None:
    files = Filesystem(lambda: SECOND, {})
    files.write("/root/a", bytes(FILES_BYTES))
    with pytest.raises(OSError, match="No space left on device"):
        files.write("/root/b", b"x")
    files.remove("/root/a")
    files.write("/root/b", b"x")
    assert files.read("/root/b") == b"x"
