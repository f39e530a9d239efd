"""SPDY/3.1 frames, as far as Kubernetes speaks it: no I/O.

Streams with compressed headers, data, resets, pings and goodbyes. Windows are left out: clients
(moby/spdystream) keep none, and neither bound a peer with them; the transport below does.
Source: draft-mbelshe-httpbis-spdy-00 and its successor 3.1.
"""

from __future__ import annotations

import struct
import zlib
from typing import Final

import attrs

VERSION: Final = 3
SYN_STREAM: Final = 1
SYN_REPLY: Final = 2
RST_STREAM: Final = 3
PING: Final = 6
GOAWAY: Final = 7
HEADERS: Final = 8
FIN: Final = 1
MAX_FRAME_BYTES: Final = 1 << 20
MAX_HEADERS_BYTES: Final = 64 << 10
REFUSED_STREAM: Final = 3
CANCEL: Final = 5

_CONTROL: Final = 0x8000_0000
_NUMBER: Final = struct.Struct(">I")
_NAMES: Final = (
    "options head post put delete trace accept accept-charset accept-encoding accept-language "
    "accept-ranges age allow authorization cache-control connection content-base content-encoding "
    "content-language content-length content-location content-md5 content-range content-type date "
    "etag expect expires from host if-match if-modified-since if-none-match if-range "
    "if-unmodified-since last-modified location max-forwards pragma proxy-authenticate "
    "proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade "
    "user-agent vary via warning www-authenticate method get status"
)
_MORE_NAMES: Final = (
    "200 OK",
    "version",
    "HTTP/1.1",
    "url",
    "public",
    "set-cookie",
    "keep-alive",
    "origin",
)
_WORDS: Final = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request"
    "401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented"
    "503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, "
    "Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,"
    "application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)


def _counted(text: str) -> bytes:
    return _NUMBER.pack(len(text)) + text.encode()


# What both compressors of headers know from the start (section 2.6.10.1).
DICTIONARY: Final = (
    b"".join(_counted(name) for name in (*_NAMES.split(), *_MORE_NAMES)) + _WORDS.encode()
)


class SpdyError(Exception):
    """The peer breaks the rules of SPDY."""


@attrs.frozen
class StreamOpened:
    """The peer opens a stream."""

    stream_id: int
    headers: dict[str, str]
    ended: bool


@attrs.frozen
class StreamData:
    """Data of a stream; `ended`: the peer sends no more."""

    stream_id: int
    data: bytes
    ended: bool


@attrs.frozen
class StreamReset:
    """The peer gives a stream up."""

    stream_id: int


@attrs.frozen
class GoneAway:
    """The peer opens no more streams."""


SpdyEvent = StreamOpened | StreamData | StreamReset | GoneAway


class SpdyFrames:
    """A server's side of one connection."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._inflate = zlib.decompressobj(zdict=DICTIONARY)
        self._deflate = zlib.compressobj(zdict=DICTIONARY)
        # What is to be sent because of what has arrived.
        self.output = bytearray()

    def receive(self, data: bytes) -> list[SpdyEvent]:
        """Take what has arrived.

        Raises:
            SpdyError: it is malformed.
        """
        self._buffer += data
        found: list[SpdyEvent] = []
        while len(self._buffer) >= 8:  # noqa: PLR2004 - a frame's head
            first, second = struct.unpack_from(">II", self._buffer)
            size = second & 0xFF_FFFF
            if size > MAX_FRAME_BYTES:
                raise SpdyError(f"a frame of {size} bytes is too large")
            if len(self._buffer) < 8 + size:
                break
            payload = bytes(self._buffer[8 : 8 + size])
            del self._buffer[: 8 + size]
            flags = second >> 24
            if first & _CONTROL:
                event = self._control(first, flags, payload)
                if event is not None:
                    found.append(event)
            else:
                found.append(StreamData(first, payload, bool(flags & FIN)))
        return found

    def _control(self, first: int, flags: int, payload: bytes) -> SpdyEvent | None:
        if first >> 16 & 0x7FFF != VERSION:
            raise SpdyError("only SPDY/3.1 is spoken here")
        kind = first & 0xFFFF
        try:
            if kind == SYN_STREAM:
                stream_id = _NUMBER.unpack_from(payload)[0] & ~_CONTROL
                return StreamOpened(stream_id, self._headers(payload[10:]), bool(flags & FIN))
            if kind == RST_STREAM:
                return StreamReset(_NUMBER.unpack_from(payload)[0] & ~_CONTROL)
            if kind == HEADERS:
                # Unused here, but the compressor's state goes through them.
                self._headers(payload[4:])
            elif kind == PING and _NUMBER.unpack_from(payload)[0] % 2:
                self.output += _frame(PING, 0, payload)
            elif kind == GOAWAY:
                return GoneAway()
        except struct.error as error:
            raise SpdyError("a frame is too short") from error
        return None

    def _headers(self, block: bytes) -> dict[str, str]:
        try:
            data = self._inflate.decompress(block, MAX_HEADERS_BYTES)
        except zlib.error as error:
            raise SpdyError(f"headers cannot be decompressed: {error}") from error
        if self._inflate.unconsumed_tail:
            raise SpdyError("headers are too large")
        count, at = _NUMBER.unpack_from(data)[0], 4
        headers: dict[str, str] = {}
        for _ in range(count):
            parts: list[str] = []
            for _ in range(2):
                size = _NUMBER.unpack_from(data, at)[0]
                parts.append(data[at + 4 : at + 4 + size].decode("latin-1"))
                at += 4 + size
            headers[parts[0].lower()] = parts[1]
        return headers

    def reply(self, stream_id: int) -> bytes:
        """Accept a stream."""
        block = self._deflate.compress(_NUMBER.pack(0)) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
        return _frame(SYN_REPLY, 0, _NUMBER.pack(stream_id) + block)

    @staticmethod
    def data(stream_id: int, data: bytes, *, ended: bool = False) -> bytes:
        """Data of a stream."""
        return struct.pack(">II", stream_id, (FIN if ended else 0) << 24 | len(data)) + data

    @staticmethod
    def reset(stream_id: int, status: int = CANCEL) -> bytes:
        """Give a stream up."""
        return _frame(RST_STREAM, 0, struct.pack(">II", stream_id, status))

    @staticmethod
    def go_away(last_stream_id: int) -> bytes:
        """Take no more streams."""
        return _frame(GOAWAY, 0, struct.pack(">II", last_stream_id, 0))


def _frame(kind: int, flags: int, payload: bytes) -> bytes:
    head = struct.pack(">II", _CONTROL | VERSION << 16 | kind, flags << 24 | len(payload))
    return head + payload
