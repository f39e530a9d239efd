"""Who asks: the record that authentication makes and that authorization, admission and audit use.

Its fields are those of `user.Info` in the real server and of `TokenReview.status.user`. The names
and groups are those of the certificates that kubeadm makes for the components of a control plane.
"""

from __future__ import annotations

from typing import Any, Final, Self

import attrs

from k8sactors.api.errors import bad_request

ANONYMOUS: Final = "system:anonymous"
UNAUTHENTICATED: Final = "system:unauthenticated"
AUTHENTICATED: Final = "system:authenticated"
# Members may do everything, whatever the roles say.
MASTERS: Final = "system:masters"
NODES: Final = "system:nodes"
SERVICE_ACCOUNTS: Final = "system:serviceaccounts"
_SERVICE_ACCOUNT: Final = "system:serviceaccount:"
FRONT_PROXY: Final = "front-proxy-client"


@attrs.frozen
class UserInfo:
    """A user: name, unique id, groups and what else the authenticator knows."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = attrs.field(factory=dict)

    def to_wire(self) -> list[Any]:
        """The fields in order, plain data."""
        return [self.name, self.uid, list(self.groups), self.extra]

    @classmethod
    def from_wire(cls, fields: Any) -> Self:
        """The user that `to_wire` took apart.

        Raises:
            StatusError: 400, the fields are not those of a user; the message says what is wrong.
        """
        if not isinstance(fields, list) or len(fields) != len(attrs.fields(cls)):
            raise bad_request("a user is a list of name, uid, groups and extra")
        name, uid, groups, extra = fields
        if not isinstance(name, str) or not name:
            raise bad_request("the name of a user is a string that is not empty")
        if not isinstance(uid, str):
            raise bad_request("the uid of a user is a string")
        if not _are_strings(groups):
            raise bad_request("the groups of a user are a list of strings")
        if not isinstance(extra, dict) or not all(
            isinstance(key, str) and _are_strings(values) for key, values in extra.items()
        ):
            raise bad_request("the extra fields of a user are lists of strings by name")
        return cls(name, uid, tuple(groups), extra)

    def authenticated(self) -> Self:
        """This user with the group of all who are, or are not, authenticated."""
        if AUTHENTICATED in self.groups or UNAUTHENTICATED in self.groups:
            return self
        group = UNAUTHENTICATED if self.name == ANONYMOUS else AUTHENTICATED
        return attrs.evolve(self, groups=(*self.groups, group))


def _are_strings(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(value, str) for value in values)


ANONYMOUS_USER: Final = UserInfo(ANONYMOUS, groups=(UNAUTHENTICATED,))
ADMIN_USER: Final = UserInfo("kubernetes-admin", groups=(MASTERS,))
API_SERVER_USER: Final = UserInfo("system:apiserver", groups=(MASTERS, AUTHENTICATED))
FRONT_PROXY_USER: Final = UserInfo(FRONT_PROXY)


def node_user(node_name: str) -> UserInfo:
    """The user of a node's kubelet."""
    return UserInfo(f"system:node:{node_name}", groups=(NODES,))


def service_account_user(
    namespace: str, name: str, uid: str = "", extra: dict[str, list[str]] | None = None
) -> UserInfo:
    """The user that a ServiceAccount is."""
    groups = (SERVICE_ACCOUNTS, f"{SERVICE_ACCOUNTS}:{namespace}")
    return UserInfo(f"{_SERVICE_ACCOUNT}{namespace}:{name}", uid, groups, extra or {})


def service_account_of(user_name: str) -> tuple[str, str] | None:
    """Namespace and name of the ServiceAccount that a user is; None: it is none."""
    if not user_name.startswith(_SERVICE_ACCOUNT):
        return None
    namespace, _, name = user_name.removeprefix(_SERVICE_ACCOUNT).partition(":")
    return (namespace, name) if namespace and name and ":" not in name else None
