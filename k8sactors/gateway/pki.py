"""Certificates of a served cluster: a CA of its own, the server's, and the administrator's.

They are made on the first start, and kept where a directory is given, under the names that kubeadm
gives them: `ca.crt`, `ca.key`, `apiserver.crt`, `apiserver.key` and `sa.key`, which signs tokens.
Keys are readable for their owner alone.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import attrs
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from k8sactors.api.user import ADMIN_USER, UserInfo
from k8sactors.apiserver.authn.jwt import SigningKey
from k8sactors.apiserver.errors import InvalidTokenError
from k8sactors.gateway.endpoint import ClientFiles, ServerTls
from k8sactors.simulation import SECOND

CA_DAYS: Final = 3650
CERTIFICATE_DAYS: Final = 365
# Clocks of clients may lag.
_BACKDATED: Final = timedelta(minutes=5)
# A certificate that ends sooner than this is made again at a start.
_RENEWED_BEFORE: Final = timedelta(days=30)
_CA_NAME: Final = "kubernetes"
_NAMES: Final = (
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
    "localhost",
    "127.0.0.1",
    "::1",
)


class CertificateFileError(Exception):
    """A file of certificates or keys that cannot be read; the text shows nothing of it."""


Key = ec.EllipticCurvePrivateKey


@attrs.frozen
class KeyPair:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key = attrs.field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate in PEM form."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    @property
    def key_pem(self) -> bytes:
        """The key in PEM form."""
        return self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )


class Authority:
    """A CA, which signs for one cluster; what it signs begins `now`."""

    def __init__(self, pair: KeyPair, now: datetime) -> None:
        self._pair = pair
        self._now = now

    @classmethod
    def create(cls, now: datetime) -> Authority:
        """A new one, signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _CA_NAME)])
        usage = x509.KeyUsage(
            digital_signature=True,
            content_commitment=False,
            key_encipherment=True,
            data_encipherment=False,
            key_agreement=False,
            key_cert_sign=True,
            crl_sign=True,
            encipher_only=False,
            decipher_only=False,
        )
        builder = (
            _builder(name, name, key, now, CA_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(usage, critical=True)
        )
        return cls(KeyPair(builder.sign(key, hashes.SHA256()), key), now)

    @property
    def pair(self) -> KeyPair:
        """Its own certificate and key."""
        return self._pair

    def server(self, names: Sequence[str]) -> KeyPair:
        """A certificate for a server of these names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "kube-apiserver")])
        alternatives = [_alternative(name) for name in dict.fromkeys((*_NAMES, *names))]
        builder = self._begin(subject, key)
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        return self._sign(builder, key, ExtendedKeyUsageOID.SERVER_AUTH)

    def client(self, user: UserInfo) -> KeyPair:
        """A certificate that makes its holder this user: CN is the name, each O a group."""
        key = ec.generate_private_key(ec.SECP256R1())
        organizations = [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in user.groups
        ]
        name = x509.NameAttribute(NameOID.COMMON_NAME, user.name)
        subject = x509.Name([*organizations, name])
        builder = self._begin(subject, key)
        return self._sign(builder, key, ExtendedKeyUsageOID.CLIENT_AUTH)

    def _begin(self, subject: x509.Name, key: Key) -> x509.CertificateBuilder:
        issuer = self._pair.certificate.subject
        return _builder(subject, issuer, key, self._now, CERTIFICATE_DAYS)

    def _sign(
        self, builder: x509.CertificateBuilder, key: Key, usage: x509.ObjectIdentifier
    ) -> KeyPair:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._pair.key.public_key())
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(issuer, critical=False)
        return KeyPair(builder.sign(self._pair.key, hashes.SHA256()), key)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: Key, now: datetime, days: int
) -> x509.CertificateBuilder:
    begin = now - _BACKDATED
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@attrs.frozen
class Pki:
    """All that a served cluster needs."""

    authority: Authority
    server: KeyPair
    token_key: SigningKey

    @classmethod
    def create(cls, wall_ns: int, names: Sequence[str] = ()) -> Pki:
        """A new one that nothing keeps; `wall_ns` is the time since the epoch."""
        authority = Authority.create(_moment(wall_ns))
        return cls(authority, authority.server(names), SigningKey.generate())

    @classmethod
    def keep(cls, directory: Path, wall_ns: int, names: Sequence[str] = ()) -> Pki:
        """What a directory holds; what it lacks is made and kept there.

        The server's certificate is made again when it ends soon or lacks one of `names`.

        Raises:
            OSError: the directory cannot be used.
            CertificateFileError: a file in it is malformed.
        """
        now = _moment(wall_ns)
        directory.mkdir(parents=True, exist_ok=True)
        pair = _read_pair(directory, "ca")
        if pair is None:
            pair = Authority.create(now).pair
            _write_pair(directory, "ca", pair)
        authority = Authority(pair, now)
        server = _read_pair(directory, "apiserver")
        if server is None or not _is_good(server.certificate, now, names):
            server = authority.server(names)
            _write_pair(directory, "apiserver", server)
        path = directory / "sa.key"
        if path.exists():
            try:
                token_key = SigningKey.from_pem(path.read_bytes())
            except InvalidTokenError as error:
                raise CertificateFileError(f"{path}: {error}") from error
        else:
            token_key = SigningKey.generate()
            write_private(path, token_key.to_pem())
        return cls(authority, server, token_key)

    def server_tls(self, client_ca: Path | None = None) -> ServerTls:
        """For the port; clients may show a certificate of this CA, or of one in `client_ca`.

        Raises:
            OSError: that file cannot be used.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["h2", "http/1.1"])
        # Who shows none has a token, or is anonymous.
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cadata=self.authority.pair.certificate_pem.decode())
        if client_ca is not None:
            context.load_verify_locations(cafile=client_ca)
        with tempfile.TemporaryDirectory(prefix="k8sactors-") as name:
            _write_pair(Path(name), "apiserver", self.server)
            context.load_cert_chain(Path(name) / "apiserver.crt", Path(name) / "apiserver.key")
        admin = self.authority.client(ADMIN_USER)
        ca = self.authority.pair.certificate_pem
        return ServerTls(context, ClientFiles(ca, admin.certificate_pem, admin.key_pem))


def _moment(wall_ns: int) -> datetime:
    return datetime.fromtimestamp(wall_ns // SECOND, UTC)


def _is_good(certificate: x509.Certificate, now: datetime, names: Sequence[str]) -> bool:
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    wanted = [_alternative(name) for name in names]
    ends = certificate.not_valid_after_utc - _RENEWED_BEFORE
    return now < ends and all(name in extension.value for name in wanted)


def _read_pair(directory: Path, name: str) -> KeyPair | None:
    paths = directory / f"{name}.crt", directory / f"{name}.key"
    if not all(path.exists() for path in paths):
        return None
    try:
        certificate = x509.load_pem_x509_certificate(paths[0].read_bytes())
        key = serialization.load_pem_private_key(paths[1].read_bytes(), None)
    except (ValueError, TypeError) as error:
        raise CertificateFileError(f"{directory}/{name}: no certificate and key in PEM") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateFileError(f"{paths[1]}: no key of an elliptic curve")
    return KeyPair(certificate, key)


def _write_pair(directory: Path, name: str, pair: KeyPair) -> None:
    write_private(directory / f"{name}.key", pair.key_pem)
    (directory / f"{name}.crt").write_bytes(pair.certificate_pem)


def write_private(path: Path, data: bytes) -> None:
    """Write a file that its owner alone can read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        # One that was there before may be readable for others.
        os.fchmod(file.fileno(), 0o600)
        file.write(data)
