"""Who asks, by what a front door passes on: tokens, certificates, impersonation."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from k8sactors.api import codec, protocol
from k8sactors.api.credentials import Credentials, Impersonation
from k8sactors.api.user import ADMIN_USER, FRONT_PROXY_USER, UserInfo
from k8sactors.apiserver.authn.jwt import SigningKey
from k8sactors.apiserver.authn.service_account import legacy_token
from k8sactors.apiserver.authn.token_file import StaticTokens
from k8sactors.apiserver.errors import InvalidTokenError, TokenFileError
from tests.apiserver.conftest import Answer, World, pod

TOKEN = "s3cr3t-t0ken"
STATIC = StaticTokens.of({TOKEN: UserInfo("alice", "u-1", ("devs",))})
ISSUER = "https://kubernetes.default.svc.cluster.local"
REVIEWS = "selfsubjectreviews.authentication.k8s.io"
KEY = SigningKey.generate()


@pytest.fixture
def world() -> World:
    world = World()
    world.add_server(
        authorization_modes=("RBAC",), static_tokens=STATIC, service_account_key=lambda: KEY
    )
    world.run()
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}}
    assert (
        world.do("create", "serviceaccounts", "default", body=account, user=ADMIN_USER).code == 201
    )
    return world


def ask(world: World, credentials: Credentials | None, verb: str = "", **more: Any) -> Answer:
    """The answer to a request that a front door passes on; by default one that asks who asks."""
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}
    payload = protocol.request(
        verb or "create",
        more.get("resource", REVIEWS),
        more.get("namespace"),
        more.get("name"),
        body=None if verb else codec.encode_value(body),
        user=credentials,
    )
    return world.ask(payload, FRONT_PROXY_USER)


def who(world: World, credentials: Credentials) -> Any:
    answer = ask(world, credentials)
    assert answer.code == 201, answer.status
    return answer.obj["status"]["userInfo"]


def is_unknown(world: World, token: str) -> bool:
    answer = ask(world, Credentials(token))
    if answer.code == 201:
        return False
    assert answer.code == 401
    assert (answer.status["reason"], answer.status["message"]) == ("Unauthorized", "Unauthorized")
    assert token not in json.dumps(answer.status)
    return True


def token_of(world: World, spec: dict[str, Any] | None = None, name: str = "app") -> Answer:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec or {}}
    where = ("create", "serviceaccounts", "default", name)
    return world.do(*where, subresource="token", body=body, user=ADMIN_USER)


def issued(world: World, spec: dict[str, Any] | None = None) -> str:
    answer = token_of(world, spec)
    assert answer.code == 201, answer.status
    token: str = answer.obj["status"]["token"]
    return token


def claims(token: str) -> Any:
    body = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))


def test_a_token_of_the_file(world: World) -> None:
    assert who(world, Credentials(TOKEN)) == {
        "username": "alice",
        "uid": "u-1",
        "groups": ["devs", "system:authenticated"],
    }
    assert is_unknown(world, TOKEN + "x")


def test_a_certificate_counts_before_a_token(world: World) -> None:
    subject = UserInfo("carol", groups=("ops",))
    assert who(world, Credentials(TOKEN, subject))["username"] == "carol"


def test_without_credentials_a_client_is_anonymous_where_that_is_allowed(world: World) -> None:
    answer = ask(world, Credentials(), "list", resource="pods", namespace="default")
    assert answer.code == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in answer.status["message"]
    strict = World()
    strict.add_server(authorization_modes=("RBAC",), anonymous_auth=False)
    strict.run()
    assert ask(strict, Credentials(), "list", resource="pods").code == 401


# Tokens of ServiceAccounts


def test_a_token_of_an_account_names_it_and_expires_by_the_clock(world: World) -> None:
    answer = token_of(world, {"expirationSeconds": 600})
    token = answer.obj["status"]["token"]
    uid = world.do("get", "serviceaccounts", "default", "app", user=ADMIN_USER).obj["metadata"][
        "uid"
    ]
    assert claims(token)["sub"] == "system:serviceaccount:default:app"
    user = who(world, Credentials(token))
    assert (user["username"], user["uid"]) == ("system:serviceaccount:default:app", uid)
    assert user["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]
    world.advance(599)
    assert not is_unknown(world, token)
    world.advance(2)
    assert is_unknown(world, token)


def test_a_token_ends_with_its_account_even_if_one_of_the_same_name_comes(world: World) -> None:
    token = issued(world)
    world.do("delete", "serviceaccounts", "default", "app", user=ADMIN_USER)
    assert is_unknown(world, token)
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}}
    world.do("create", "serviceaccounts", "default", body=account, user=ADMIN_USER)
    assert is_unknown(world, token)


def test_a_bound_token_ends_with_its_pod(world: World) -> None:
    running = pod("a")
    running["spec"]["serviceAccountName"] = "app"
    world.do("create", "pods", "default", body=running, user=ADMIN_USER)
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "a"}
    token = issued(world, {"boundObjectRef": reference})
    extra = who(world, Credentials(token))["extra"]
    assert extra["authentication.kubernetes.io/pod-name"] == ["a"]
    options = {"gracePeriodSeconds": 0}
    assert world.do("delete", "pods", "default", "a", user=ADMIN_USER, **options).code == 200
    assert is_unknown(world, token)


def test_a_token_is_bound_to_pods_of_its_account_alone(world: World) -> None:
    world.do("create", "pods", "default", body=pod("other"), user=ADMIN_USER)
    reference = {"kind": "Pod", "apiVersion": "v1", "name": "other"}
    assert token_of(world, {"boundObjectRef": reference}).code == 400
    missing = {**reference, "name": "nope"}
    assert token_of(world, {"boundObjectRef": missing}).code == 404
    kind = {**reference, "kind": "ConfigMap"}
    assert token_of(world, {"boundObjectRef": kind}).code == 400


@pytest.mark.parametrize("seconds", [0, 599, (1 << 32) + 1])
def test_how_long_a_token_may_be_good_for(world: World, seconds: int) -> None:
    answer = token_of(world, {"expirationSeconds": seconds})
    assert answer.code == 422
    assert answer.status["details"]["causes"][0]["field"] == "spec.expirationSeconds"


def test_an_account_that_does_not_exist_gets_no_token(world: World) -> None:
    assert token_of(world, name="nope").code == 404


def test_a_token_for_others_is_not_good_for_the_server(world: World) -> None:
    token = issued(world, {"audiences": ["vault"]})
    assert is_unknown(world, token)


def test_tokens_that_were_tampered_with_prove_nothing(world: World) -> None:
    token = issued(world)
    head, body, signature = token.split(".")
    forged = {**claims(token), "sub": "system:serviceaccount:kube-system:admin"}
    other = base64.urlsafe_b64encode(json.dumps(forged).encode()).rstrip(b"=").decode()
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    flipped = "A" if signature[0] != "A" else "B"
    for bad in (
        f"{head}.{other}.{signature}",
        f"{none}.{body}.",
        f"{none}.{other}.{signature}",
        f"{head}.{body}.{flipped}{signature[1:]}",
        f"{head}.{body}",
        "a.b.c",
        "..",
        "ä.ö.ü",
        "x" * 20_000,
        SigningKey.generate().sign(claims(token)),
    ):
        assert is_unknown(world, bad), bad


def test_keys_of_both_kinds_sign_and_say_how_to_verify() -> None:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - slow to load

    keys = (KEY, SigningKey(rsa.generate_private_key(65537, 2048)))
    for key, kind in zip(keys, ("EC", "RSA"), strict=True):
        token = key.sign({"a": 1})
        assert key.verify(token) == {"a": 1}
        assert SigningKey.from_pem(key.to_pem()).key_id == key.key_id
        jwk = key.public_jwk()
        assert (jwk["kty"], jwk["kid"]) == (kind, key.key_id)
        assert "d" not in jwk
        with pytest.raises(InvalidTokenError):
            KEY.verify(SigningKey.generate().sign({"a": 1}))
    assert str(KEY.to_pem()) not in repr(KEY)


def test_the_same_seed_gives_the_same_tokens() -> None:
    worlds = [World(), World()]
    tokens = []
    for each in worlds:
        each.add_server()
        each.run()
        account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}}
        each.do("create", "serviceaccounts", "default", body=account, user=ADMIN_USER)
        tokens.append(issued(each))
    assert tokens[0] == tokens[1]


def test_other_programs_learn_how_to_verify_tokens(world: World) -> None:
    def page(path: str) -> Any:
        options = {"verb": "get", "group": "", "resource": "", "path": path}
        payload = protocol.request(protocol.ACCESS, "", options=options, user=ADMIN_USER)
        payload[2:5] = ["", "", ""]
        answer = world.ask(payload, FRONT_PROXY_USER)
        return json.loads(answer.payload[2][1])

    configuration = page("/.well-known/openid-configuration")
    assert configuration["issuer"] == ISSUER
    assert configuration["jwks_uri"].endswith("/openid/v1/jwks")
    assert page("/openid/v1/jwks") == {"keys": [KEY.public_jwk()]}


# Bootstrap tokens


def bootstrap_secret(**data: str) -> dict[str, Any]:
    known = {
        "token-id": "abcdef",
        "token-secret": "0123456789abcdef",
        "usage-bootstrap-authentication": "true",
        "auth-extra-groups": "system:bootstrappers:kubeadm",
        **data,
    }
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "bootstrap.kubernetes.io/token",
        "metadata": {"name": "bootstrap-token-abcdef"},
        "data": {key: base64.b64encode(text.encode()).decode() for key, text in known.items()},
    }


def test_a_bootstrap_token_is_good_until_it_expires(world: World) -> None:
    assert is_unknown(world, "abcdef.0123456789abcdef")
    secret = bootstrap_secret(expiration="2025-01-01T00:10:00Z")
    assert world.do("create", "secrets", "kube-system", body=secret, user=ADMIN_USER).code == 201
    assert who(world, Credentials("abcdef.0123456789abcdef")) == {
        "username": "system:bootstrap:abcdef",
        "groups": ["system:bootstrappers", "system:bootstrappers:kubeadm", "system:authenticated"],
    }
    assert is_unknown(world, "abcdef.0123456789abcdeg")
    world.advance(601)
    assert is_unknown(world, "abcdef.0123456789abcdef")


def test_a_bootstrap_token_for_something_else_is_not_for_authentication(world: World) -> None:
    secret = bootstrap_secret(**{"usage-bootstrap-authentication": "false"})
    world.do("create", "secrets", "kube-system", body=secret, user=ADMIN_USER)
    assert is_unknown(world, "abcdef.0123456789abcdef")


# Token reviews


def token_review(world: World, **spec: Any) -> Any:
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": spec}
    answer = world.do("create", "tokenreviews.authentication.k8s.io", body=body, user=ADMIN_USER)
    assert answer.code == 201
    return answer.obj["status"]


def test_a_token_review_tells_whose_a_token_is(world: World) -> None:
    status = token_review(world, token=TOKEN)
    assert status["authenticated"] is True
    assert status["user"]["username"] == "alice"
    status = token_review(world, token=issued(world, {"audiences": ["vault"]}), audiences=["vault"])
    assert status["audiences"] == ["vault"]
    assert status["user"]["username"] == "system:serviceaccount:default:app"
    assert token_review(world, token="nope") == {"user": {}, "error": "invalid bearer token"}
    body = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {}}
    answer = world.do("create", "tokenreviews.authentication.k8s.io", body=body, user=ADMIN_USER)
    assert answer.code == 400


# Impersonation


def test_an_administrator_acts_as_others(world: World) -> None:
    def acting(*args: Any) -> Any:
        return who(world, Credentials(subject=ADMIN_USER, impersonation=Impersonation(*args)))

    assert acting("bob", "u-2", ("ops",), {"scopes": ["a"]}) == {
        "username": "bob",
        "uid": "u-2",
        "groups": ["ops", "system:authenticated"],
        "extra": {"scopes": ["a"]},
    }
    assert acting("system:serviceaccount:default:app")["groups"] == [
        "system:serviceaccounts",
        "system:serviceaccounts:default",
        "system:authenticated",
    ]


@pytest.mark.parametrize(
    ("wanted", "resource"),
    [
        (Impersonation("bob"), 'resource "users" in API group ""'),
        (Impersonation("system:serviceaccount:a:b"), 'resource "serviceaccounts" in API group ""'),
        (Impersonation("allowed", groups=("ops",)), 'resource "groups" in API group ""'),
        (Impersonation("allowed", "u"), 'resource "uids" in API group "authentication.k8s.io"'),
        (Impersonation("allowed", extra={"k": ["v"]}), 'resource "userextras/k" in API group "au'),
    ],
)
def test_every_part_needs_the_right_to_impersonate(
    world: World, wanted: Impersonation, resource: str
) -> None:
    group = "rbac.authorization.k8s.io"
    rules = [{"verbs": ["impersonate"], "apiGroups": [""], "resources": ["users"]}]
    rules[0]["resourceNames"] = ["allowed"]
    common = {"apiVersion": f"{group}/v1", "metadata": {"name": "r"}}
    role = {**common, "kind": "ClusterRole", "rules": rules}
    binding = {
        **common,
        "kind": "ClusterRoleBinding",
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "r"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "alice"}],
    }
    for plural, obj in (("clusterroles", role), ("clusterrolebindings", binding)):
        assert world.do("create", f"{plural}.{group}", body=obj, user=ADMIN_USER).code == 201
    assert who(world, Credentials(TOKEN, impersonation=Impersonation("allowed")))
    answer = ask(world, Credentials(TOKEN, impersonation=wanted))
    assert answer.code == 403
    assert f'User "alice" cannot impersonate {resource}' in answer.status["message"]


# What is shown of secrets


def test_credentials_and_their_holders_show_no_token() -> None:
    assert TOKEN not in repr(Credentials(TOKEN))
    assert TOKEN not in repr(STATIC)


def test_a_token_is_in_no_log_and_no_error(world: World) -> None:
    token = issued(world)
    for shown in (token, TOKEN, token[:-3] + "abc", "not-a-token"):
        ask(world, Credentials(shown))
        ask(world, Credentials(shown), "get", resource="pods", namespace="default", name="a")
    context: Any = world.server.ctx
    seen = [*context.logged, *world.server.internal_errors, repr(world.server.audit.records)]
    assert not any(token[:40] in text or TOKEN in text for text in map(str, seen))


@pytest.mark.parametrize(
    ("text", "place"),
    [(f"{TOKEN}\n", ":1:"), (f"a,b,c\n{TOKEN},\n", ":2:"), (f",{TOKEN},x", ":1:")],
)
def test_a_malformed_file_is_refused_without_showing_its_tokens(
    tmp_path: Path, text: str, place: str
) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(text)
    with pytest.raises(TokenFileError) as caught:
        StaticTokens.read(path)
    assert place in str(caught.value)
    assert TOKEN not in str(caught.value)


def test_a_file_of_tokens(tmp_path: Path) -> None:
    path = tmp_path / "tokens.csv"
    path.write_text(f'# users\n{TOKEN},alice,u-1,"devs,ops"\nt2, bob, u-2\n')
    tokens = StaticTokens.read(path)
    assert tokens.user_of(TOKEN) == UserInfo("alice", "u-1", ("devs", "ops"))
    assert tokens.user_of("t2") == UserInfo("bob", "u-2")
    assert tokens.user_of("") is None
    with pytest.raises(TokenFileError, match="No such file"):
        StaticTokens.read(tmp_path / "nope")


@pytest.mark.parametrize("fields", [{"token": 1}, {"subject": ["a"]}, {"impersonate": [""]}])
def test_malformed_credentials_of_a_proxy_are_refused(world: World, fields: Any) -> None:
    payload = [*protocol.request("list", "pods", "default"), fields]
    assert world.ask(payload, FRONT_PROXY_USER).code == 400


def test_credentials_are_taken_from_a_proxy_alone(world: World) -> None:
    payload = protocol.request("list", "pods", "default", user=Credentials(TOKEN))
    assert world.ask(payload, UserInfo("mallory")).code == 403


def test_a_token_in_a_secret_is_good_as_long_as_the_secret_holds_it(world: World) -> None:
    uid = world.do("get", "serviceaccounts", "default", "app", user=ADMIN_USER).obj["metadata"][
        "uid"
    ]
    token = legacy_token(KEY, "default", "app", uid, "app-token")
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": "app-token",
            "annotations": {"kubernetes.io/service-account.name": "app"},
        },
        "type": "kubernetes.io/service-account-token",
        "data": {"token": base64.b64encode(token.encode()).decode()},
    }
    assert ask(world, Credentials(token)).code == 401
    assert world.do("create", "secrets", "default", body=secret, user=ADMIN_USER).code == 201
    user = who(world, Credentials(token))
    assert user["username"] == "system:serviceaccount:default:app"
    assert user["uid"] == uid
    other = legacy_token(SigningKey.generate(), "default", "app", uid, "app-token")
    assert ask(world, Credentials(other)).code == 401
    world.do("delete", "secrets", "default", "app-token", user=ADMIN_USER)
    assert ask(world, Credentials(token)).code == 401
