"""Certificate signing requests (`certificates.k8s.io`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from k8sactors.api.columns import AGE, NAME, NONE, Column, field, human_duration, value_at
from k8sactors.api.effects import Effects
from k8sactors.api.field_labels import SelectableFields, texts
from k8sactors.api.kind import Kind, Object, Served
from k8sactors.api.strategies import StatusStrategy
from k8sactors.api.strategy import Request, carry
from k8sactors.api.validation import certificates as certificates_validation
from k8sactors.simulation import SECOND


class SigningRequestStrategy(StatusStrategy):
    """A signing request: it is the requester's, says who that is, and never changes."""

    def begin_create(self, request: Request, obj: Object) -> Effects:
        """The requester is the user who asks, whatever the object says."""
        user = request.user
        spec = {key: value for key, value in obj["spec"].items() if key not in _REQUESTER}
        spec["username"] = user.name
        if user.uid:
            spec["uid"] = user.uid
        if user.groups:
            spec["groups"] = list(user.groups)
        if user.extra:
            spec["extra"] = user.extra
        return Effects({**obj, "spec": spec})

    def prepare_for_update(self, new: Object, old: Object) -> None:
        """What is asked for stays."""
        super().prepare_for_update(new, old)
        carry(new, old, "spec")


# What the server alone says of a requester.
_REQUESTER = frozenset({"username", "uid", "groups", "extra"})


def _condition(request: Mapping[str, Any], _now_ns: int) -> str:
    kinds = [each.get("type") for each in value_at(request, "status.conditions", ())]
    decided = next((kind for kind in ("Denied", "Approved") if kind in kinds), "Pending")
    failed = ",Failed" if "Failed" in kinds else ""
    issued = ",Issued" if value_at(request, "status.certificate") else ""
    return f"{decided}{failed}{issued}"


def _duration(request: Mapping[str, Any], _now_ns: int) -> str:
    seconds = value_at(request, "spec.expirationSeconds")
    return NONE if seconds is None else human_duration(seconds * SECOND)


KINDS = (
    Kind(
        kind="CertificateSigningRequest",
        plural="certificatesigningrequests",
        columns=(
            NAME,
            AGE,
            field("SignerName", "spec.signerName", NONE),
            field("Requestor", "spec.username"),
            Column("RequestedDuration", _duration),
            Column("Condition", _condition),
        ),
        served=(Served("certificates.k8s.io", "v1"),),
        namespaced=False,
        subresources=("status", "approval"),
        short_names=("csr",),
        check=certificates_validation.check_signing_request,
        check_status=certificates_validation.check_signing_request_status,
        fields=SelectableFields(texts("spec.signerName")),
        strategy=SigningRequestStrategy,
    ),
)
