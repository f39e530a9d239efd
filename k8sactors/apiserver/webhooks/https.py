"""One POST over HTTPS: HTTP/1.1, a connection for each, bounded in size and time.

Source: RFC 9112. Webhooks answer with a small JSON object, so nothing more is needed.
"""

from __future__ import annotations

import ssl
from typing import Final
from urllib.parse import urlsplit

import trio

from k8sactors.apiserver.webhooks.errors import CallError

ANSWER_MAX_BYTES: Final = 3 * 1024 * 1024
_HEAD_END: Final = b"\r\n\r\n"
_CHUNK: Final = 65_536


async def post(url: str, body: bytes, trusted: ssl.SSLContext, timeout_s: float) -> bytes:
    """The body of the answer with status 200.

    Raises:
        CallError: in the words of Go's client: refused, not trusted, too late, another status.
    """
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or 443
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    head = (
        f"POST {target} HTTP/1.1\r\nHost: {parts.netloc}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\nUser-Agent: kube-apiserver-admission\r\n\r\n"
    )
    try:
        with trio.fail_after(timeout_s):
            stream = await trio.open_tcp_stream(host, port)
            async with trio.SSLStream(
                stream, trusted, server_hostname=host, https_compatible=True
            ) as secure:
                await secure.send_all(head.encode() + body)
                answer = await _receive(secure)
    except trio.TooSlowError as error:
        raise CallError("context deadline exceeded") from error
    except ConnectionRefusedError as error:
        raise CallError(f"dial tcp {host}:{port}: connect: connection refused") from error
    except OSError as error:
        refused = error.__cause__
        group = getattr(refused, "exceptions", (refused,))
        if any(isinstance(each, ConnectionRefusedError) for each in group):
            text = f"dial tcp {host}:{port}: connect: connection refused"
        else:
            text = f"dial tcp: {error}"
        raise CallError(text) from error
    except trio.BrokenResourceError as error:
        raise CallError(str(error.__cause__ or "EOF")) from error
    return _body(answer)


async def _receive(stream: trio.SSLStream[trio.SocketStream]) -> bytes:
    received = bytearray()
    while True:
        data = await stream.receive_some(_CHUNK)
        if not data:
            return bytes(received)
        received += data
        if len(received) > ANSWER_MAX_BYTES:
            raise CallError("the answer is too large")
        head, found, rest = received.partition(_HEAD_END)
        length = _headers(bytes(head)).get("content-length") if found else None
        if length is not None and length.isdigit() and len(rest) >= int(length):
            return bytes(received)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    pairs = [line.partition(":") for line in lines]
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _body(answer: bytes) -> bytes:
    head, found, rest = answer.partition(_HEAD_END)
    words = head.split(b"\r\n", 1)[0].split(b" ", 2)
    if not found or len(words) < 2:  # noqa: PLR2004 - version and status
        raise CallError("EOF")
    if words[1] != b"200":
        raise CallError(f"the server answered {words[1].decode('latin-1')}")
    if _headers(head).get("transfer-encoding", "").lower() == "chunked":
        return _unchunked(rest)
    return rest


def _unchunked(data: bytes) -> bytes:
    body = bytearray()
    while data:
        line, _, data = data.partition(b"\r\n")
        try:
            size = int(line.split(b";")[0], 16)
        except ValueError as error:
            raise CallError("malformed chunked encoding") from error
        if size == 0:
            break
        body += data[:size]
        data = data[size + 2 :]
    return bytes(body)
