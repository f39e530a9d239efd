"""Warnings of the API server as HTTP headers."""

from __future__ import annotations

from typing import Any

from k8sactors.api import protocol


def warning_headers(verb: str, reply: list[Any]) -> list[tuple[bytes, bytes]]:
    """The warnings in the answer to a write, as headers."""
    if verb in protocol.READ_VERBS or len(reply) <= protocol.RESPONSE_WARNINGS:
        return []
    texts = reply[protocol.RESPONSE_WARNINGS]
    return [_warning(text) for text in texts] if isinstance(texts, list) else []


def _warning(text: str) -> tuple[bytes, bytes]:
    """A warning header (RFC 7234, section 5.5) as the real server writes it."""
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return (b"warning", f'299 - "{quoted}"'.encode())
