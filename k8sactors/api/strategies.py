"""Strategies that several kinds share; those of a single kind stand next to its record."""

from __future__ import annotations

from k8sactors.api.strategy import Strategy


class StatusStrategy(Strategy):
    """A kind with a status subresource."""

    has_status = True


class WorkloadStrategy(Strategy):
    """A kind with status and generation."""

    has_status = True
    has_generation = True


class ReturnedStrategy(StatusStrategy):
    """A kind whose DELETE answers with the object."""

    returns_deleted = True


class CreatedByUpdateStrategy(Strategy):
    """A kind that PUT may create."""

    create_on_update = True


class SpecStrategy(Strategy):
    """A kind with generation and no status subresource."""

    has_generation = True
