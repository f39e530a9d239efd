"""The Auth service: accounts, and tokens for passwords."""

from __future__ import annotations

from typing import Any, Final

from raftstore.gateway.messages import message
from raftstore.gateway.method import Method, no_fields, unary
from raftstore.gateway.translation import (
    Fields,
    FromFields,
    ToFields,
    builder,
    header,
    picker,
)

SERVICE: Final = "Auth"
Permission: Final = message("Permission", "authpb")
RoleGetResponse: Final = message("AuthRoleGetResponse")


def _user_add_fields(request: Any) -> Fields:
    return [request.name, request.password, request.options.no_password]


def _grant_permission_fields(request: Any) -> Fields:
    if not request.HasField("perm"):
        return [request.name, None]
    permission = request.perm
    return [request.name, [permission.permType, permission.key, permission.range_end]]


def _role_get_response(fields: Fields) -> Any:
    about, permissions = fields
    return RoleGetResponse(
        header=header(about),
        perm=[
            Permission(permType=kind, key=key, range_end=range_end)
            for kind, key, range_end in permissions
        ],
    )


def _method(
    name: str, op: str, to_fields: ToFields, http_path: str, from_fields: FromFields | None = None
) -> Method:
    """The messages of most methods have the service's name in front."""
    types = name if name.startswith(SERVICE) else f"{SERVICE}{name}"
    answer = from_fields or builder(f"{types}Response")
    return unary(SERVICE, name, op, to_fields, answer, f"/v3/auth/{http_path}", types=types)


AUTH: Final = (
    _method("AuthEnable", "auth_enable", no_fields, "enable"),
    _method("AuthDisable", "auth_disable", no_fields, "disable"),
    _method(
        "AuthStatus",
        "auth_status",
        no_fields,
        "status",
        builder("AuthStatusResponse", "enabled", "authRevision"),
    ),
    _method(
        "Authenticate",
        "authenticate",
        picker("name", "password"),
        "authenticate",
        builder("AuthenticateResponse", "token"),
    ),
    _method("UserAdd", "auth_user_add", _user_add_fields, "user/add"),
    _method(
        "UserGet",
        "auth_user_get",
        picker("name"),
        "user/get",
        builder("AuthUserGetResponse", "roles"),
    ),
    _method(
        "UserList",
        "auth_user_list",
        no_fields,
        "user/list",
        builder("AuthUserListResponse", "users"),
    ),
    _method("UserDelete", "auth_user_delete", picker("name"), "user/delete"),
    _method(
        "UserChangePassword",
        "auth_user_change_password",
        picker("name", "password"),
        "user/changepw",
    ),
    _method("UserGrantRole", "auth_user_grant_role", picker("user", "role"), "user/grant"),
    _method("UserRevokeRole", "auth_user_revoke_role", picker("name", "role"), "user/revoke"),
    _method("RoleAdd", "auth_role_add", picker("name"), "role/add"),
    _method("RoleGet", "auth_role_get", picker("role"), "role/get", _role_get_response),
    _method(
        "RoleList",
        "auth_role_list",
        no_fields,
        "role/list",
        builder("AuthRoleListResponse", "roles"),
    ),
    _method("RoleDelete", "auth_role_delete", picker("role"), "role/delete"),
    _method(
        "RoleGrantPermission",
        "auth_role_grant_permission",
        _grant_permission_fields,
        "role/grant",
    ),
    _method(
        "RoleRevokePermission",
        "auth_role_revoke_permission",
        picker("role", "key", "range_end"),
        "role/revoke",
    ),
)
