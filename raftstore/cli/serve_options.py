"""The options of `raftstore serve` that belong together, each group handed over as one value."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, Final

import attrs
import click

from raftstore.errors import ConfigurationError
from raftstore.server.auto_compaction import MODES, parse_retention
from raftstore.server.config import Policy
from raftstore.server.tls import TlsFiles

DEFAULT_QUOTA_BYTES: Final = 2 << 30
CHECKPOINT_INTERVAL_S: Final = 300
DEFAULT_DRIFT_PERCENT: Final = 10
PATH: Final = click.Path(dir_okay=False)


@attrs.frozen
class Security:
    """The options of TLS, for clients and between members."""

    clients: TlsFiles
    peers: TlsFiles


def security_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """TLS under etcd's names, handed over as one `security`."""

    @wraps(command)
    def with_security(**options: Any) -> Any:
        values = [options.pop(name) for name in _SECURITY_NAMES]
        try:
            security = Security(TlsFiles(*values[:4]), TlsFiles(*values[4:]))
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from error
        return command(security=security, **options)

    return _with_options(with_security, _SECURITY)


def policy_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """What etcd is told about history, room and leases, handed over as one `policy`."""

    @wraps(command)
    def with_policy(
        *,
        auto_compaction_mode: str,
        auto_compaction_retention: str,
        quota_backend_bytes: int,
        experimental_enable_lease_checkpoint: bool,
        lease_reads: bool,
        max_clock_drift_percent: int | None,
        **options: Any,
    ) -> Any:
        try:
            retention = parse_retention(auto_compaction_mode, auto_compaction_retention)
        except ConfigurationError as error:
            raise click.UsageError(str(error)) from error
        if max_clock_drift_percent is not None and not lease_reads:
            raise click.UsageError("--max-clock-drift-percent is the bound for --lease-reads")
        policy = Policy(
            retention,
            max(0, quota_backend_bytes or DEFAULT_QUOTA_BYTES),
            CHECKPOINT_INTERVAL_S if experimental_enable_lease_checkpoint else 0,
            lease_reads,
            DEFAULT_DRIFT_PERCENT if max_clock_drift_percent is None else max_clock_drift_percent,
        )
        return command(policy=policy, **options)

    return _with_options(with_policy, _POLICY)


def _with_options(
    command: Callable[..., Any], options: tuple[Callable[..., Any], ...]
) -> Callable[..., Any]:
    for option in reversed(options):
        command = option(command)
    return command


_SECURITY_NAMES = (
    "cert_file",
    "key_file",
    "trusted_ca_file",
    "client_cert_auth",
    "peer_cert_file",
    "peer_key_file",
    "peer_trusted_ca_file",
    "peer_client_cert_auth",
)
_SECURITY = (
    click.option("--cert-file", default="", type=PATH, help="Certificate; turns TLS on."),
    click.option("--key-file", default="", type=PATH, help="The certificate's key."),
    click.option("--trusted-ca-file", default="", type=PATH, help="CA of client certificates."),
    click.option("--client-cert-auth", is_flag=True, help="Clients must show a certificate."),
    click.option("--peer-cert-file", default="", type=PATH, help="The same between members."),
    click.option("--peer-key-file", default="", type=PATH, help="The same between members."),
    click.option("--peer-trusted-ca-file", default="", type=PATH, help="CA of the members."),
    click.option("--peer-client-cert-auth", is_flag=True, help="Members must show a certificate."),
)
_POLICY = (
    click.option(
        "--auto-compaction-mode",
        default=MODES[0],
        show_default=True,
        type=click.Choice(MODES),
        help="Whether the retention is a time or a number of revisions.",
    ),
    click.option(
        "--auto-compaction-retention",
        default="0",
        show_default=True,
        help="History to keep: 10m, 1h30m, 5 (hours); in mode revision a number. 0: all.",
    ),
    click.option(
        "--quota-backend-bytes",
        default=0,
        type=int,
        help="How much keys and leases may take before writes are refused and the alarm NOSPACE is "
        "raised. 0: 2 GiB, as etcd; negative: no limit.",
    ),
    click.option(
        "--experimental-enable-lease-checkpoint",
        is_flag=True,
        help="A new leader continues a lease with what was left, not with its whole time.",
    ),
    click.option(
        "--lease-reads",
        is_flag=True,
        help="The leader answers reads within its lease, without asking the other members. Sound "
        "only while no clock gains more than --max-clock-drift-percent on another; all members "
        "must be told the same.",
    ),
    click.option(
        "--max-clock-drift-percent",
        type=click.IntRange(0, 99),
        help=f"By so much leases are shorter.  [default: {DEFAULT_DRIFT_PERCENT}]",
    ),
)
