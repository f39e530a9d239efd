"""How fresh a read must be: the one place where that is decided.

Source: Kubernetes API concepts, "Resource versions" and "the resourceVersionMatch parameter";
consistent reads from the watch cache are KEP-2340. A server's cache may lag behind the store, and
behind other servers: which reads it may answer keeps a client from travelling back in time.
"""

from __future__ import annotations

import enum
from typing import Any, NamedTuple

from k8sactors.api import errors
from k8sactors.api.errors import Cause, StatusError


class Source(enum.Enum):
    """Where a read may be answered from."""

    ANY = enum.auto()  # whatever the cache holds
    NOT_OLDER = enum.auto()  # the cache, once it has reached a revision
    CURRENT = enum.auto()  # as new as the store is now
    EXACT = enum.auto()  # the store, at one revision


class Freshness(NamedTuple):
    """The demand of a read; `revision` belongs to NOT_OLDER and EXACT."""

    source: Source
    revision: int = 0


# The option of a watch that begins with what there is, and tells when that has been sent.
INITIAL_EVENTS = "sendInitialEvents"

# Of a revision: it has 63 bits.
MAX_DIGITS = 18

CURRENT = Freshness(Source.CURRENT)
ANY = Freshness(Source.ANY)


def required_freshness(options: dict[str, Any]) -> Freshness:
    """What the options of a get, list or watch demand.

    Unset: the most recent state. "0": any state, however old. N: not older than N; with a limit or
    resourceVersionMatch=Exact, the state at N.
    """
    text = options.get("resourceVersion")
    if not text:
        return CURRENT
    if text == "0":
        return ANY
    revision = parse_revision(text)
    match = options.get("resourceVersionMatch")
    if match == "Exact" or (not match and limit_of(options)):
        return Freshness(Source.EXACT, revision)
    return Freshness(Source.NOT_OLDER, revision)


def limit_of(options: dict[str, Any]) -> int:
    """How many objects a page of a list may hold; 0 for all of them, as for a negative limit."""
    return max(0, int(options.get("limit") or 0))


def parse_revision(text: Any) -> int:
    """A resourceVersion as a number.

    Raises:
        StatusError: 400, it is not one.
    """
    if isinstance(text, int):
        return text
    if isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= MAX_DIGITS:
        return int(text)
    raise errors.bad_request(f'invalid resource version "{text}": not a number')


def check_list_options(options: dict[str, Any]) -> None:
    """Refuse combinations that have no meaning for a list.

    Raises:
        StatusError: 400 or 422, as the real server answers.
    """
    match = options.get("resourceVersionMatch")
    version = options.get("resourceVersion")
    if options.get(INITIAL_EVENTS) is not None:
        raise _forbidden(INITIAL_EVENTS, f"{INITIAL_EVENTS} is forbidden for list")
    if not match:
        if options.get("continue") and version not in {None, "", "0"}:
            text = "specifying resource version is not allowed when using continue"
            raise errors.bad_request(text)
        return
    problem = ""
    if not version:
        problem = "resourceVersionMatch is forbidden unless resourceVersion is provided"
    elif options.get("continue"):
        problem = "resourceVersionMatch is forbidden when continue is provided"
    elif match == "Exact" and version == "0":
        problem = 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'
    if problem:
        raise _forbidden("resourceVersionMatch", problem)
    if match not in {"Exact", "NotOlderThan"}:
        raise _unknown_match(match, '"Exact", "NotOlderThan", ""')


def check_watch_options(options: dict[str, Any], *, lists: bool = True) -> None:
    """Refuse combinations that have no meaning for a watch.

    A watch with `sendInitialEvents` (KEP-3157) demands a freshness as a list does; `lists` tells
    whether that is switched on.

    Raises:
        StatusError: 422.
    """
    match = options.get("resourceVersionMatch")
    if options.get(INITIAL_EVENTS) is not None:
        if match != "NotOlderThan":
            text = f"{INITIAL_EVENTS} requires setting resourceVersionMatch to NotOlderThan"
            raise _forbidden("resourceVersionMatch", text)
        if not lists:
            text = f"{INITIAL_EVENTS} is forbidden for watch unless the WatchList feature gate is"
            raise _forbidden(INITIAL_EVENTS, f"{text} enabled")
    elif match:
        text = f"resourceVersionMatch is forbidden for watch unless {INITIAL_EVENTS} is provided"
        raise _forbidden("resourceVersionMatch", text)
    if match and options.get("continue"):
        text = "resourceVersionMatch is forbidden when continue is provided"
        raise _forbidden("resourceVersionMatch", text)


def _forbidden(field: str, detail: str) -> StatusError:
    return _invalid_options(Cause(field, "FieldValueForbidden", f"Forbidden: {detail}"))


def _unknown_match(match: Any, supported: str) -> StatusError:
    text = f'Unsupported value: "{match}": supported values: {supported}'
    return _invalid_options(Cause("resourceVersionMatch", "FieldValueNotSupported", text))


def _invalid_options(cause: Cause) -> StatusError:
    message = f'ListOptions.meta.k8s.io "" is invalid: {cause}'
    return StatusError(
        422, "Invalid", message, causes=[cause], group="meta.k8s.io", kind="ListOptions"
    )
