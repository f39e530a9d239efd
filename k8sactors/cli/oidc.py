"""Options of a served cluster that say whose tokens of OpenID Connect are taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final

import attrs
import click

from k8sactors.api.located_yaml import YamlSourceError, load_documents
from k8sactors.apiserver.authn.authentication_configuration import (
    issuer_of_options,
    parse_configuration,
)
from k8sactors.apiserver.authn.jwks import KeySet
from k8sactors.apiserver.authn.oidc import Issuer
from k8sactors.apiserver.errors import OidcConfigurationError

_FILE: Final = click.Path(path_type=Path, dir_okay=False)


@attrs.frozen
class ServedIssuers:
    """What the options say; `anonymous` None: nothing of anonymous requests."""

    issuers: tuple[Issuer, ...] = ()
    anonymous: bool | None = None


def oidc_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, handed over as one `issuers`: a `ServedIssuers`."""

    @wraps(command)
    def with_issuers(
        oidc_issuer_url: str,
        oidc_client_id: str,
        oidc_jwks_file: Path | None,
        oidc_username_claim: str,
        oidc_username_prefix: str | None,
        oidc_groups_claim: str,
        oidc_groups_prefix: str,
        oidc_required_claim: tuple[str, ...],
        oidc_signing_algs: str,
        authentication_config: Path | None,
        **others: Any,
    ) -> Any:
        issuers = ServedIssuers()
        try:
            if oidc_issuer_url:
                if authentication_config is not None:
                    raise click.UsageError("--authentication-config excludes --oidc-issuer-url")
                if oidc_jwks_file is None:
                    raise click.UsageError("--oidc-issuer-url needs --oidc-jwks-file")
                issuer = issuer_of_options(
                    url=oidc_issuer_url,
                    client_id=oidc_client_id,
                    keys=_keys(oidc_jwks_file),
                    username_claim=oidc_username_claim,
                    username_prefix=oidc_username_prefix,
                    groups_claim=oidc_groups_claim,
                    groups_prefix=oidc_groups_prefix,
                    required_claims=_required(oidc_required_claim),
                    algorithms=tuple(name.strip() for name in oidc_signing_algs.split(",")),
                )
                issuers = ServedIssuers((issuer,))
            elif oidc_client_id or oidc_jwks_file:
                raise click.UsageError("the options --oidc-... need --oidc-issuer-url")
            if authentication_config is not None:
                issuers = _configured(authentication_config)
        except OidcConfigurationError as error:
            raise click.UsageError(str(error)) from error
        return command(issuers=issuers, **others)

    decorated: Callable[..., Any] = with_issuers
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return decorated


def _required(pairs: tuple[str, ...]) -> dict[str, str]:
    found = [pair.partition("=") for pair in pairs]
    if any(not name or not separator for name, separator, _ in found):
        raise click.UsageError("--oidc-required-claim: expected NAME=VALUE")
    return {name: value for name, _, value in found}


def _keys(path: Path) -> KeySet:
    try:
        return KeySet.read(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise OidcConfigurationError(f"{path}: it cannot be read") from error
    except OidcConfigurationError as error:
        raise OidcConfigurationError(f"{path}: {error}") from error


def _configured(path: Path) -> ServedIssuers:
    try:
        documents = load_documents(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, YamlSourceError) as error:
        raise OidcConfigurationError(f"{path}: it cannot be read: {error}") from error
    read = parse_configuration(
        documents[0].data if documents else None, lambda name: _keys(path.parent / name)
    )
    return ServedIssuers(read.issuers, read.anonymous)


_OPTIONS: Final = (
    click.option("--oidc-issuer-url", default="", help="The issuer of tokens: an https URL."),
    click.option("--oidc-client-id", default="", help="The audience that its tokens name."),
    click.option(
        "--oidc-jwks-file", type=_FILE, help="The issuer's public keys (RFC 7517): none is fetched."
    ),
    click.option(
        "--oidc-username-claim",
        default="sub",
        show_default=True,
        help="The claim that is the user's name.",
    ),
    click.option(
        "--oidc-username-prefix",
        help="Before names of users; -: none.  [default: the issuer and #, unless it is email]",
    ),
    click.option("--oidc-groups-claim", default="", help="The claim that has the user's groups."),
    click.option("--oidc-groups-prefix", default="", help="Before names of groups."),
    click.option(
        "--oidc-required-claim",
        multiple=True,
        metavar="NAME=VALUE",
        help="What a token must claim; may be repeated.",
    ),
    click.option(
        "--oidc-signing-algs",
        default="RS256",
        show_default=True,
        help="Algorithms of signatures, with commas.",
    ),
    click.option(
        "--authentication-config",
        type=_FILE,
        help="An AuthenticationConfiguration: issuers with claim mappings and rules in CEL.",
    ),
)
