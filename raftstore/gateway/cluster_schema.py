"""Messages of the Cluster service, after etcd's ``api/etcdserverpb/rpc.proto``.

Written as in `raftstore.gateway.schema`.
"""

from __future__ import annotations

from typing import Final

_MEMBERS: Final = """
        ResponseHeader header = 1
        repeated Member members = 2
    """
_ID: Final = """
        uint64 ID = 1
    """

CLUSTER_SERVICE: Final = {
    "Member": """
        uint64 ID = 1
        string name = 2
        repeated string peerURLs = 3
        repeated string clientURLs = 4
        bool isLearner = 5
    """,
    "MemberAddRequest": """
        repeated string peerURLs = 1
        bool isLearner = 2
    """,
    "MemberAddResponse": """
        ResponseHeader header = 1
        Member member = 2
        repeated Member members = 3
    """,
    "MemberRemoveRequest": _ID,
    "MemberRemoveResponse": _MEMBERS,
    "MemberUpdateRequest": """
        uint64 ID = 1
        repeated string peerURLs = 2
    """,
    "MemberUpdateResponse": _MEMBERS,
    "MemberListRequest": """
        bool linearizable = 1
    """,
    "MemberListResponse": _MEMBERS,
    "MemberPromoteRequest": _ID,
    "MemberPromoteResponse": _MEMBERS,
}
