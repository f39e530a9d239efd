"""Errors of the fabric.

FabricError
├── DuplicateNameError  a host or an actor of that name exists
└── UnknownHostError    no host or actor of that name
"""

from __future__ import annotations


class FabricError(Exception):
    """Root of the fabric's errors."""


class DuplicateNameError(FabricError):
    """A host, or an actor on a host, of that name exists already."""


class UnknownHostError(FabricError):
    """No host, or no actor on the host, has that name."""
