"""Where a cluster is served, as clients need to know it."""

from __future__ import annotations

import base64
import json
import os
import ssl
from pathlib import Path
from typing import Any, Final

import attrs

CONTEXT: Final = "k8sactors"


@attrs.frozen
class ClientFiles:
    """How a client knows the server, and by which certificate the server knows it; PEM."""

    ca: bytes
    certificate: bytes
    key: bytes = attrs.field(repr=False)


@attrs.frozen
class ServerTls:
    """How a port is secured, and what its administrator needs."""

    context: ssl.SSLContext
    administrator: ClientFiles


@attrs.frozen
class Endpoint:
    """Where a cluster is served."""

    # As clients take it: "https://127.0.0.1:8001".
    url: str
    # Of the administrator; None: the port takes every client for it.
    files: ClientFiles | None = None

    def kubeconfig(self) -> dict[str, Any]:
        """A configuration for `kubectl` and other clients, as an object."""
        cluster, user = {"server": self.url}, {}
        if self.files is not None:
            cluster["certificate-authority-data"] = _base64(self.files.ca)
            user["client-certificate-data"] = _base64(self.files.certificate)
            user["client-key-data"] = _base64(self.files.key)
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": CONTEXT, "cluster": cluster}],
            "users": [{"name": CONTEXT, "user": user}],
            "contexts": [{"name": CONTEXT, "context": {"cluster": CONTEXT, "user": CONTEXT}}],
            "current-context": CONTEXT,
        }

    def write_kubeconfig(self, path: Path) -> None:
        """Write that configuration to a file that its owner alone can read.

        Raises:
            OSError: it cannot be written.
        """
        text = json.dumps(self.kubeconfig(), indent=2) + "\n"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
