"""Joins a client's channels with the stream to a container, whatever carries the channels.

Channels and their numbers are those of `k8s.io/apimachinery/pkg/util/remotecommand`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, Protocol

from k8sactors.api import streaming
from k8sactors.client.remote_stream import RemoteStream

STDIN: Final = 0
STDOUT: Final = 1
STDERR: Final = 2
ERROR: Final = 3
RESIZE: Final = 4
CHANNEL_OF: Final = {streaming.STDOUT: STDOUT, streaming.STDERR: STDERR}
MAX_TERMINAL: Final = 65_535


class Channels(Protocol):
    """The client's end."""

    async def send(self, channel: int, data: bytes) -> None:
        """Send to the client; waits while it is slow."""

    async def finish(self, status: Mapping[str, Any]) -> None:
        """Tell how it has ended, and close."""


async def send_output(remote: RemoteStream, channels: Channels) -> None:
    """Send what comes from the container until its end, and then how it has ended."""
    while (item := await remote.receive()) is not None:
        channel = CHANNEL_OF.get(item[0])
        if channel is not None:
            await channels.send(channel, item[1])
    await channels.finish(remote.result or {"metadata": {}, "status": "Success"})


async def resize(remote: RemoteStream, data: bytes) -> None:
    """The client's terminal has another size; what is malformed is ignored, as there."""
    try:
        size = json.loads(data)
    except ValueError:
        return
    if isinstance(size, dict):
        width, height = size.get("Width"), size.get("Height")
        if _is_size(width) and _is_size(height):
            await remote.send(streaming.RESIZE, [width, height])


def _is_size(number: object) -> bool:
    return type(number) is int and 0 < number <= MAX_TERMINAL
