"""The other end of the wire: `raftstore.client.StoreClient` on etcd's gRPC protocol.

A real etcd, or a served raftstore, is asked through the same client as a member in this process:
`Dialer` makes the connections that the client asks for, and everything above them (failover,
watches that resume, what may be sent twice) stays as it is. ::

    async with open_client("etcd://10.0.0.1:2379,10.0.0.2:2379") as client:
        await client.put(b"greeting", b"hello")
"""

from __future__ import annotations

from raftstore.gateway.client.channel import Call, Channel
from raftstore.gateway.client.dialing import Dialer, open_client
from raftstore.gateway.client.target import Target, TargetError, parse_target

__all__ = ["Call", "Channel", "Dialer", "Target", "TargetError", "open_client", "parse_target"]
