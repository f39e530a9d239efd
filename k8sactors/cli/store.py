"""`--store etcd://host:port,...`: the state in a real etcd instead of members of the cluster."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial, wraps
from typing import Any

import attrs
import click
import trio

from k8sactors.store.errors import StoreUnreachableError

HINT = "'--store'"
EXTRA = "a real store needs more packages ({error}): pip install 'k8sactors[serve]'"


@attrs.frozen
class StoreAddress:
    """Endpoints (``host:port``) of a real store, and how they are spoken to over TLS."""

    endpoints: tuple[str, ...]
    tls: ssl.SSLContext | None = None


def read_store(text: str, cacert: str = "", cert: str = "", key: str = "") -> StoreAddress:
    """Understand `--store`; a mistake ends the program with status 2.

    Raises:
        click.UsageError: see above.
    """
    endpoints, is_secure = _endpoints(text)
    if (cacert or cert or key) and not is_secure:
        raise click.UsageError("certificates are for TLS: write --store etcds://...")
    if bool(cert) != bool(key):
        raise click.UsageError("--store-cert and --store-key go together")
    return StoreAddress(endpoints, _context(cacert, cert, key) if is_secure else None)


def store_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--store` and its certificates, handed over as one `store`: a StoreAddress or None."""

    @wraps(command)
    def with_store(
        store_url: str | None, store_cacert: str, store_cert: str, store_key: str, **others: Any
    ) -> Any:
        store = None
        if store_url is not None:
            store = read_store(store_url, store_cacert, store_cert, store_key)
        elif store_cacert or store_cert or store_key:
            raise click.UsageError("certificates for the store need --store etcds://...")
        return command(store=store, **others)

    decorated: Callable[..., Any] = with_store
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


_OPTIONS = (
    click.option(
        "--store",
        "store_url",
        metavar="URL",
        help="Keep the state in a real etcd, etcd://HOST:PORT,... (etcds:// for TLS), on real "
        "time.",
    ),
    click.option("--store-cacert", default="", help="CA of the store's certificate."),
    click.option("--store-cert", default="", help="Certificate to show to the store."),
    click.option("--store-key", default="", help="The certificate's key."),
)


def check(store: StoreAddress, *, empty: bool = True) -> None:
    """See that the store answers and, if `empty`, is free; else the program ends with status 1.

    Raises:
        click.ClickException: see above.
    """
    from k8sactors.store.remote import check_store  # noqa: PLC0415 - an optional extra
    from raftstore.errors import RaftStoreError  # noqa: PLC0415 - see above
    from raftstore.gateway.client import Target  # noqa: PLC0415 - see above

    target = Target(store.endpoints, store.tls is not None)
    try:
        silent = trio.run(partial(check_store, target, store.tls, empty=empty))
    except (StoreUnreachableError, RaftStoreError) as error:
        raise click.ClickException(str(error)) from error
    for reason in silent:
        click.echo(f"warning: an endpoint of the store does not answer: {reason}", err=True)


def _endpoints(text: str) -> tuple[tuple[str, ...], bool]:
    """What a URL names, and whether over TLS."""
    try:
        from raftstore.gateway.client import (  # noqa: PLC0415 - an optional extra
            TargetError,
            parse_target,
        )
    except ImportError as error:
        raise click.ClickException(EXTRA.format(error=error)) from error
    try:
        target = parse_target(text)
    except TargetError as error:
        raise click.BadParameter(str(error), param_hint=HINT) from error
    return target.endpoints, target.secure


def _context(cacert: str, cert: str, key: str) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=cacert or None)
        if cert:
            context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        files = ", ".join(filter(None, (cacert, cert, key)))
        raise click.UsageError(f"cannot use {files}: {error}") from error
    return context
