"""Certificates: what a signing request asks for, the rules of the built-in signers, and a CA.

Source: documentation of certificate signing requests, "Kubernetes signers".
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8sactors.controllers.errors import ControllersError
from k8sactors.simulation import SECOND, Random

Object = dict[str, Any]
Key = Ed25519PrivateKey | EllipticCurvePrivateKey
_CLIENT_AUTH: Final = "client auth"
_SERVER_AUTH: Final = "server auth"
_KEY_USAGES: Final = frozenset({"digital signature", "key encipherment"})
_NODES: Final = "system:nodes"
_NODE_PREFIX: Final = "system:node:"
_BACKDATED: Final = timedelta(minutes=5)
_SERIAL_BITS: Final = 120
_EXTENDED: Final = {
    _CLIENT_AUTH: ExtendedKeyUsageOID.CLIENT_AUTH,
    _SERVER_AUTH: ExtendedKeyUsageOID.SERVER_AUTH,
}


class UnusableKeyError(ControllersError):
    """The key of the CA is neither Ed25519 nor on an elliptic curve."""


def parsed(request: Object) -> x509.CertificateSigningRequest | None:
    """The PKCS #10 request in `spec.request`; None when it is not one."""
    try:
        pem = base64.b64decode(request["spec"]["request"])
        found = x509.load_pem_x509_csr(pem)
    except (binascii.Error, ValueError):
        return None
    return found if found.is_signature_valid else None


def common_name(asked: x509.CertificateSigningRequest) -> str:
    """CN of the subject."""
    names = asked.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if names else ""


def _organizations(asked: x509.CertificateSigningRequest) -> list[str]:
    return [
        str(each.value) for each in asked.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    ]


def _alternatives(asked: x509.CertificateSigningRequest) -> list[x509.GeneralName]:
    try:
        found = asked.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return list(found.value)


def _node_problem(asked: x509.CertificateSigningRequest) -> str:
    if _organizations(asked) != [_NODES]:
        return "subject organization is not system:nodes"
    if not common_name(asked).startswith(_NODE_PREFIX):
        return "subject common name does not begin with system:node: "
    return ""


def _usage_problem(request: Object, needed: str) -> str:
    usages = set(request["spec"]["usages"])
    if needed not in usages or not usages <= {needed, *_KEY_USAGES}:
        return f"usages did not match [digital signature {needed}]"
    return ""


def problem_of(request: Object, asked: x509.CertificateSigningRequest) -> str:
    """Why the signer that the request names may not sign it; "" when it may."""
    match request["spec"]["signerName"]:
        case "kubernetes.io/kube-apiserver-client":
            return _usage_problem(request, _CLIENT_AUTH)
        case "kubernetes.io/kube-apiserver-client-kubelet":
            if _alternatives(asked):
                return "DNS, IP, email and URI SANs are not allowed"
            return _node_problem(asked) or _usage_problem(request, _CLIENT_AUTH)
        case "kubernetes.io/kubelet-serving":
            found = _alternatives(asked)
            if not any(isinstance(each, x509.DNSName | x509.IPAddress) for each in found):
                return "DNS or IP subjectAltName is required"
            if not all(isinstance(each, x509.DNSName | x509.IPAddress) for each in found):
                return "email and URI SANs are not allowed"
            return _node_problem(asked) or _usage_problem(request, _SERVER_AUTH)
    return ""


class Authority:
    """A CA: given as PEM, or made from a random stream, so that a seed gives the same one again.

    Raises:
        UnusableKeyError: the key is of a sort that cannot sign reproducibly.
    """

    def __init__(self, random: Random, certificate_pem: str = "", key_pem: str = "") -> None:
        self._random = random
        self._key: Key
        if not certificate_pem:
            seed = random.getrandbits(256).to_bytes(32, "big")
            self._key = Ed25519PrivateKey.from_private_bytes(seed)
            self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kubernetes")])
            return
        key = serialization.load_pem_private_key(key_pem.encode(), None)
        if not isinstance(key, Ed25519PrivateKey | EllipticCurvePrivateKey):
            raise UnusableKeyError
        self._key = key
        self._name = x509.load_pem_x509_certificate(certificate_pem.encode()).subject

    def sign(
        self,
        asked: x509.CertificateSigningRequest,
        usages: list[str],
        wall_ns: int,
        duration_ns: int,
    ) -> bytes:
        """The certificate as PEM, valid from five minutes ago."""
        now = datetime.fromtimestamp(wall_ns // SECOND, UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(asked.subject)
            .issuer_name(self._name)
            .public_key(asked.public_key())
            .serial_number(self._random.getrandbits(_SERIAL_BITS) | 1)
            .not_valid_before(now - _BACKDATED)
            .not_valid_after(now + timedelta(seconds=duration_ns // SECOND))
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        )
        extended = [_EXTENDED[usage] for usage in usages if usage in _EXTENDED]
        if extended:
            builder = builder.add_extension(x509.ExtendedKeyUsage(extended), critical=False)
        found = _alternatives(asked)
        if found:
            builder = builder.add_extension(x509.SubjectAlternativeName(found), critical=False)
        if isinstance(self._key, Ed25519PrivateKey):
            signed = builder.sign(self._key, None)
        else:
            signed = builder.sign(self._key, hashes.SHA256(), ecdsa_deterministic=True)
        return signed.public_bytes(serialization.Encoding.PEM)
