"""The file of `--authentication-config`: which issuers of tokens are trusted, and who is anonymous.

`apiserver.config.k8s.io`, kind AuthenticationConfiguration. Instead of fetching an issuer's keys,
the server reads them from `issuer.jwksFile`, a field of its own. Source: documentation of
authentication, "Authentication configuration from a file".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from k8sactors.apiserver.authn.jwks import ALGORITHMS, KeySet
from k8sactors.apiserver.authn.oidc import Issuer, Mapped, Rule, expression
from k8sactors.apiserver.errors import OidcConfigurationError

_VERSIONS: Final = frozenset(
    f"apiserver.config.k8s.io/{version}" for version in ("v1", "v1beta1", "v1alpha1")
)
_HTTPS: Final = "https://"


@attrs.frozen
class AuthenticationConfiguration:
    """What such a file says; `anonymous` None: nothing of anonymous requests."""

    issuers: tuple[Issuer, ...] = ()
    anonymous: bool | None = None


def parse_configuration(
    data: Any, read_keys: Callable[[str], KeySet]
) -> AuthenticationConfiguration:
    """The configuration in a document; `read_keys` reads the key set of a file.

    Raises:
        OidcConfigurationError: it is malformed.
    """
    if (
        not isinstance(data, Mapping)
        or data.get("kind") != "AuthenticationConfiguration"
        or data.get("apiVersion") not in _VERSIONS
    ):
        raise OidcConfigurationError("expected an AuthenticationConfiguration")
    try:
        issuers = tuple(_issuer(each, read_keys) for each in data.get("jwt") or ())
        anonymous = data.get("anonymous")
        enabled = None if anonymous is None else bool(anonymous.get("enabled"))
    except (AttributeError, KeyError, TypeError) as error:
        raise OidcConfigurationError(f"malformed: {error}") from error
    if len({issuer.url for issuer in issuers}) < len(issuers):
        raise OidcConfigurationError("jwt: each issuer needs another url")
    return AuthenticationConfiguration(issuers, enabled)


def _issuer(entry: Mapping[str, Any], read_keys: Callable[[str], KeySet]) -> Issuer:
    issuer, mappings = entry["issuer"], entry["claimMappings"]
    url, audiences = issuer["url"], tuple(issuer.get("audiences") or ())
    if not url.startswith(_HTTPS):
        raise OidcConfigurationError(f"issuer.url: {url}: URL scheme must be https")
    if not audiences:
        raise OidcConfigurationError("issuer.audiences: at least one audience is required")
    if not issuer.get("jwksFile"):
        raise OidcConfigurationError("issuer.jwksFile: keys are read from a file, none is named")
    rules = entry.get("claimValidationRules") or ()
    username = _mapped(mappings["username"])
    if not username.claim and username.expression is None:
        raise OidcConfigurationError("claimMappings.username: claim or expression is required")
    return Issuer(
        url,
        audiences,
        read_keys(issuer["jwksFile"]),
        username,
        _mapped(mappings.get("groups") or {}),
        _mapped(mappings.get("uid") or {}),
        {
            each["key"]: Mapped(expression=expression(each["valueExpression"]))
            for each in mappings.get("extra") or ()
        },
        {rule["claim"]: rule.get("requiredValue", "") for rule in rules if rule.get("claim")},
        _rules(rules),
        _rules(entry.get("userValidationRules") or ()),
        ALGORITHMS,
    )


def _mapped(mapping: Mapping[str, Any]) -> Mapped:
    source = mapping.get("expression")
    if source and mapping.get("claim"):
        raise OidcConfigurationError("claim and expression cannot both be set")
    compiled = expression(source) if source else None
    return Mapped(mapping.get("claim") or "", mapping.get("prefix") or "", compiled)


def _rules(rules: Any) -> tuple[Rule, ...]:
    return tuple(
        Rule(expression(rule["expression"]), rule.get("message") or "")
        for rule in rules
        if rule.get("expression")
    )


def issuer_of_options(
    *,
    url: str,
    client_id: str,
    keys: KeySet,
    username_claim: str = "sub",
    username_prefix: str | None = None,
    groups_claim: str = "",
    groups_prefix: str = "",
    required_claims: Mapping[str, str] | None = None,
    algorithms: tuple[str, ...] = ("RS256",),
) -> Issuer:
    """The issuer that the options `--oidc-...` describe.

    Without a prefix, names of users begin with the issuer's URL and `#`, unless they are emails;
    the prefix `-` stands for none.

    Raises:
        OidcConfigurationError: they describe none.
    """
    if not url.startswith(_HTTPS):
        raise OidcConfigurationError(f'oidc-issuer-url: "{url}": URL scheme must be https')
    if not client_id:
        raise OidcConfigurationError(
            "oidc-issuer-url and oidc-client-id must be specified together"
        )
    unknown = [name for name in algorithms if name not in ALGORITHMS]
    if unknown:
        raise OidcConfigurationError(f"oidc-signing-algs: unsupported: {', '.join(unknown)}")
    prefix = username_prefix
    if prefix is None:
        prefix = "" if username_claim == "email" else f"{url}#"
    elif prefix == "-":
        prefix = ""
    return Issuer(
        url,
        (client_id,),
        keys,
        Mapped(username_claim, prefix),
        Mapped(groups_claim, groups_prefix),
        required_claims=dict(required_claims or {}),
        algorithms=algorithms,
    )
