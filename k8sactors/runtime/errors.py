"""What a container runtime answers when it refuses.

CRIError  a runtime refused a call; carries the gRPC status name
"""

from __future__ import annotations


class CRIError(Exception):
    """A container runtime refused a call.

    Args:
        code: the gRPC status name, as the Container Runtime Interface uses it ("NotFound",
            "Unknown").
        message: the runtime's words, which end up in events and in container statuses.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"rpc error: code = {code} desc = {message}")
        self.code = code
        self.message = message
