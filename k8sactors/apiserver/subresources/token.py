"""The token subresource: a token of a ServiceAccount for who asks for it.

Source: TokenRequest in `authentication.k8s.io/v1`. A token can be bound to a Pod that runs under
the account, to a Secret or to a Node; it is then good as long as these exist.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final

from k8sactors.api import codec, errors, meta
from k8sactors.api.effects import KeyState
from k8sactors.api.errors import FIELD_VALUE_INVALID, Cause
from k8sactors.apiserver.authn.service_account import Bound
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.keys import key_of
from k8sactors.apiserver.subresource import CREATED, PostedSubresource, Writer

Object = dict[str, Any]

EXPIRATION_SECONDS: Final = 3600
EXPIRATION_MIN_SECONDS: Final = 600
EXPIRATION_MAX_SECONDS: Final = 1 << 32
_BOUND_KINDS: Final = {"Pod": "pod", "Secret": "secret", "Node": "node"}
_TOO_SHORT: Final = "may not specify a duration less than 10 minutes"
_TOO_LONG: Final = "may not specify a duration larger than 2^32 seconds"


class Token(PostedSubresource):
    """`token` of serviceaccounts."""

    name: ClassVar[str] = "token"
    api_version: ClassVar[str] = "authentication.k8s.io/v1"
    kind: ClassVar[str] = "TokenRequest"

    def carry_out(self, writer: Writer, call: Call, given: Object) -> None:
        """Issue a token."""
        del writer
        spec = given.get("spec") or {}
        seconds = spec.get("expirationSeconds")
        seconds = EXPIRATION_SECONDS if seconds is None else seconds
        self._check(call, seconds)
        account = _read(call, key_of("serviceaccounts", call.namespace, call.name))
        if account is None:
            raise errors.not_found(call.resource.info, call.name)
        reference = spec.get("boundObjectRef")
        bound = [] if reference is None else _bound(call, reference)
        tokens = call.environment.tokens
        audiences = spec.get("audiences") or list(tokens.audiences)
        token, expiration_ns = tokens.issue(account, audiences, seconds, bound)
        answer = {
            "kind": self.kind,
            "apiVersion": self.api_version,
            "metadata": {
                "name": call.name,
                "namespace": call.namespace,
                "creationTimestamp": call.environment.now(),
            },
            "spec": {
                "audiences": audiences,
                "expirationSeconds": seconds,
                "boundObjectRef": reference,
            },
            "status": {"token": token, "expirationTimestamp": meta.format_time(expiration_ns)},
        }
        call.succeed(CREATED, 0, codec.encode(answer))

    def _check(self, call: Call, seconds: int) -> None:
        text = ""
        if seconds < EXPIRATION_MIN_SECONDS:
            text = _TOO_SHORT
        elif seconds > EXPIRATION_MAX_SECONDS:
            text = _TOO_LONG
        if text:
            detail = f"Invalid value: {seconds}: {text}"
            cause = Cause("spec.expirationSeconds", FIELD_VALUE_INVALID, detail)
            raise errors.invalid(_TokenRequests(), call.name, [cause])


class _TokenRequests:
    group, plural, kind = "authentication.k8s.io", "tokenrequests", "TokenRequest"


def _read(call: Call, key: bytes) -> Object | None:
    state: KeyState | None = call.lookup(key)
    return None if state is None else codec.decode(state.value, 0)


def _bound(call: Call, reference: Object) -> list[Bound]:
    """What the token is to be bound to.

    Raises:
        StatusError: 400, it cannot be bound to that; 404, it is not there; 409, it is another one.
    """
    kind, name = reference.get("kind") or "", reference.get("name") or ""
    what = _BOUND_KINDS.get(kind)
    if what is None or reference.get("apiVersion") not in {"v1", None, ""}:
        shown = f"{reference.get('apiVersion') or ''}, Kind={kind}"
        raise errors.bad_request(f"cannot bind token to object of type {shown}")
    namespace = None if what == "node" else call.namespace
    obj = _read(call, key_of(f"{what}s", namespace, name))
    if obj is None:
        raise errors.not_found(f"{what}s", name)
    uid, wanted = obj["metadata"]["uid"], reference.get("uid")
    if wanted and wanted != uid:
        text = (
            f"the UID in the bound object reference ({wanted}) does not match the UID in record. "
            "The object might have been deleted and then recreated"
        )
        raise errors.conflict(f"{what}s", name, text)
    bound = [Bound(what, name, uid)]
    if what == "pod":
        spec = obj.get("spec") or {}
        if spec.get("serviceAccountName") != call.name:
            raise errors.bad_request(
                f'cannot bind token for serviceaccount "{call.name}" to pod running with different '
                "serviceaccount name."
            )
        bound += _node_of(call, spec.get("nodeName") or "")
    return bound


def _node_of(call: Call, name: str) -> list[Bound]:
    node = _read(call, key_of("nodes", None, name)) if name else None
    return [] if node is None else [Bound("node", name, node["metadata"]["uid"])]
