"""Tokens that another program knows: it is asked with a TokenReview, and its answers are kept.

As in the real server it is asked last, about tokens that no other method knows, and an answer holds
for two minutes. A program that does not answer proves nothing. Source: documentation of
authentication ("Webhook Token Authentication").
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import attrs

from k8sactors.api.errors import AnswerNeededError
from k8sactors.api.user import UserInfo
from k8sactors.apiserver.errors import InvalidTokenError
from k8sactors.simulation import SECOND

Object = dict[str, Any]

TIMEOUT_S: Final = 30
ANSWERS_MAX: Final = 10_000
# How long a program that has failed is not asked again about the same token.
_RETRY_NS: Final = SECOND


@attrs.frozen
class WebhookTokenOptions:
    """Who is asked (a `clientConfig`, as in a webhook configuration), and how long answers hold."""

    client: Object = attrs.field(hash=False)
    ttl_ns: int = 120 * SECOND


class Caller(Protocol):
    """What asks webhooks (`webhooks.calling.Caller`)."""

    def ask(
        self,
        config: Object,
        timeout_s: float,
        review: Object,
        done: Callable[[Any], None],
        fail: Callable[[Any], None],
    ) -> None:
        """Ask; exactly one of the two functions is called, in a later turn."""


class WebhookTokens:
    """Asks about tokens for one server."""

    def __init__(
        self, options: WebhookTokenOptions, caller: Caller, now_ns: Callable[[], int]
    ) -> None:
        self._options = options
        self._caller = caller
        self._now_ns = now_ns
        # By the hash of a token and audiences: the status that was answered, and until when it
        # holds.
        self._answers: dict[bytes, tuple[Any, int]] = {}

    def prove(self, token: str, audiences: Sequence[str]) -> tuple[UserInfo, list[str]]:
        """Whose token this is, and for which of the audiences it is good.

        Raises:
            InvalidTokenError: the program does not know it, or does not answer.
            AnswerNeededError: it has not been asked yet.
        """
        text = "\0".join((token, *audiences))
        key = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
        known = self._answers.get(key)
        if known is None or known[1] < self._now_ns():
            raise AnswerNeededError(lambda resume: self._ask(key, token, audiences, resume))
        return _proven(known[0], audiences)

    def _ask(
        self, key: bytes, token: str, audiences: Sequence[str], resume: Callable[[], None]
    ) -> None:
        review: Object = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "metadata": {},
            "spec": {"token": token, "audiences": list(audiences)},
        }

        def keep(status: Any, for_ns: int) -> None:
            if len(self._answers) >= ANSWERS_MAX:
                del self._answers[next(iter(self._answers))]
            self._answers[key] = (status, self._now_ns() + for_ns)
            resume()

        def done(answer: Any) -> None:
            status = answer.get("status") if isinstance(answer, dict) else None
            keep(status, self._options.ttl_ns)

        def failed(_error: Any) -> None:
            keep(None, _RETRY_NS)

        self._caller.ask(self._options.client, TIMEOUT_S, review, done, failed)


def _proven(status: Any, audiences: Sequence[str]) -> tuple[UserInfo, list[str]]:
    if not isinstance(status, dict) or status.get("authenticated") is not True:
        raise InvalidTokenError("the webhook does not know the token")
    user = status.get("user") or {}
    groups, extra = user.get("groups") or [], user.get("extra") or {}
    # A program that knows nothing of audiences answers none: the token is the server's then.
    stated = status.get("audiences")
    good = [each for each in audiences if not stated or each in stated]
    if not good or not isinstance(user.get("username"), str) or not user["username"]:
        raise InvalidTokenError("the answer of the webhook proves nothing")
    return UserInfo(user["username"], user.get("uid") or "", tuple(groups), extra), good
