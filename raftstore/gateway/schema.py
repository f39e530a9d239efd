"""The public protobuf interface of etcd v3: messages, field numbers, enumerations.

One line per field, as a ``.proto`` file has it. ``in <name>`` after the number: the field belongs
to that oneof. The numbers are those of etcd's ``api/mvccpb/kv.proto`` and
``api/etcdserverpb/rpc.proto``; they are what makes both ends understand each other.
"""

from __future__ import annotations

from typing import Final

KV_ENUMS: Final = {"Event.EventType": ("PUT", "DELETE")}

KV_MESSAGES: Final = {
    "KeyValue": """
        bytes key = 1
        int64 create_revision = 2
        int64 mod_revision = 3
        int64 version = 4
        bytes value = 5
        int64 lease = 6
    """,
    "Event": """
        Event.EventType type = 1
        KeyValue kv = 2
        KeyValue prev_kv = 3
    """,
}

RPC_ENUMS: Final = {
    "AlarmType": ("NONE", "NOSPACE", "CORRUPT"),
    "RangeRequest.SortOrder": ("NONE", "ASCEND", "DESCEND"),
    "RangeRequest.SortTarget": ("KEY", "VERSION", "CREATE", "MOD", "VALUE"),
    "Compare.CompareResult": ("EQUAL", "GREATER", "LESS", "NOT_EQUAL"),
    "Compare.CompareTarget": ("VERSION", "CREATE", "MOD", "VALUE", "LEASE"),
    "WatchCreateRequest.FilterType": ("NOPUT", "NODELETE"),
    "AlarmRequest.AlarmAction": ("GET", "ACTIVATE", "DEACTIVATE"),
}

KV_SERVICE: Final = {
    "ResponseHeader": """
        uint64 cluster_id = 1
        uint64 member_id = 2
        int64 revision = 3
        uint64 raft_term = 4
    """,
    "RangeRequest": """
        bytes key = 1
        bytes range_end = 2
        int64 limit = 3
        int64 revision = 4
        RangeRequest.SortOrder sort_order = 5
        RangeRequest.SortTarget sort_target = 6
        bool serializable = 7
        bool keys_only = 8
        bool count_only = 9
        int64 min_mod_revision = 10
        int64 max_mod_revision = 11
        int64 min_create_revision = 12
        int64 max_create_revision = 13
    """,
    "RangeResponse": """
        ResponseHeader header = 1
        repeated mvccpb.KeyValue kvs = 2
        bool more = 3
        int64 count = 4
    """,
    "PutRequest": """
        bytes key = 1
        bytes value = 2
        int64 lease = 3
        bool prev_kv = 4
        bool ignore_value = 5
        bool ignore_lease = 6
    """,
    "PutResponse": """
        ResponseHeader header = 1
        mvccpb.KeyValue prev_kv = 2
    """,
    "DeleteRangeRequest": """
        bytes key = 1
        bytes range_end = 2
        bool prev_kv = 3
    """,
    "DeleteRangeResponse": """
        ResponseHeader header = 1
        int64 deleted = 2
        repeated mvccpb.KeyValue prev_kvs = 3
    """,
    "RequestOp": """
        RangeRequest request_range = 1 in request
        PutRequest request_put = 2 in request
        DeleteRangeRequest request_delete_range = 3 in request
        TxnRequest request_txn = 4 in request
    """,
    "ResponseOp": """
        RangeResponse response_range = 1 in response
        PutResponse response_put = 2 in response
        DeleteRangeResponse response_delete_range = 3 in response
        TxnResponse response_txn = 4 in response
    """,
    "Compare": """
        Compare.CompareResult result = 1
        Compare.CompareTarget target = 2
        bytes key = 3
        int64 version = 4 in target_union
        int64 create_revision = 5 in target_union
        int64 mod_revision = 6 in target_union
        bytes value = 7 in target_union
        int64 lease = 8 in target_union
        bytes range_end = 64
    """,
    "TxnRequest": """
        repeated Compare compare = 1
        repeated RequestOp success = 2
        repeated RequestOp failure = 3
    """,
    "TxnResponse": """
        ResponseHeader header = 1
        bool succeeded = 2
        repeated ResponseOp responses = 3
    """,
    "CompactionRequest": """
        int64 revision = 1
        bool physical = 2
    """,
    "CompactionResponse": """
        ResponseHeader header = 1
    """,
}

