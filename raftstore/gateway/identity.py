"""Whose token the request that is being served shows: ambient, as in gRPC's contexts.

Whatever asks the member on behalf of a request does so with that request's token, however many
functions lie between: none can forget to hand it on. Each request has a task of its own; tasks
that it starts inherit it.
"""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

_token: Final[ContextVar[str]] = ContextVar("token", default="")


def set_token(token: str) -> None:
    """From now on this task asks with this token; "": without one."""
    _token.set(token)


def current_token() -> str:
    """The token of the request that this task serves."""
    return _token.get()
