"""Messages of the Lock and Election services, after etcd's ``v3lock.proto``, ``v3election.proto``.

Written as in `raftstore.gateway.schema`.
"""

from __future__ import annotations

from typing import Final

LOCK_MESSAGES: Final = {
    "LockRequest": """
        bytes name = 1
        int64 lease = 2
    """,
    "LockResponse": """
        etcdserverpb.ResponseHeader header = 1
        bytes key = 2
    """,
    "UnlockRequest": """
        bytes key = 1
    """,
    "UnlockResponse": """
        etcdserverpb.ResponseHeader header = 1
    """,
}

ELECTION_MESSAGES: Final = {
    "CampaignRequest": """
        bytes name = 1
        int64 lease = 2
        bytes value = 3
    """,
    "LeaderKey": """
        bytes name = 1
        bytes key = 2
        int64 rev = 3
        int64 lease = 4
    """,
    "CampaignResponse": """
        etcdserverpb.ResponseHeader header = 1
        LeaderKey leader = 2
    """,
    "LeaderRequest": """
        bytes name = 1
    """,
    "LeaderResponse": """
        etcdserverpb.ResponseHeader header = 1
        mvccpb.KeyValue kv = 2
    """,
    "ResignRequest": """
        LeaderKey leader = 1
    """,
    "ResignResponse": """
        etcdserverpb.ResponseHeader header = 1
    """,
    "ProclaimRequest": """
        LeaderKey leader = 1
        bytes value = 2
    """,
    "ProclaimResponse": """
        etcdserverpb.ResponseHeader header = 1
    """,
}
