"""Messages of the Auth service, after etcd's ``api/authpb/auth.proto`` and ``rpc.proto``.

Written as in `raftstore.gateway.schema`.
"""

from __future__ import annotations

from typing import Final

AUTH_ENUMS: Final = {"Permission.Type": ("READ", "WRITE", "READWRITE")}

AUTH_MESSAGES: Final = {
    "UserAddOptions": """
        bool no_password = 1
    """,
    "Permission": """
        Permission.Type permType = 1
        bytes key = 2
        bytes range_end = 3
    """,
}

_HEADER_ONLY: Final = """
        ResponseHeader header = 1
    """

AUTH_SERVICE: Final = {
    "AuthEnableRequest": "",
    "AuthDisableRequest": "",
    "AuthStatusRequest": "",
    "AuthenticateRequest": """
        string name = 1
        string password = 2
    """,
    "AuthUserAddRequest": """
        string name = 1
        string password = 2
        authpb.UserAddOptions options = 3
        string hashedPassword = 4
    """,
    "AuthUserGetRequest": """
        string name = 1
    """,
    "AuthUserListRequest": "",
    "AuthUserDeleteRequest": """
        string name = 1
    """,
    "AuthUserChangePasswordRequest": """
        string name = 1
        string password = 2
        string hashedPassword = 3
    """,
    "AuthUserGrantRoleRequest": """
        string user = 1
        string role = 2
    """,
    "AuthUserRevokeRoleRequest": """
        string name = 1
        string role = 2
    """,
    "AuthRoleAddRequest": """
        string name = 1
    """,
    "AuthRoleGetRequest": """
        string role = 1
    """,
    "AuthRoleListRequest": "",
    "AuthRoleDeleteRequest": """
        string role = 1
    """,
    "AuthRoleGrantPermissionRequest": """
        string name = 1
        authpb.Permission perm = 2
    """,
    "AuthRoleRevokePermissionRequest": """
        string role = 1
        bytes key = 2
        bytes range_end = 3
    """,
    "AuthEnableResponse": _HEADER_ONLY,
    "AuthDisableResponse": _HEADER_ONLY,
    "AuthStatusResponse": """
        ResponseHeader header = 1
        bool enabled = 2
        uint64 authRevision = 3
    """,
    "AuthenticateResponse": """
        ResponseHeader header = 1
        string token = 2
    """,
    "AuthUserAddResponse": _HEADER_ONLY,
    "AuthUserGetResponse": """
        ResponseHeader header = 1
        repeated string roles = 2
    """,
    "AuthUserListResponse": """
        ResponseHeader header = 1
        repeated string users = 2
    """,
    "AuthUserDeleteResponse": _HEADER_ONLY,
    "AuthUserChangePasswordResponse": _HEADER_ONLY,
    "AuthUserGrantRoleResponse": _HEADER_ONLY,
    "AuthUserRevokeRoleResponse": _HEADER_ONLY,
    "AuthRoleAddResponse": _HEADER_ONLY,
    "AuthRoleGetResponse": """
        ResponseHeader header = 1
        repeated authpb.Permission perm = 2
    """,
    "AuthRoleListResponse": """
        ResponseHeader header = 1
        repeated string roles = 2
    """,
    "AuthRoleDeleteResponse": _HEADER_ONLY,
    "AuthRoleGrantPermissionResponse": _HEADER_ONLY,
    "AuthRoleRevokePermissionResponse": _HEADER_ONLY,
}
