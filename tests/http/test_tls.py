"""TLS: what is agreed on by ALPN, and the client's certificate in the application's hands."""

from __future__ import annotations

import ssl
from contextlib import suppress
from typing import Any

import pytest
import trio
import trustme

from raftstore.http import Exchange, Limits
from tests.http.served import GET, PREFACE, read_until, run, serving


async def tell(exchange: Exchange) -> None:
    """Who asks, and how."""
    subject = exchange.certificate.get("subject", ((("commonName", "-"),),))
    names = [value for part in subject for key, value in part if key == "commonName"]
    text = f"{names[0]} {exchange.head.scheme} {exchange.head.version} {exchange.peer}\n"
    await exchange.respond(200, b"text/plain", text.encode())


@pytest.mark.parametrize("name", ["", "alice"])
def test_the_application_sees_the_certificate_of_its_client(name: str) -> None:
    ca = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.set_alpn_protocols(["h2", "http/1.1"])
    server.verify_mode = ssl.CERT_OPTIONAL
    ca.issue_cert("127.0.0.1").configure_cert(server)
    ca.configure_trust(server)
    client = ssl.create_default_context()
    ca.configure_trust(client)
    if name:
        ca.issue_cert("x", common_name=name).configure_cert(client)

    async def test() -> None:
        async with serving(tell, tls=server) as port, port.connected() as raw:
            stream = trio.SSLStream(raw, client, server_hostname="127.0.0.1")
            await stream.send_all(GET)
            told = await read_until(stream, b"127.0.0.1\n")
            assert told.endswith(f"{name or '-'} https 1.1 127.0.0.1\n".encode())

    run(test)


def test_http2_is_spoken_where_both_agree_on_it() -> None:
    ca = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.set_alpn_protocols(["h2", "http/1.1"])
    ca.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    client.set_alpn_protocols(["h2"])
    ca.configure_trust(client)

    async def test() -> None:
        async with serving(tell, tls=server) as port, port.connected() as raw:
            stream = trio.SSLStream(raw, client, server_hostname="127.0.0.1")
            # Settings come from the server without a word of the client.
            await stream.do_handshake()
            assert stream.selected_alpn_protocol() == "h2"
            await stream.send_all(PREFACE)
            assert (await stream.receive_some())[3] == 4

    run(test)


def test_a_handshake_that_does_not_come_is_given_up() -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    async def test() -> None:
        async with serving(tell, tls=context) as port:
            for first in (b"", b"\x16", GET):
                async with port.connected(first):
                    await port.until_empty()
            assert trio.current_time() < 25

    run(test)


async def is_secure(exchange: Exchange) -> None:
    await exchange.respond(200, b"text/plain", f"secure: {exchange.secure}\n".encode())


def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    ca = trustme.CA()
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(server)
    client = ssl.create_default_context()
    ca.configure_trust(client)
    return server, client


def test_one_port_speaks_both_with_programs_of_the_same_machine() -> None:
    server, client = contexts()

    async def test() -> None:
        async with serving(is_secure, tls=server, plain_from_loopback=True) as port:
            async with port.connected() as raw:
                stream = trio.SSLStream(raw, client, server_hostname="127.0.0.1")
                await stream.send_all(GET)
                assert (await read_until(stream, b"secure: True\n")).startswith(b"HTTP/1.1 200")
            async with port.connected() as raw:
                await raw.send_all(GET)
                assert (await read_until(raw, b"secure: False\n")).startswith(b"HTTP/1.1 200")

    run(test)


def test_a_port_with_tls_alone_takes_no_plain_request() -> None:
    server, _ = contexts()

    async def test() -> None:
        async with serving(is_secure, tls=server) as port, port.connected() as raw:
            await raw.send_all(GET)
            answered = b""
            with suppress(trio.BrokenResourceError):
                while part := await raw.receive_some():
                    answered += bytes(part)
            assert b"200" not in answered

    run(test)


def test_a_client_that_begins_with_nothing_is_let_go() -> None:
    server, _ = contexts()

    async def test() -> None:
        limits = Limits(opening_timeout_s=1.0)
        options: dict[str, Any] = {"tls": server, "plain_from_loopback": True}
        async with serving(is_secure, limits, **options) as port, port.connected() as raw:
            assert await raw.receive_some() == b""

    run(test)
