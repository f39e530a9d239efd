"""What goes wrong in the network of a node, as one tree.

NetworkError
└── AddressPoolExhaustedError  the node's pod CIDR has no free address left
"""

from __future__ import annotations


class NetworkError(Exception):
    """Root of everything that k8sactors.network raises."""


class AddressPoolExhaustedError(NetworkError):
    """No address of the range is free."""
