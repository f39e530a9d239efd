"""What goes wrong on a node, as one tree.

NodeError
├── CRIError                   a runtime refused a call; carries the gRPC status name
└── AddressPoolExhaustedError  the node's pod CIDR has no free address left
"""

from __future__ import annotations


class NodeError(Exception):
    """Root of everything that k8sactors.node raises."""


class CRIError(NodeError):
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


class AddressPoolExhaustedError(NodeError):
    """No address of the range is free."""
