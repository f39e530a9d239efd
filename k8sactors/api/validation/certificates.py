"""Rules for certificate signing requests.

Source: documentation of certificate signing requests, and `pkg/apis/certificates/validation`.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from k8sactors.api.validation import names
from k8sactors.api.validation.fields import Causes, Object, forbidden, invalid, required

APPROVED: Final = "Approved"
DENIED: Final = "Denied"
EXPIRATION_SECONDS_MIN: Final = 600
_FORM: Final = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
_DOMAIN_LABELS_MIN: Final = 2
_PEM: Final = re.compile(
    rb"\s*-----BEGIN ([A-Z0-9 ]+)-----\r?\n(.*?)-----END \1-----\s*", re.DOTALL
)
_PEM_TYPE: Final = b"CERTIFICATE REQUEST"
_SEQUENCE: Final = 0x30
_LONG_LENGTH: Final = 0x80
# 2.5.4.10, organizationName.
_ORGANISATION: Final = b"\x55\x04\x0a"


def check_signing_request(obj: Object, causes: Causes) -> None:
    """A CertificateSigningRequest."""
    spec = obj.get("spec") or {}
    problem = _request_problem(spec.get("request") or "")
    if problem:
        causes.append(invalid("spec.request", spec.get("request") or "", problem))
    if not spec.get("usages"):
        causes.append(required("spec.usages"))
    _check_signer_name(spec.get("signerName") or "", causes)
    seconds = spec.get("expirationSeconds")
    if seconds is not None and seconds < EXPIRATION_SECONDS_MIN:
        text = f"may not specify a duration less than {EXPIRATION_SECONDS_MIN} seconds (10 minutes)"
        causes.append(invalid("spec.expirationSeconds", seconds, text))


def check_signing_request_status(old: Object, new: Object, causes: Causes) -> None:
    """A decision is made and kept under `approval` alone."""
    before, after = _decisions(old), _decisions(new)
    for word, changed in (("add", after - before), ("remove", before - after)):
        for kind in sorted(changed):
            text = f'updates may not {word} a condition of type "{kind}"'
            causes.append(forbidden("status.conditions", text))


def _decisions(obj: Object) -> set[str]:
    conditions = (obj.get("status") or {}).get("conditions") or ()
    return {each.get("type") for each in conditions} & {APPROVED, DENIED}


def _request_problem(text: str) -> str:
    """Why it is not a certificate request in PEM, in base64; "": it is one."""
    try:
        block = _PEM.fullmatch(base64.b64decode(text, validate=True))
        if block is None or block[1] != _PEM_TYPE:
            return "PEM block type must be CERTIFICATE REQUEST"
        body = base64.b64decode(b"".join(block[2].split()), validate=True)
    except binascii.Error as error:
        return str(error)
    return "" if _is_sequence(body) else "asn1: structure error: not a sequence"


def _is_sequence(data: bytes) -> bool:
    """Whether it is one whole ASN.1 sequence in DER (ITU-T X.690, section 8.1)."""
    if len(data) < 2 or data[0] != _SEQUENCE:  # noqa: PLR2004 - a tag and a length
        return False
    length, start = data[1], 2
    if length & _LONG_LENGTH:
        start += length & ~_LONG_LENGTH
        length = int.from_bytes(data[2:start])
    return start + length == len(data)


def _check_signer_name(name: str, causes: Causes) -> None:
    field = "spec.signerName"
    if not name:
        causes.append(required(field))
        return
    domain, slash, path = name.partition("/")
    if not slash or "/" in path:
        causes.append(invalid(field, name, _FORM))
        return
    labels = domain.split(".")
    for label in labels:
        for complaint in names.dns1123_label(label):
            causes.append(invalid(field, domain, f'validating label "{label}": {complaint}'))
    if len(labels) < _DOMAIN_LABELS_MIN:
        text = "should be a domain with at least two segments separated by dots"
        causes.append(invalid(field, domain, text))
    for complaint in names.dns1123_subdomain(path):
        causes.append(invalid(field, path, f'validating label "{path}": {complaint}'))


def requested_groups(text: str) -> list[str]:
    """The organisations in the subject of a request, which are the groups of a client.

    `text` is a valid `spec.request`. Source: RFC 2986, section 4 (CertificationRequestInfo).
    """
    block = _PEM.fullmatch(base64.b64decode(text))
    if block is None:
        return []
    request = base64.b64decode(b"".join(block[2].split()))
    parts = _elements(request)
    for _ in range(2):  # into the request, then into its information
        parts = _elements(parts[0]) if parts else []
    # The information: a version, the subject, the key. A subject is a list of sets of attributes.
    subject = parts[1] if len(parts) > 1 else b""
    attributes = [_elements(each) for names in _elements(subject) for each in _elements(names)]
    return [
        each[1].decode("utf-8", "replace")
        for each in attributes
        if len(each) > 1 and each[0] == _ORGANISATION
    ]


def _elements(data: bytes) -> list[bytes]:
    """The contents of the elements that follow each other in DER (ITU-T X.690, section 8.1)."""
    found = []
    while len(data) >= 2:  # noqa: PLR2004 - a tag and a length
        length, start = data[1], 2
        if length & _LONG_LENGTH:
            start += length & ~_LONG_LENGTH
            length = int.from_bytes(data[2:start])
        found.append(data[start : start + length])
        data = data[start + length :]
    return found
