"""How a webhook authorizer is configured. Source: reference of AuthorizationConfiguration v1."""

from __future__ import annotations

from typing import Any, Final

import attrs

from k8sactors.simulation import SECOND

VERSIONS: Final = ("v1", "v1beta1")
TIMEOUT_S: Final = 30


@attrs.frozen
class WebhookAuthorizerOptions:
    """Who is asked (a `clientConfig`, as in a webhook configuration), what about, and how long.

    `conditions` are expressions in CEL over `request`, the review's spec: the program is asked only
    when all are true. When it cannot be asked, `denies_on_failure` refuses the request at once;
    else the next authorizer decides. Times are in nanoseconds, the timeout in seconds.
    """

    client: dict[str, Any] = attrs.field(hash=False)
    name: str = ""
    authorized_ttl_ns: int = 300 * SECOND
    unauthorized_ttl_ns: int = 30 * SECOND
    timeout_s: float = TIMEOUT_S
    version: str = VERSIONS[0]
    denies_on_failure: bool = False
    conditions: tuple[str, ...] = ()
