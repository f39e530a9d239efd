"""Tokens of OpenID Connect: signed by a configured key, and what their claims mean."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from k8sactors.api.credentials import Credentials
from k8sactors.apiserver.authn.authentication_configuration import (
    issuer_of_options,
    parse_configuration,
)
from k8sactors.apiserver.authn.jwks import KeySet
from k8sactors.apiserver.errors import OidcConfigurationError
from k8sactors.cli.access import ServedAccess, access_options
from k8sactors.cli.oidc import ServedIssuers, oidc_options
from tests.apiserver.conftest import EPOCH_NS, World
from tests.apiserver.test_authentication import ask

URL = "https://issuer.example"
RSA_KEY = rsa.generate_private_key(65537, 2048)
EC_KEY = ec.generate_private_key(ec.SECP256R1())
NOW = EPOCH_NS // 1_000_000_000


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def number(value: int) -> str:
    return encoded(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def key_set() -> dict[str, Any]:
    public, point = RSA_KEY.public_key().public_numbers(), EC_KEY.public_key().public_numbers()
    return {
        "keys": [
            {"kty": "RSA", "kid": "r", "use": "sig", "n": number(public.n), "e": number(public.e)},
            {
                "kty": "EC",
                "kid": "e",
                "crv": "P-256",
                "x": encoded(point.x.to_bytes(32, "big")),
                "y": encoded(point.y.to_bytes(32, "big")),
            },
        ]
    }


KEYS = KeySet.read(json.dumps(key_set()))


def token(algorithm: str = "RS256", *, key: Any = RSA_KEY, **claims: Any) -> str:
    """A token, signed here by other code than the server's."""
    claims = {"iss": URL, "aud": "k8s", "exp": NOW + 600, "sub": "jane", **claims}
    header = {"alg": algorithm, "kid": "e" if algorithm == "ES256" else "r"}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in (header, claims))
    if algorithm == "ES256":
        r, s = utils.decode_dss_signature(EC_KEY.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    elif algorithm == "PS256":
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        signature = key.sign(signed.encode(), pss, hashes.SHA256())
    else:
        signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{encoded(signature)}"


def served(*issuers: Any) -> World:
    world = World()
    world.add_server(oidc_issuers=issuers)
    world.run()
    return world


def options(**more: Any) -> Any:
    return issuer_of_options(url=URL, client_id="k8s", keys=KEYS, **more)


def who(world: World, given: str) -> Any:
    answer = ask(world, Credentials(given))
    return answer.obj["status"]["userInfo"] if answer.code == 201 else answer.code


def test_a_token_s_subject_is_the_user_with_the_issuer_as_prefix() -> None:
    world = served(options())
    assert who(world, token())["username"] == f"{URL}#jane"
    assert who(world, token(aud=["other", "k8s"]))["groups"] == ["system:authenticated"]


def test_claims_and_prefixes_are_chosen_by_options() -> None:
    world = served(
        options(
            username_claim="email",
            groups_claim="teams",
            groups_prefix="oidc:",
            required_claims={"hd": "example"},
        )
    )
    given = token(email="j@example", email_verified=True, teams=["a", "b"], hd="example")
    user = who(world, given)
    assert user["username"] == "j@example"
    assert user["groups"] == ["oidc:a", "oidc:b", "system:authenticated"]
    assert who(world, token(email="j@example", teams="a")) == 401
    unverified = token(email="j@example", email_verified=False, hd="example")
    assert who(world, unverified) == 401
    assert who(served(options(username_prefix="-")), token())["username"] == "jane"
    assert who(served(options(username_prefix="p:")), token())["username"] == "p:jane"


@pytest.mark.parametrize(
    "bad",
    [
        token(exp=NOW - 1),
        token(nbf=NOW + 3600),
        token(aud="other"),
        token(iss="https://other.example"),
        token(sub=""),
        token(sub=7),
        token(key=rsa.generate_private_key(65537, 2048)),
        token("ES256"),
        token()[:-4],
        token().replace(".", ".."),
    ],
)
def test_what_proves_nothing_is_401(bad: str) -> None:
    assert who(served(options()), bad) == 401


def test_only_the_chosen_algorithms_are_taken() -> None:
    world = served(options(algorithms=("ES256", "PS256")))
    assert who(world, token("ES256"))["username"] == f"{URL}#jane"
    assert who(world, token("PS256"))["username"] == f"{URL}#jane"
    assert who(world, token("RS256")) == 401


def configuration(**entry: Any) -> dict[str, Any]:
    return {
        "apiVersion": "apiserver.config.k8s.io/v1",
        "kind": "AuthenticationConfiguration",
        "jwt": [
            {
                "issuer": {"url": URL, "audiences": ["k8s"], "jwksFile": "keys.json"},
                "claimMappings": {"username": {"claim": "sub", "prefix": ""}},
                **entry,
            }
        ],
    }


def test_a_configuration_maps_and_validates_by_expressions() -> None:
    read = parse_configuration(
        configuration(
            claimValidationRules=[
                {"expression": "claims.exp - claims.iat <= 3600", "message": "lives too long"},
                {"claim": "tenant", "requiredValue": "blue"},
            ],
            claimMappings={
                "username": {"expression": "claims.sub + '@' + claims.tenant"},
                "groups": {"expression": "claims.roles.filter(r, r != 'none')"},
                "uid": {"claim": "uid"},
                "extra": [{"key": "example.com/tenant", "valueExpression": "claims.tenant"}],
            },
            userValidationRules=[
                {"expression": "!user.username.startsWith('system:')", "message": "reserved"}
            ],
        ),
        lambda _name: KEYS,
    )
    world = served(*read.issuers)
    good = {"tenant": "blue", "roles": ["dev", "none"], "uid": "u-1", "iat": NOW}
    assert who(world, token(**good)) == {
        "username": "jane@blue",
        "uid": "u-1",
        "groups": ["dev", "system:authenticated"],
        "extra": {"example.com/tenant": ["blue"]},
    }
    assert who(world, token(**{**good, "iat": NOW - 7200})) == 401
    assert who(world, token(**{**good, "tenant": "red"})) == 401
    assert who(world, token(**good, sub="system:admin")) == 401
    # An expression that fails proves nothing either.
    assert who(world, token(tenant="blue", iat=NOW)) == 401


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"kind": "Other"}, "AuthenticationConfiguration"),
        (configuration(issuer={"url": "http://i", "audiences": ["a"]}), "https"),
        (configuration(issuer={"url": URL, "audiences": []}), "audience"),
        (configuration(issuer={"url": URL, "audiences": ["a"]}), "jwksFile"),
        (configuration(claimMappings={"username": {}}), "username"),
        (configuration(claimValidationRules=[{"expression": "claims."}]), "claims."),
    ],
)
def test_a_malformed_configuration_says_what_is_wrong(data: Any, words: str) -> None:
    with pytest.raises(OidcConfigurationError, match=words):
        parse_configuration(data, lambda _name: KEYS)


