"""What callers use: requests with endpoint failover, watches that resume, leases kept alive.

The core does no I/O: it is given `dial(endpoint, on_close)`, which returns a `Connection`, and
`after(delay_ns, callback)`, and runs in whatever turn those call it in. ::

    client = StoreClient(endpoints, dial, after)
    client.call(request, on_response, on_error, timeout_ns)         # in callbacks
    response = await client.put(b"key", b"value")                   # or in tasks
    watch = client.watch(WatchCreateRequest(...), on_events, on_cancel)

Promises. A read is tried again, on other endpoints, until its time is over. A write is tried again
only if it was certainly not proposed; if that is open it fails with `UnknownOutcomeError`. A watch
resumes where it was on the member that answers next, and gets each event once.
"""

from __future__ import annotations

from raftstore.client.connection import After, Connection, Dial, Message
from raftstore.client.core import StoreClient
from raftstore.client.keepalive import KeepAlive
from raftstore.client.watch import EventStream, Watch
from raftstore.clock import Timer

__all__ = [
    "After",
    "Connection",
    "Dial",
    "EventStream",
    "KeepAlive",
    "Message",
    "StoreClient",
    "Timer",
    "Watch",
]
