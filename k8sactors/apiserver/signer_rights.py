"""Whether a user may approve, sign or attest for a signer: a right by its name or its domain.

Source: documentation of certificate signing requests, "Authorization".
"""

from __future__ import annotations

from typing import Any

from k8sactors.api.user import UserInfo
from k8sactors.apiserver.authz.attributes import Attributes


def may_act_for_signer(authorizer: Any, user: UserInfo, verb: str, signer: str) -> bool:
    """Whether `verb` on the signer `DOMAIN/PATH`, or on `DOMAIN/*`, is allowed."""
    domain = signer.partition("/")[0]
    return any(
        authorizer.decide(
            Attributes(user, verb, "certificates.k8s.io", "signers", name=name)
        ).allowed
        for name in (signer, f"{domain}/*")
    )
