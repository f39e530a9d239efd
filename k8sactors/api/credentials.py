"""What a client shows over HTTP to say who it is, as the front door passes it on.

A bearer token, the subject of a certificate that the port has verified, and whom the client wants
to act as. The API server finds the user.
"""

from __future__ import annotations

from typing import Any, Self

import attrs

from k8sactors.api.errors import bad_request
from k8sactors.api.user import UserInfo


@attrs.frozen
class Impersonation:
    """Whom a client wants to act as (the headers `Impersonate-*`)."""

    user: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: dict[str, list[str]] = attrs.field(factory=dict)


@attrs.frozen
class Credentials:
    """What one request shows. Without anything its client is anonymous."""

    token: str = attrs.field(default="", repr=False)
    # The subject of a verified certificate.
    subject: UserInfo | None = None
    impersonation: Impersonation | None = None

    def to_wire(self) -> dict[str, Any]:
        """The fields that are set, plain data."""
        fields: dict[str, Any] = {}
        if self.token:
            fields["token"] = self.token
        if self.subject is not None:
            fields["subject"] = self.subject.to_wire()
        if self.impersonation is not None:
            wanted = self.impersonation
            fields["impersonate"] = [wanted.user, wanted.uid, list(wanted.groups), wanted.extra]
        return fields

    @classmethod
    def from_wire(cls, fields: Any) -> Self:
        """The credentials that `to_wire` took apart.

        Raises:
            StatusError: 400, they are malformed.
        """
        if not isinstance(fields, dict) or not isinstance(fields.get("token", ""), str):
            raise bad_request("credentials are a token, a subject and an impersonation")
        subject, wanted = fields.get("subject"), fields.get("impersonate")
        impersonation = None
        if wanted is not None:
            user = UserInfo.from_wire(wanted)
            impersonation = Impersonation(user.name, user.uid, user.groups, user.extra)
        known = None if subject is None else UserInfo.from_wire(subject)
        return cls(fields.get("token", ""), known, impersonation)
