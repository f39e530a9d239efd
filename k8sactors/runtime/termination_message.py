"""What a container leaves behind for the reader of its status when it ends.

Source: "Determine the Reason for Pod Failure" (terminationMessagePath, terminationMessagePolicy).
"""

from __future__ import annotations

from typing import Final

from k8sactors.runtime.container_process import ContainerProcess
from k8sactors.runtime.sandboxes import Container

MESSAGE_BYTES: Final = 4096
LOG_BYTES: Final = 2048
LOG_LINES: Final = 80


def may_have_message(container: Container) -> bool:
    """Whether it is worth looking inside of a container that has ended.

    A program can write the message only if it was looked at, and so has run, or if its command
    names the file.
    """
    config = container.config
    path = config.termination_message_path
    named = bool(path) and any(path in word for word in (*config.command, *config.args))
    if container.inside is not None or named:
        return True
    return config.message_from_log and container.exit_code != 0


def message_of(inside: ContainerProcess, exit_code: int) -> str:
    """The message of a container that has ended; "" when there is none."""
    config = inside.config
    path = config.termination_message_path
    files = inside.machine.files
    text = b""
    if path and files.exists(path) and not files.is_directory(path):
        text = files.read(path)[:MESSAGE_BYTES]
    if not text and exit_code != 0 and config.message_from_log:
        log = inside.log
        lines = log.lines(max(log.first, log.end - LOG_LINES))
        text = b"".join(line.data for line in lines)[-LOG_BYTES:]
    return text.decode(errors="replace")
