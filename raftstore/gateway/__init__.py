"""The etcd v3 wire in front of store members: gRPC, JSON over HTTP, health and metrics.

Theory of operation. Every member has an endpoint of its own, as in etcd: what is asked there is
answered by that member, and choosing another one is the client's business. `raftstore.http` speaks
HTTP/1.1 and HTTP/2, and `app` hands each of its exchanges to one of these front doors::

    unary_calls   gRPC calls of one request and one answer, as long as nothing is special about them
    grpc          all other gRPC calls: length-prefixed protobuf, status in the trailers
    json_http     the same methods as grpc-gateway maps them: POST /v3/kv/put ...
    plain         /health, /livez, /readyz, /version, /metrics

All of them look methods up in `methods`, turn protobuf messages (`messages`, made from the tables
of `schema`) into the positional fields of `raftstore.wire` and back (`translation`), and ask the
member over its wire API (`caller`). Watches and lease keep-alives are streams: `watching`,
`streams`.
"""

from __future__ import annotations

from raftstore.gateway.app import Gateway
from raftstore.gateway.caller import Backend
from raftstore.gateway.serving import ServeOptions, bind, serve

__all__ = ["Backend", "Gateway", "ServeOptions", "bind", "serve"]
