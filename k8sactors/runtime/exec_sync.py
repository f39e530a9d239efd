"""Commands that the kubelet runs in a container for itself: probes and hooks (ExecSync).

What the container's userland has is really run, on the container's files and time. A command that
it does not have, as the client of a database, is taken to do what it says at once: `exit N` and
`false` fail, others succeed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from k8sactors.runtime.container_process import SHELLS, ContainerProcess
from k8sactors.runtime.pipes import Pipe
from k8sactors.runtime.programs import exec_exit_code, script_of
from k8sactors.runtime.sandboxes import Respond
from k8sactors.runtime.shell.builtins import BUILTINS
from k8sactors.runtime.tasks import TooManyTasksError
from k8sactors.simulation import Clock

# The kubelet reads no more of an answer (maxRespBodyLength of its prober).
OUTPUT_BYTES: Final = 10 << 10
_SEPARATORS: Final = re.compile(r"[;&|()\n{}]+|\b(?:if|then|elif|else|do|while|until|!)\b")
_WORDS_OF_THE_LANGUAGE: Final = frozenset({"fi", "done", "for", "case", "esac", "in"})


class _Collected:
    """Keeps the first bytes of what is written, and lets the writer never wait."""

    def __init__(self) -> None:
        self.data = bytearray()

    async def write(self, data: bytes) -> None:
        self.data += data[: OUTPUT_BYTES - len(self.data)]


def assumed(command: Sequence[str], respond: Respond) -> None:
    """Answer for a command that cannot be run."""
    exit_code = exec_exit_code(command)
    respond("", [exit_code, "" if exit_code == 0 else f"exit status {exit_code}"])


def can_run(command: Sequence[str], inside: ContainerProcess) -> bool:
    """Whether a container has each program that a command calls."""
    if not command:
        return False
    names = [command[0].rpartition("/")[2]]
    if names[0] in SHELLS:
        script = script_of(command)
        if script is None:
            return False
        names = _called(script)
    return all(name in BUILTINS or inside.find(name) is not None for name in names)


def run(
    command: list[str], inside: ContainerProcess, clock: Clock, timeout_ns: int, respond: Respond
) -> None:
    """Run a command; the answer is its exit code and output.

    After `timeout_ns` (0: never) the command is killed, and the answer is DeadlineExceeded.
    """
    collected, stdin = _Collected(), Pipe()
    stdin.end()
    inside.catch_up()
    process = inside.prepare(command, stdin, collected, collected)
    try:
        task = process.start()
    except TooManyTasksError:
        respond("Unknown", "cannot fork: too many processes")
        return
    late = False

    def ended(exit_code: int) -> None:
        if timer is not None:
            timer.cancel()
        if late:
            respond("DeadlineExceeded", "command timed out")
        else:
            respond("", [exit_code, collected.data.decode(errors="replace")])

    def out_of_time() -> None:
        nonlocal late
        late = True
        task.kill()

    timer = clock.after(timeout_ns, out_of_time) if timeout_ns else None
    task.when_ended(ended)
    inside.catch_up()


def _called(script: str) -> list[str]:
    """The first words of the commands of a script."""
    names = []
    for part in _SEPARATORS.split(script):
        words = [word for word in part.split() if not re.match(r"[A-Za-z_]\w*=", word)]
        if words and words[0] not in _WORDS_OF_THE_LANGUAGE and words[0][0] != "#":
            names.append(words[0].strip("'\"").rpartition("/")[2])
    return names
