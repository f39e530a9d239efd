"""The CA of the API server, as controllers hand it to clients (`root_ca`)."""

from __future__ import annotations

from typing import Final

# Without a CA of the API server this certificate is only a place holder that clients mount.
PLACE_HOLDER: Final = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
