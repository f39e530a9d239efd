"""The positional requests of `raftstore.wire` as gRPC calls: the gateway's tables read backwards.

The gateway turns messages into fields and answers into messages; here fields become messages and
answers fields. Requests of plain fields take the names from the gateway's own tables, so both ends
agree by construction; the others are written out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import attrs

from raftstore.gateway.auth_service import AUTH
from raftstore.gateway.cluster_service import CLUSTER
from raftstore.gateway.messages import message
from raftstore.gateway.methods import KV, LEASE, MAINTENANCE
from raftstore.gateway.translation import (
    COMPARED,
    DELETE_FIELDS,
    PUT_FIELDS,
    RANGE_FIELDS,
    Builder,
    Fields,
    Picker,
)
from raftstore.wire import OP_DELETE_RANGE, OP_PUT, OP_RANGE

ToMessage = Callable[[Fields], Any]
ToAnswer = Callable[[Any], Fields]

RangeRequest: Final = message("RangeRequest")
PutRequest: Final = message("PutRequest")
DeleteRangeRequest: Final = message("DeleteRangeRequest")
TxnRequest: Final = message("TxnRequest")
RequestOp: Final = message("RequestOp")
Compare: Final = message("Compare")


@attrs.frozen
class Codec:
    """How one request is asked over gRPC."""

    path: str
    to_message: ToMessage
    response: Any
    to_answer: ToAnswer

    def encode(self, fields: Fields) -> bytes:
        """The request as bytes."""
        data: bytes = self.to_message(fields).SerializeToString()
        return data

    def decode(self, data: bytes) -> Fields:
        """The fields of an answer."""
        return self.to_answer(self.response.FromString(data))


# Requests


def _plain_request(make: Any, names: tuple[str, ...]) -> ToMessage:
    return lambda fields: make(**dict(zip(names, fields, strict=False)))


range_request: Final = _plain_request(RangeRequest, RANGE_FIELDS)
put_request: Final = _plain_request(PutRequest, PUT_FIELDS)
delete_request: Final = _plain_request(DeleteRangeRequest, DELETE_FIELDS)


def txn_request(fields: Fields) -> Any:
    """TxnRequest, with the transactions in it."""
    compares, success, failure = fields
    return TxnRequest(
        compare=[_compare(compare) for compare in compares],
        success=[_operation(*operation) for operation in success],
        failure=[_operation(*operation) for operation in failure],
    )


def _compare(fields: Fields) -> Any:
    result, target, key, value, range_end = fields
    return Compare(
        result=result, target=target, key=key, range_end=range_end, **{COMPARED[target]: value}
    )


def _operation(number: int, fields: Fields) -> Any:
    if number == OP_RANGE:
        return RequestOp(request_range=range_request(fields))
    if number == OP_PUT:
        return RequestOp(request_put=put_request(fields))
    if number == OP_DELETE_RANGE:
        return RequestOp(request_delete_range=delete_request(fields))
    return RequestOp(request_txn=txn_request(fields))


# Answers


def header_fields(about: Any) -> Fields:
    """Fields of a ResponseHeader."""
    return [about.cluster_id, about.member_id, about.revision, about.raft_term]


def key_value_fields(kv: Any) -> Fields:
    """Fields of a KeyValue."""
    return [kv.key, kv.create_revision, kv.mod_revision, kv.version, kv.value, kv.lease]


def _all_key_values(kvs: Iterable[Any]) -> list[Fields]:
    return [key_value_fields(kv) for kv in kvs]


def range_answer(response: Any) -> Fields:
    """Fields of a RangeResponse."""
    kvs = _all_key_values(response.kvs)
    return [header_fields(response.header), kvs, response.more, response.count]


def put_answer(response: Any) -> Fields:
    """Fields of a PutResponse."""
    previous = key_value_fields(response.prev_kv) if response.HasField("prev_kv") else None
    return [header_fields(response.header), previous]


def delete_answer(response: Any) -> Fields:
    """Fields of a DeleteRangeResponse."""
    kvs = _all_key_values(response.prev_kvs)
    return [header_fields(response.header), response.deleted, kvs]


def txn_answer(response: Any) -> Fields:
    """Fields of a TxnResponse, with those of its operations."""
    responses = [_operation_answer(item) for item in response.responses]
    return [header_fields(response.header), response.succeeded, responses]


def _operation_answer(item: Any) -> Fields:
    kind = item.WhichOneof("response")
    number, to_answer = _OPERATION_ANSWERS[kind]
    return [number, to_answer(getattr(item, kind))]


_OPERATION_ANSWERS: Final[dict[str, tuple[int, ToAnswer]]] = {
    "response_range": (OP_RANGE, range_answer),
    "response_put": (OP_PUT, put_answer),
    "response_delete_range": (OP_DELETE_RANGE, delete_answer),
    "response_txn": (4, txn_answer),
}


def _plain_answer(names: tuple[str, ...]) -> ToAnswer:
    def answer(response: Any) -> Fields:
        fields = [getattr(response, name) for name in names]
        plain = [list(field) if _is_repeated(field) else field for field in fields]
        return [header_fields(response.header), *plain]

    return answer


def _is_repeated(field: Any) -> bool:
    return not isinstance(field, bool | int | str | bytes)


def _member_fields(member: Any) -> Fields:
    peer_urls, client_urls = list(member.peerURLs), list(member.clientURLs)
    return [member.ID, member.name, peer_urls, client_urls, member.isLearner]


def _members_answer(response: Any) -> Fields:
    members = [_member_fields(member) for member in response.members]
    return [header_fields(response.header), members]


def _member_added(response: Any) -> Fields:
    about, members = _members_answer(response)
    return [about, _member_fields(response.member), members]


def _leases_answer(response: Any) -> Fields:
    return [header_fields(response.header), [lease.ID for lease in response.leases]]


_WRITTEN_OUT: Final[dict[str, tuple[ToMessage | None, ToAnswer]]] = {
    "Range": (range_request, range_answer),
    "Put": (put_request, put_answer),
    "DeleteRange": (delete_request, delete_answer),
    "Txn": (txn_request, txn_answer),
    "MemberAdd": (None, _member_added),
    "MemberRemove": (None, _members_answer),
    "MemberUpdate": (None, _members_answer),
    "MemberList": (None, _members_answer),
    "MemberPromote": (None, _members_answer),
    "LeaseLeases": (None, _leases_answer),
}


def _codecs() -> dict[str, Codec]:
    found: dict[str, Codec] = {}
    for method in (*KV, *LEASE, *CLUSTER, *MAINTENANCE, *AUTH):
        to_message, to_answer = _WRITTEN_OUT.get(method.name, (None, None))
        if to_message is None:
            names = method.to_fields.names if isinstance(method.to_fields, Picker) else ()
            to_message = _plain_request(method.request, names)
        if to_answer is None and isinstance(method.from_fields, Builder):
            to_answer = _plain_answer(method.from_fields.names)
        if to_answer is not None and method.op:
            found[method.op] = Codec(method.path, to_message, method.response, to_answer)
    return found


CODECS: Final = _codecs()
"""By the name of the request."""
