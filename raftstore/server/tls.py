"""TLS from certificate files: for the endpoints of clients, and between members.

The options are etcd's: a certificate and its key turn TLS on, a trusted CA with client certificate
authentication makes it mutual. Versions below TLS 1.2 are refused, as etcd does.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any, Final

import attrs

from raftstore.errors import ConfigurationError

ALPN: Final = ["h2", "http/1.1"]


@attrs.frozen
class TlsFiles:
    """Paths of PEM files; empty: not given. `client_cert_auth`: callers must show a certificate."""

    cert_file: str = ""
    key_file: str = ""
    trusted_ca_file: str = ""
    client_cert_auth: bool = False

    def __attrs_post_init__(self) -> None:
        if bool(self.cert_file) != bool(self.key_file):
            raise ConfigurationError("a certificate and its key belong together: give both files")
        if self.client_cert_auth and not self.trusted_ca_file:
            raise ConfigurationError(
                "client certificates can only be judged by a CA: give the trusted CA file"
            )
        if self.trusted_ca_file and not self.cert_file:
            raise ConfigurationError("a trusted CA has no use without a certificate and a key")

    @property
    def enabled(self) -> bool:
        """Whether TLS is spoken."""
        return bool(self.cert_file)


def server_context(files: TlsFiles) -> ssl.SSLContext | None:
    """What an accepting end needs; None: plain TCP.

    Raises:
        ConfigurationError: a file is missing or not what it should be.
    """
    if not files.enabled:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(ALPN)
    _load(context, files)
    if files.client_cert_auth:
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(files: TlsFiles) -> ssl.SSLContext | None:
    """What a dialling member needs; None: plain TCP. Without a CA the system's ones count.

    Raises:
        ConfigurationError: a file is missing or not what it should be.
    """
    if not files.enabled:
        return None
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _load(context, files)
    return context


def _load(context: ssl.SSLContext, files: TlsFiles) -> None:
    for path in (files.cert_file, files.key_file, files.trusted_ca_file):
        if path and not Path(path).is_file():
            raise ConfigurationError(f"there is no file {path}")
    try:
        # Without a callback a key with a passphrase would be asked for on the terminal.
        context.load_cert_chain(files.cert_file, files.key_file, password=_no_passphrase)
    except ssl.SSLError as error:
        raise ConfigurationError(
            f"{files.cert_file} and {files.key_file} are no certificate and key in PEM form "
            f"that belong together: {error.reason or error}"
        ) from error
    if files.trusted_ca_file:
        try:
            context.load_verify_locations(files.trusted_ca_file)
        except ssl.SSLError as error:
            raise ConfigurationError(
                f"{files.trusted_ca_file} holds no CA certificate in PEM form: "
                f"{error.reason or error}"
            ) from error


def _no_passphrase() -> str:
    return ""


def common_name(certificate: Any) -> str:
    """The CN of a peer's certificate as `ssl.SSLSocket.getpeercert` gives it; empty: none."""
    if not certificate:
        return ""
    for relative_name in certificate.get("subject", ()):
        for key, value in relative_name:
            if key == "commonName":
                return str(value)
    return ""
