"""Acting as another user: the headers `Impersonate-*`, for those who have the verb `impersonate`.

Source: documentation of authentication, "User impersonation".
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from k8sactors.api.credentials import Impersonation
from k8sactors.api.user import UserInfo, service_account_of, service_account_user
from k8sactors.apiserver.authz.attributes import Attributes
from k8sactors.apiserver.authz.authorizer import Authorizer

_GROUP: Final = "authentication.k8s.io"
_VERB: Final = "impersonate"


def impersonated(user: UserInfo, wanted: Impersonation, authorizer: Authorizer) -> UserInfo:
    """The user that a request is from when `user` acts as another.

    Raises:
        StatusError: 403, one of the parts may not be taken.
    """
    for attributes in _asked(user, wanted):
        refusal = authorizer.refusal(attributes)
        if refusal is not None:
            raise refusal
    groups = wanted.groups
    account = service_account_of(wanted.user)
    if account is not None and not groups:
        groups = service_account_user(*account).groups
    taken = UserInfo(wanted.user, wanted.uid, groups, wanted.extra)
    return taken.authenticated()


def _asked(user: UserInfo, wanted: Impersonation) -> Iterator[Attributes]:
    account = service_account_of(wanted.user)
    if account is None:
        yield Attributes(user, _VERB, resource="users", name=wanted.user)
    else:
        namespace, name = account
        yield Attributes(user, _VERB, "", "serviceaccounts", namespace=namespace, name=name)
    for group in wanted.groups:
        yield Attributes(user, _VERB, resource="groups", name=group)
    for key, values in wanted.extra.items():
        for value in values:
            yield Attributes(user, _VERB, _GROUP, "userextras", key, name=value)
    if wanted.uid:
        yield Attributes(user, _VERB, _GROUP, "uids", name=wanted.uid)
