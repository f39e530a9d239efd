"""Errors of fault injection.

FaultError
├── UnknownFaultError   the catalogue has no fault of that name
└── BadParametersError  a fault lacks a parameter, does not know one, or one has a wrong value
"""

from __future__ import annotations


class FaultError(Exception):
    """Root of the fault injection errors."""


class UnknownFaultError(FaultError):
    """The catalogue has no fault of that name."""


class BadParametersError(FaultError, ValueError):
    """A fault lacks a parameter, does not know one, or one has a wrong value."""