def test_the_command_reads_options_and_files(tmp_path: Path) -> None:
    seen: list[ServedIssuers] = []

    @click.command()
    @oidc_options
    def command(issuers: ServedIssuers) -> None:
        seen.append(issuers)

    keys, config = tmp_path / "keys.json", tmp_path / "config.yaml"
    keys.write_text(json.dumps(key_set()))
    config.write_text(json.dumps({**configuration(), "anonymous": {"enabled": False}}))
    given = ["--oidc-issuer-url", URL, "--oidc-client-id", "k8s", "--oidc-jwks-file", str(keys)]
    runner = CliRunner()
    assert runner.invoke(command, [*given, "--oidc-required-claim", "a=b"]).exit_code == 0
    assert runner.invoke(command, ["--authentication-config", str(config)]).exit_code == 0
    assert runner.invoke(command, []).exit_code == 0
    assert [(len(each.issuers), each.anonymous) for each in seen] == [
        (1, None),
        (1, False),
        (0, None),
    ]
    assert seen[0].issuers[0].required_claims == {"a": "b"}
    for bad in (given[:4], [*given, "--authentication-config", str(config)], given[2:]):
        assert runner.invoke(command, bad).exit_code == 2
    assert runner.invoke(command, [*given, "--oidc-signing-algs", "HS256"]).exit_code == 2


def test_the_command_reads_who_knows_tokens(tmp_path: Path) -> None:
    seen: list[ServedAccess] = []

    @click.command()
    @access_options
    def command(access: ServedAccess) -> None:
        seen.append(access)

    (tmp_path / "ca.crt").write_text("the CA")
    cluster = {"server": "https://tokens.example/authenticate", "certificate-authority": "ca.crt"}
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "other", "cluster": {}}, {"name": "c", "cluster": cluster}],
        "contexts": [{"name": "w", "context": {"cluster": "c"}}],
        "current-context": "w",
    }
    file = tmp_path / "webhook.yaml"
    given = ["--authentication-token-webhook-config-file", str(file)]
    file.write_text(json.dumps(config))
    result = CliRunner().invoke(command, given)
    assert result.exit_code == 0, result.output
    [access] = seen
    webhook = access.options.webhook_tokens
    assert webhook is not None
    bundle = base64.b64encode(b"the CA").decode()
    assert webhook.client == {"url": "https://tokens.example/authenticate", "caBundle": bundle}
    # Over plain HTTP, too, clients must then show who they are.
    assert not access.trust_plain
    for bad in ({}, {**config, "current-context": "none", "clusters": []}):
        file.write_text(json.dumps(bad))
        assert CliRunner().invoke(command, given).exit_code == 2
    cluster["server"] = "http://tokens.example"
    file.write_text(json.dumps(config))
    assert CliRunner().invoke(command, given).exit_code == 2
