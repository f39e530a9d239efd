"""Errors of fault injection.

FaultError
└── UnknownFaultError   the catalogue has no fault of that kind
"""


class FaultError(Exception):
    """Root of the fault injection errors."""


class UnknownFaultError(FaultError):
    """The catalogue has no fault of that kind."""
