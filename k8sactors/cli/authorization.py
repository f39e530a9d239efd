"""Options of a served cluster that say which authorizers decide."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import attrs
import click

from k8sactors.api.located_yaml import YamlSourceError, load_documents
from k8sactors.apiserver.authz.authorization_configuration import (
    AuthorizationConfiguration,
    parse_authorization,
)
from k8sactors.apiserver.authz.authorizer import WEBHOOK
from k8sactors.apiserver.errors import AuthorizationConfigurationError
from k8sactors.apiserver.webhook_authorizer_options import VERSIONS, WebhookAuthorizerOptions
from k8sactors.cli.webhook_file import read_webhook_file
from k8sactors.cluster.access import NODE_AND_RBAC
from k8sactors.simulation import SECOND

_CONFIG: Final = "--authorization-config"
_WEBHOOK_FILE: Final = "--authorization-webhook-config-file"
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_UNITS: Final = {"s": 1, "m": 60, "h": 3600}


def authorization_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, handed over as one `authorizers`: an `AuthorizationConfiguration`."""

    @wraps(command)
    def with_authorizers(
        authorization_mode: str | None,
        authorization_config: Path | None,
        authorization_webhook_config_file: Path | None,
        authorization_webhook_version: str | None,
        authorization_webhook_cache_authorized_ttl: int | None,
        authorization_webhook_cache_unauthorized_ttl: int | None,
        **others: Any,
    ) -> Any:
        webhook_options = (
            authorization_webhook_config_file,
            authorization_webhook_version,
            authorization_webhook_cache_authorized_ttl,
            authorization_webhook_cache_unauthorized_ttl,
        )
        if authorization_config is not None:
            if any(each is not None for each in (authorization_mode, *webhook_options)):
                raise click.UsageError(
                    f"{_CONFIG} can not be specified when --authorization-mode or "
                    "--authorization-webhook-* flags are specified"
                )
            return command(authorizers=_configured(authorization_config), **others)
        text = ",".join(NODE_AND_RBAC) if authorization_mode is None else authorization_mode
        modes = tuple(filter(None, (mode.strip() for mode in text.split(","))))
        webhooks: tuple[WebhookAuthorizerOptions, ...] = ()
        if WEBHOOK in modes:
            if authorization_webhook_config_file is None:
                raise click.UsageError(
                    f"authorization-mode {WEBHOOK}'s authorization config file not passed: "
                    f"give {_WEBHOOK_FILE}"
                )
            webhooks = (_webhook(*webhook_options),)
        elif any(each is not None for each in webhook_options):
            raise click.UsageError(
                f"cannot specify {_WEBHOOK_FILE} without mode {WEBHOOK}: add it to "
                "--authorization-mode"
            )
        return command(authorizers=AuthorizationConfiguration(modes, webhooks), **others)

    decorated: Callable[..., Any] = with_authorizers
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _webhook(
    file: Path | None, version: str | None, allowed_ns: int | None, other_ns: int | None
) -> WebhookAuthorizerOptions:
    assert file is not None
    # The real server still begins with v1beta1 here; a configuration file has to choose.
    options = WebhookAuthorizerOptions(
        read_webhook_file(file, _WEBHOOK_FILE), version=version or VERSIONS[1]
    )
    if allowed_ns is not None:
        options = attrs.evolve(options, authorized_ttl_ns=allowed_ns)
    if other_ns is not None:
        options = attrs.evolve(options, unauthorized_ttl_ns=other_ns)
    return options


def _configured(path: Path) -> AuthorizationConfiguration:
    hint = f"'{_CONFIG}'"

    def client_of(name: str) -> dict[str, Any]:
        try:
            return read_webhook_file(path.parent / name, _CONFIG)
        except click.BadParameter as error:
            raise AuthorizationConfigurationError(error.message) from error

    try:
        documents = load_documents(path.read_text(encoding="utf-8"), str(path))
        if len(documents) != 1:
            raise click.BadParameter(f"{path}: one object is expected", param_hint=hint)
        return parse_authorization(documents[0], client_of)
    except (OSError, UnicodeDecodeError) as error:
        raise click.BadParameter(f"{path}: it cannot be read: {error}", param_hint=hint) from error
    except (YamlSourceError, AuthorizationConfigurationError) as error:
        raise click.BadParameter(str(error), param_hint=hint) from error


def _duration(_ctx: click.Context, _param: click.Parameter, value: str | None) -> int | None:
    """Nanoseconds."""
    if value is None:
        return None
    number, unit = value[:-1], value[-1:]
    if not number.isdigit() or unit not in _UNITS:
        raise click.BadParameter(f"{value!r} is no duration; write for instance 30s or 5m")
    return int(number) * _UNITS[unit] * SECOND


_OPTIONS: Final = (
    click.option(
        "--authorization-mode",
        help="AlwaysAllow, AlwaysDeny, Node, RBAC, Webhook, or several with commas: they are asked "
        f"in this order.  [default: {','.join(NODE_AND_RBAC)}]",
    ),
    click.option(
        _CONFIG,
        type=_FILE,
        help="An AuthorizationConfiguration instead: several webhooks, with conditions in CEL.",
    ),
    click.option(
        _WEBHOOK_FILE,
        type=_FILE,
        help="A kubeconfig of the program that decides (SubjectAccessReview) in mode Webhook.",
    ),
    click.option(
        "--authorization-webhook-version",
        type=click.Choice(VERSIONS),
        help=f"Of the SubjectAccessReview that is sent.  [default: {VERSIONS[1]}]",
    ),
    click.option(
        "--authorization-webhook-cache-authorized-ttl",
        metavar="DURATION",
        callback=_duration,
        help="How long an answer that allows holds.  [default: 5m]",
    ),
    click.option(
        "--authorization-webhook-cache-unauthorized-ttl",
        metavar="DURATION",
        callback=_duration,
        help="How long any other answer holds.  [default: 30s]",
    ),
)
