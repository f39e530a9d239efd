"""Options of a served cluster that say who may ask, and what they may do."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, Final, TextIO

import attrs
import click

from k8sactors.api.located_yaml import YamlSourceError, load_documents
from k8sactors.apiserver.audit_policy import AuditOptions, AuditPolicy
from k8sactors.apiserver.authn.token_file import StaticTokens
from k8sactors.apiserver.authn.webhook_token import WebhookTokenOptions
from k8sactors.apiserver.authz.authorization_configuration import AuthorizationConfiguration
from k8sactors.apiserver.errors import AuditPolicyError, TokenFileError
from k8sactors.cli.authorization import authorization_options
from k8sactors.cli.oidc import ServedIssuers, oidc_options
from k8sactors.cli.webhook_file import read_webhook_file
from k8sactors.cluster.access import AccessOptions

_AUTHENTICATION_WEBHOOK: Final = "--authentication-token-webhook-config-file"


@attrs.frozen
class ServedAccess:
    """What the options say. `plain_http`: programs of the same machine may ask without TLS."""

    options: AccessOptions
    cert_dir: Path | None
    client_ca: Path | None
    plain_http: bool
    # Whether plain clients are the administrator, and show no credentials.
    trust_plain: bool


def access_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options, handed over as one `access`: a `ServedAccess`."""

    @wraps(command)
    def with_access(
        token_auth_file: Path | None,
        client_ca_file: Path | None,
        cert_dir: Path | None,
        authorizers: AuthorizationConfiguration,
        anonymous_auth: str | None,
        insecure_http: bool,
        audit_policy_file: Path | None,
        audit_log_path: str | None,
        issuers: ServedIssuers,
        authentication_token_webhook_config_file: Path | None,
        **others: Any,
    ) -> Any:
        try:
            static = (
                StaticTokens() if token_auth_file is None else StaticTokens.read(token_auth_file)
            )
        except TokenFileError as error:
            raise click.BadParameter(str(error), param_hint="'--token-auth-file'") from error
        audit = _audit(audit_policy_file, audit_log_path)
        if issuers.anonymous is not None and anonymous_auth is not None:
            raise click.UsageError(
                "--anonymous-auth and anonymous in --authentication-config exclude each other"
            )
        anonymous = anonymous_auth != "false" and issuers.anonymous is not False
        asked = authentication_token_webhook_config_file
        webhook = None
        if asked is not None:
            webhook = WebhookTokenOptions(read_webhook_file(asked, _AUTHENTICATION_WEBHOOK))
        options = AccessOptions(
            authorizers.modes,
            authorizers.webhooks,
            anonymous,
            static,
            oidc_issuers=issuers.issuers,
            webhook_tokens=webhook,
            audit=audit,
        )
        problems = options.problems()
        if problems:
            raise click.BadParameter("; ".join(problems), param_hint="'--authorization-mode'")
        trusted = (
            token_auth_file is None
            and anonymous_auth is None
            and not issuers.issuers
            and webhook is None
            and issuers.anonymous is None
        )
        access = ServedAccess(options, cert_dir, client_ca_file, insecure_http, trusted)
        return command(access=access, **others)

    decorated: Callable[..., Any] = with_access
    for option in reversed(_OPTIONS):
        decorated = option(decorated)
    return authorization_options(oidc_options(decorated))


def _audit(policy: Path | None, log: str | None) -> AuditOptions | None:
    """What is written down of requests; a mistake ends the program with status 2."""
    if (policy is None) != (log is None):
        raise click.UsageError("--audit-policy-file and --audit-log-path go together")
    if policy is None or log is None:
        return None
    hint = "'--audit-policy-file'"
    try:
        documents = load_documents(policy.read_text(encoding="utf-8"), str(policy))
        known = AuditPolicy.of(documents[0].data if documents else None)
    except (OSError, UnicodeDecodeError, YamlSourceError) as error:
        raise click.BadParameter(str(error), param_hint=hint) from error
    except AuditPolicyError as error:
        raise click.BadParameter(f"{policy}: {error}", param_hint=hint) from error
    if log == "-":
        return AuditOptions(known, lambda line: click.echo(line, nl=False))
    try:
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        text = f"{log}: {error.strerror}"
        raise click.BadParameter(text, param_hint="'--audit-log-path'") from error
    # Open as long as the program runs; a line is in the file when its request has been answered.
    file = os.fdopen(descriptor, "a", encoding="utf-8", buffering=1)
    return AuditOptions(known, lambda line: _write(file, line))


def _write(file: TextIO, line: str) -> None:
    file.write(line)


_OPTIONS: Final = (
    click.option(
        "--token-auth-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help='Tokens of users, a line each: token,user,uid,"group1,group2". Clients over plain '
        "HTTP must then show who they are, too.",
    ),
    click.option(
        "--client-ca-file",
        type=click.Path(path_type=Path, dir_okay=False, exists=True),
        help="A CA whose client certificates are taken, next to the cluster's own.",
    ),
    click.option(
        "--cert-dir",
        type=click.Path(path_type=Path, file_okay=False),
        help="Where the CA, the server's certificate and the key of tokens are kept.  [default: "
        "made at each start]",
    ),
    click.option(
        "--anonymous-auth",
        type=click.Choice(("true", "false")),
        help="Whether a client that shows nothing is system:anonymous, or gets 401.  [default: "
        "true; over plain HTTP it is the administrator unless this is given]",
    ),
    click.option(
        _AUTHENTICATION_WEBHOOK,
        type=click.Path(path_type=Path, dir_okay=False),
        help="A kubeconfig of the program that is asked (TokenReview) about tokens that are not "
        "known here.",
    ),
    click.option(
        "--audit-policy-file",
        type=click.Path(path_type=Path, dir_okay=False),
        help="A Policy (audit.k8s.io/v1): how much of which request is written down.",
    ),
    click.option(
        "--audit-log-path",
        help="The file to which a line of JSON is added for each such request; -: standard output.",
    ),
    click.option(
        "--insecure-http/--no-insecure-http",
        default=True,
        show_default=True,
        help="Whether programs of this machine may ask without TLS on the same port.",
    ),
)
