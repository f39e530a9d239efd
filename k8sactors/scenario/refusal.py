"""Requests that a scenario wants to be refused: what `fails` says, and whether it came so."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.scenario.binding import Integer, Struct, Text, setting
from k8sactors.scenario.errors import StepError
from k8sactors.scenario.result import StepResult

T = TypeVar("T")


@attrs.define
class Refusal:
    """The request must be refused."""

    code: int = setting(Integer(400, 599), "the status code, as in 409")
    reason: str | None = setting(Text(), "the reason, as in Conflict", default=None)
    message: str | None = setting(Text(), "the message contains this", default=None)


FAILS = Struct(Refusal, shorthand="code")


async def refused_or(
    request: Callable[[], Awaitable[T]], fails: Refusal | None, result: StepResult
) -> T | None:
    """The answer; None when the request was refused, as it had to be.

    Raises:
        StatusError: it was refused, and that was not wanted.
        StepError: it was not refused as it had to be.
    """
    try:
        answer = await request()
    except StatusError as error:
        if fails is None:
            raise
        problem = _misfit(error, fails)
        if problem:
            raise StepError(problem) from error
        result.detail.append(f"refused as expected: {error.code} {error.reason}: {error.message}")
        return None
    if fails is not None:
        raise StepError(f"expected a refusal with code {fails.code}, but the request succeeded")
    return answer


def _misfit(error: StatusError, fails: Refusal) -> str | None:
    told = f"{error.code} {error.reason}: {error.message}"
    if error.code != fails.code:
        return f"expected a refusal with code {fails.code}, got {told}"
    if fails.reason is not None and error.reason != fails.reason:
        return f"expected the reason {fails.reason}, got {told}"
    if fails.message is not None and fails.message not in error.message:
        return f"expected a message with {fails.message!r}, got {told}"
    return None
