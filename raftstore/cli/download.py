"""Fetching a snapshot from a member, over etcd's JSON mapping: nothing but HTTP is needed."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self
from urllib.parse import urlsplit

import attrs

from raftstore.errors import ConfigurationError
from raftstore.storage import StorageError
from raftstore.storage.exchange_file import HASH_BYTES
from raftstore.storage.files import FileSystem

# How long a member may say nothing: it writes the whole file before the first byte.
TIMEOUT_S: Final = 60.0
PART: Final = ".part"
DEFAULT_PORT: Final = 2379


@attrs.frozen
class Endpoint:
    """A member, and how to speak to it."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    user: str
    password: str = attrs.field(repr=False)

    @classmethod
    def parse(
        cls, text: str, cacert: Path | None, cert: Path | None, key: Path | None, user: str | None
    ) -> Self:
        """From what a command line says.

        Raises:
            ConfigurationError: it makes no sense.
        """
        parts = urlsplit(text if "://" in text else f"http://{text}")
        try:
            port = parts.port or DEFAULT_PORT
        except ValueError as error:
            raise ConfigurationError(f"the endpoint {text!r} has no valid port") from error
        if not parts.hostname or parts.scheme not in {"http", "https"}:
            raise ConfigurationError(f"the endpoint {text!r} is neither HOST:PORT nor an URL")
        name, _, password = (user or "").partition(":")
        tls = None
        if parts.scheme == "https" or cacert or cert or key:
            tls = _tls(cacert, cert, key)
        return cls(parts.hostname, port, tls, name, password)

    def connect(self) -> http.client.HTTPConnection:
        """A connection, not yet made."""
        if self.tls is None:
            return http.client.HTTPConnection(self.host, self.port, timeout=TIMEOUT_S)
        return http.client.HTTPSConnection(
            self.host, self.port, timeout=TIMEOUT_S, context=self.tls
        )


def _tls(cacert: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=cacert)
        if cert is not None:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"cannot use the certificates: {error}") from error
    return context


def download(endpoint: Endpoint, file: Path) -> None:
    """Save a snapshot; the file appears when it is whole and its hash is right.

    Raises:
        StorageError: the member cannot be asked, refuses, or sends something else.
    """
    files = FileSystem()
    part = file.with_name(file.name + PART)
    try:
        with part.open("wb") as out:
            _receive(endpoint, out.write)
            out.flush()
            os.fsync(out.fileno())
        part.rename(file)
        files.sync_directory(file.absolute().parent)
    except (OSError, http.client.HTTPException) as error:
        part.unlink(missing_ok=True)
        raise StorageError(
            f"no snapshot from {endpoint.host}:{endpoint.port}: {str(error) or repr(error)}"
        ) from error
    except StorageError:
        part.unlink(missing_ok=True)
        raise


def _receive(endpoint: Endpoint, write: Any) -> None:
    """The last message holds the hash of all before it: of each, the next one tells which it is."""
    digest = hashlib.sha256()
    waiting = b""
    for blob in _blobs(endpoint):
        digest.update(waiting)
        write(waiting)
        waiting = blob
    write(waiting)
    if len(waiting) != HASH_BYTES or digest.digest() != waiting:
        raise StorageError("the snapshot does not match its SHA-256: try again")


def _blobs(endpoint: Endpoint) -> Iterator[bytes]:
    connection = endpoint.connect()
    try:
        headers = {"Authorization": _token(endpoint)} if endpoint.user else {}
        response = _post(connection, "/v3/maintenance/snapshot", {}, headers)
        for line in response:
            answer = json.loads(line)
            if "error" in answer:
                raise StorageError(f"the member refuses: {answer['error'].get('message')}")
            yield base64.b64decode(answer["result"].get("blob", ""))
    except (ValueError, KeyError, TypeError) as error:
        raise StorageError(f"the member's answer makes no sense: {error!r}") from error
    finally:
        connection.close()


def _token(endpoint: Endpoint) -> str:
    connection = endpoint.connect()
    try:
        request = {"name": endpoint.user, "password": endpoint.password}
        answer = json.loads(_post(connection, "/v3/auth/authenticate", request, {}).read())
        token: str = answer["token"]
    finally:
        connection.close()
    return token


def _post(
    connection: http.client.HTTPConnection,
    path: str,
    request: dict[str, str],
    headers: dict[str, str],
) -> http.client.HTTPResponse:
    connection.request("POST", path, json.dumps(request), headers)
    response = connection.getresponse()
    if response.status != http.client.OK:
        text = response.read(1000).decode(errors="replace").strip()
        try:
            answer = json.loads(text)
            text = answer.get("error", answer)["message"]
        except (ValueError, KeyError, TypeError, AttributeError):
            text = text or response.reason
        raise StorageError(f"the member refuses: {text} (HTTP status {response.status})")
    return response