WATCH_SERVICE: Final = {
    "WatchRequest": """
        WatchCreateRequest create_request = 1 in request_union
        WatchCancelRequest cancel_request = 2 in request_union
        WatchProgressRequest progress_request = 3 in request_union
    """,
    "WatchCreateRequest": """
        bytes key = 1
        bytes range_end = 2
        int64 start_revision = 3
        bool progress_notify = 4
        repeated WatchCreateRequest.FilterType filters = 5
        bool prev_kv = 6
        int64 watch_id = 7
        bool fragment = 8
    """,
    "WatchCancelRequest": """
        int64 watch_id = 1
    """,
    "WatchProgressRequest": "",
    "WatchResponse": """
        ResponseHeader header = 1
        int64 watch_id = 2
        bool created = 3
        bool canceled = 4
        int64 compact_revision = 5
        string cancel_reason = 6
        bool fragment = 7
        repeated mvccpb.Event events = 11
    """,
}

LEASE_SERVICE: Final = {
    "LeaseGrantRequest": """
        int64 TTL = 1
        int64 ID = 2
    """,
    "LeaseGrantResponse": """
        ResponseHeader header = 1
        int64 ID = 2
        int64 TTL = 3
        string error = 4
    """,
    "LeaseRevokeRequest": """
        int64 ID = 1
    """,
    "LeaseRevokeResponse": """
        ResponseHeader header = 1
    """,
    "LeaseKeepAliveRequest": """
        int64 ID = 1
    """,
    "LeaseKeepAliveResponse": """
        ResponseHeader header = 1
        int64 ID = 2
        int64 TTL = 3
    """,
    "LeaseTimeToLiveRequest": """
        int64 ID = 1
        bool keys = 2
    """,
    "LeaseTimeToLiveResponse": """
        ResponseHeader header = 1
        int64 ID = 2
        int64 TTL = 3
        int64 grantedTTL = 4
        repeated bytes keys = 5
    """,
    "LeaseLeasesRequest": "",
    "LeaseStatus": """
        int64 ID = 1
    """,
    "LeaseLeasesResponse": """
        ResponseHeader header = 1
        repeated LeaseStatus leases = 2
    """,
}

MAINTENANCE_SERVICE: Final = {
    "AlarmRequest": """
        AlarmRequest.AlarmAction action = 1
        uint64 memberID = 2
        AlarmType alarm = 3
    """,
    "AlarmMember": """
        uint64 memberID = 1
        AlarmType alarm = 2
    """,
    "AlarmResponse": """
        ResponseHeader header = 1
        repeated AlarmMember alarms = 2
    """,
    "StatusRequest": "",
    "StatusResponse": """
        ResponseHeader header = 1
        string version = 2
        int64 dbSize = 3
        uint64 leader = 4
        uint64 raftIndex = 5
        uint64 raftTerm = 6
        uint64 raftAppliedIndex = 7
        repeated string errors = 8
        int64 dbSizeInUse = 9
        bool isLearner = 10
        string storageVersion = 11
        int64 dbSizeQuota = 12
    """,
    "DefragmentRequest": "",
    "DefragmentResponse": """
        ResponseHeader header = 1
    """,
    "HashKVRequest": """
        int64 revision = 1
    """,
    "HashKVResponse": """
        ResponseHeader header = 1
        uint32 hash = 2
        int64 compact_revision = 3
        int64 hash_revision = 4
    """,
    "HashRequest": "",
    "HashResponse": """
        ResponseHeader header = 1
        uint32 hash = 2
    """,
    "SnapshotRequest": "",
    "SnapshotResponse": """
        ResponseHeader header = 1
        uint64 remaining_bytes = 2
        bytes blob = 3
        string version = 4
    """,
    "MoveLeaderRequest": """
        uint64 targetID = 1
    """,
    "MoveLeaderResponse": """
        ResponseHeader header = 1
    """,
}

RPC_MESSAGES: Final = {
    **KV_SERVICE,
    **WATCH_SERVICE,
    **LEASE_SERVICE,
    **MAINTENANCE_SERVICE,
}
