"""``/livez`` and ``/readyz``, as etcd 3.6 has them for Kubernetes' probes.

Each of the checks has a path of its own below (``/readyz/linearizable_read``). The answer is text:
``ok``, with ``?verbose`` a line for each check; what failed is always told. ``?exclude=`` leaves a
check out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import trio

from raftstore.auth.refusals import PERMISSION_DENIED, USER_EMPTY
from raftstore.errors import RaftStoreError, StoreError
from raftstore.gateway.endpoint import Endpoint
from raftstore.wire import RangeRequest

READ_TIMEOUT_S: Final = 5.0

Query = Mapping[str, list[str]]
Check = Callable[[Endpoint], Awaitable[str]]
"""Why the member is not well; "": it is."""


async def why_unread(endpoint: Endpoint, *, serializable: bool) -> str:
    """Why a read is not answered; "": it is.

    A client that may not read has been answered all the same.
    """
    request = RangeRequest(b"health", serializable=serializable)
    with trio.move_on_after(READ_TIMEOUT_S):
        try:
            await endpoint.caller.ask("range", request.to_wire())
        except StoreError as error:
            return "" if error.status in {USER_EMPTY, PERMISSION_DENIED} else error.message
        except RaftStoreError as error:
            return str(error)
        return ""
    return "timed out"


async def _own_read(endpoint: Endpoint) -> str:
    return await why_unread(endpoint, serializable=True)


async def _agreed_read(endpoint: Endpoint) -> str:
    return await why_unread(endpoint, serializable=False)


async def _corruption(endpoint: Endpoint) -> str:
    raised = endpoint.backend.statistics().get("alarms", ())
    return "alarm activated: CORRUPT" if "CORRUPT" in raised else ""


async def _learner(endpoint: Endpoint) -> str:
    return "not supported for learner" if endpoint.backend.statistics().get("is_learner") else ""


CHECKS: Final[dict[str, dict[str, Check]]] = {
    "/livez": {"serializable_read": _own_read},
    "/readyz": {
        "data_corruption": _corruption,
        "serializable_read": _own_read,
        "linearizable_read": _agreed_read,
        "non_learner": _learner,
    },
}


def checks_of(path: str) -> dict[str, Check]:
    """The checks behind a path; none: it is no probe's."""
    if path in CHECKS:
        return CHECKS[path]
    probe, _, name = path.rpartition("/")
    check = CHECKS.get(probe, {}).get(name)
    return {} if check is None else {name: check}


async def probe(endpoint: Endpoint, checks: dict[str, Check], query: Query) -> tuple[bool, str]:
    """Whether all is well, and what to say."""
    lines, well = "", True
    for name, check in checks.items():
        if len(checks) > 1 and name in query.get("exclude", ()):
            continue
        reason = await check(endpoint)
        lines += f"[-]{name} failed: {reason}\n" if reason else f"[+]{name} ok\n"
        well = well and not reason
    if not well:
        return False, lines + "\n"
    return True, (lines if "verbose" in query else "") + "ok\n"
