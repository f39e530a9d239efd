"""The file of `--authorization-config`: which authorizers are asked, and in which order.

`apiserver.config.k8s.io`, kind AuthorizationConfiguration. What is wrong is told with its place in
the file, in the words of the real server. Source: documentation of authorization, "Using a
configuration file for authorization".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

import attrs

from k8sactors.api.located_yaml import Document, KeyPath
from k8sactors.apiserver.authz.authorizer import MODES, WEBHOOK
from k8sactors.apiserver.authz.webhook import compile_condition, condition_errors
from k8sactors.apiserver.errors import AuthorizationConfigurationError
from k8sactors.apiserver.webhook_authorizer_options import (
    TIMEOUT_S,
    VERSIONS,
    WebhookAuthorizerOptions,
)
from k8sactors.simulation import SECOND

Object = dict[str, Any]

KIND: Final = "AuthorizationConfiguration"
_API_VERSIONS: Final = tuple(f"apiserver.config.k8s.io/{each}" for each in ("v1", "v1beta1"))
_NO_OPINION, _DENY = "NoOpinion", "Deny"
_POLICIES: Final = (_DENY, _NO_OPINION)
_KUBECONFIG, _IN_CLUSTER = "KubeConfigFile", "InClusterConfig"
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_NAME_CHARACTERS_MAX: Final = 253
_CONDITIONS_MAX: Final = 64
_DURATION: Final = re.compile(r"(?:(\d+(?:\.\d*)?)(ms|h|m|s))")
_UNITS: Final = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
_AUTHORIZER_FIELDS: Final = frozenset({"type", "name", "webhook"})
_WEBHOOK_FIELDS: Final = frozenset(
    {
        "authorizedTTL",
        "cacheAuthorizedRequests",
        "unauthorizedTTL",
        "cacheUnauthorizedRequests",
        "timeout",
        "subjectAccessReviewVersion",
        "matchConditionSubjectAccessReviewVersion",
        "failurePolicy",
        "connectionInfo",
        "matchConditions",
    }
)


@attrs.frozen
class AuthorizationConfiguration:
    """The modes in their order, and a webhook for each mode `Webhook`."""

    modes: tuple[str, ...]
    webhooks: tuple[WebhookAuthorizerOptions, ...] = ()


def parse_authorization(
    document: Document, client_of: Callable[[str], Object]
) -> AuthorizationConfiguration:
    """The configuration in a document; `client_of` has the `clientConfig` of a kubeconfig file.

    Raises:
        AuthorizationConfigurationError: it is malformed.
    """
    reader = _Reader(document, client_of)
    found = reader.read()
    if reader.problems:
        raise AuthorizationConfigurationError("\n".join(reader.problems))
    return found


class _Reader:
    """Reads one document, and gathers what is wrong with it."""

    def __init__(self, document: Document, client_of: Callable[[str], Object]) -> None:
        self._document = document
        self._client_of = client_of
        self.problems: list[str] = []

    def read(self) -> AuthorizationConfiguration:
        """The configuration; `problems` has what is wrong."""
        data = self._document.data
        if not isinstance(data, Mapping) or data.get("kind") != KIND:
            self._wrong((), f"expected an object of kind {KIND}")
            return AuthorizationConfiguration(())
        if data.get("apiVersion") not in _API_VERSIONS:
            self._unsupported(("apiVersion",), data.get("apiVersion"), _API_VERSIONS)
        self._known((), data, frozenset({"apiVersion", "kind", "authorizers"}))
        entries = data.get("authorizers")
        if not isinstance(entries, list) or not entries:
            self._wrong(
                ("authorizers",), "Required value: at least one authorization mode must be defined"
            )
            return AuthorizationConfiguration(())
        modes: list[str] = []
        names: set[str] = set()
        webhooks: list[WebhookAuthorizerOptions] = []
        for index, entry in enumerate(entries):
            path: KeyPath = ("authorizers", index)
            if not self._is_object(path, entry):
                continue
            self._known(path, entry, _AUTHORIZER_FIELDS)
            mode, name = entry.get("type"), entry.get("name")
            if mode not in MODES:
                self._unsupported((*path, "type"), mode, MODES)
            elif mode != WEBHOOK and mode in modes:
                self._wrong((*path, "type"), f'Duplicate value: "{mode}"')
            modes.append(str(mode))
            self._name((*path, "name"), name, names)
            settings = entry.get("webhook")
            if mode != WEBHOOK:
                if settings is not None:
                    text = f"Invalid value: may only be specified when type={WEBHOOK}"
                    self._wrong((*path, "webhook"), text)
            elif settings is None:
                self._wrong((*path, "webhook"), f"Required value: required when type={WEBHOOK}")
            elif self._is_object((*path, "webhook"), settings):
                webhooks.append(self._webhook((*path, "webhook"), str(name), settings))
        return AuthorizationConfiguration(tuple(modes), tuple(webhooks))

    def _name(self, path: KeyPath, name: Any, names: set[str]) -> None:
        if not isinstance(name, str) or not name:
            self._wrong(path, "Required value")
        elif len(name) > _NAME_CHARACTERS_MAX or not _NAME.fullmatch(name):
            self._wrong(
                path,
                f'Invalid value: "{name}": the name must be a lowercase RFC 1123 subdomain',
            )
        elif name in names:
            self._wrong(path, f'Duplicate value: "{name}"')
        else:
            names.add(name)

    def _webhook(self, path: KeyPath, name: str, given: Object) -> WebhookAuthorizerOptions:
        self._known(path, given, _WEBHOOK_FIELDS)
        timeout_s = self._seconds((*path, "timeout"), given.get("timeout"), None)
        if timeout_s > TIMEOUT_S:
            self._wrong((*path, "timeout"), f'Invalid value: "{given["timeout"]}": must be <= 30s')
        policy = given.get("failurePolicy")
        self._choice((*path, "failurePolicy"), policy, _POLICIES)
        version = given.get("subjectAccessReviewVersion")
        self._choice((*path, "subjectAccessReviewVersion"), version, VERSIONS)
        return WebhookAuthorizerOptions(
            self._client((*path, "connectionInfo"), given.get("connectionInfo")),
            name,
            self._ttl(path, given, "authorizedTTL", "cacheAuthorizedRequests", 300.0),
            self._ttl(path, given, "unauthorizedTTL", "cacheUnauthorizedRequests", 30.0),
            timeout_s,
            str(version),
            policy == _DENY,
            self._conditions(path, given),
        )

    def _ttl(self, path: KeyPath, given: Object, field: str, switch: str, default_s: float) -> int:
        kept = given.get(switch, True)
        if not isinstance(kept, bool):
            self._wrong((*path, switch), "Invalid value: expected true or false")
        seconds = self._seconds((*path, field), given.get(field), default_s)
        return round(seconds * SECOND) if kept else 0

    def _seconds(self, path: KeyPath, value: Any, default: float | None) -> float:
        if value is None and default is not None:
            return default
        if value is None:
            self._wrong(path, "Required value")
            return 1.0
        parts = _DURATION.findall(value) if isinstance(value, str) else []
        if "".join(map("".join, parts)) != value:
            self._wrong(path, f"Invalid value: {value!r}: expected a duration such as 3s or 1m30s")
            return 1.0
        seconds = sum(float(number) * _UNITS[unit] for number, unit in parts)
        if seconds <= 0:
            self._wrong(path, f'Invalid value: "{value}": must be > 0s')
        return seconds

    def _conditions(self, path: KeyPath, given: Object) -> tuple[str, ...]:
        listed = given.get("matchConditions") or []
        version = given.get("matchConditionSubjectAccessReviewVersion")
        where: KeyPath = (*path, "matchConditionSubjectAccessReviewVersion")
        if version is None and listed:
            self._wrong(where, "Required value: required if match conditions are specified")
        elif version is not None:
            self._choice(where, version, VERSIONS[:1])
        path = (*path, "matchConditions")
        if not isinstance(listed, list) or len(listed) > _CONDITIONS_MAX:
            self._wrong(path, f"Invalid value: expected a list of at most {_CONDITIONS_MAX}")
            return ()
        expressions: list[str] = []
        for index, entry in enumerate(listed):
            where = (*path, index, "expression")
            text = entry.get("expression") if isinstance(entry, Mapping) else None
            if not isinstance(text, str) or not text.strip():
                self._wrong(where, "Required value")
                continue
            if text in expressions:
                self._wrong(where, f'Duplicate value: "{text}"')
            try:
                compile_condition(text)
            except condition_errors() as error:
                self._wrong(where, f'Invalid value: "{text}": compilation failed: {error}')
            expressions.append(text)
        return tuple(expressions)

    def _client(self, path: KeyPath, given: Any) -> Object:
        if given is None:
            self._wrong(path, "Required value")
            return {}
        if not self._is_object(path, given):
            return {}
        kind = given.get("type")
        if kind == _IN_CLUSTER:
            self._wrong(
                (*path, "type"), f"{_IN_CLUSTER} needs a server in a pod: use {_KUBECONFIG}"
            )
            return {}
        self._choice((*path, "type"), kind, (_IN_CLUSTER, _KUBECONFIG))
        file = given.get("kubeConfigFile")
        where: KeyPath = (*path, "kubeConfigFile")
        if not isinstance(file, str) or not file:
            self._wrong(where, "Required value")
            return {}
        try:
            return self._client_of(file)
        except AuthorizationConfigurationError as error:
            self._wrong(where, f"Invalid value: {error}")
            return {}

    def _is_object(self, path: KeyPath, value: Any) -> bool:
        if not isinstance(value, Mapping):
            self._wrong(path, "expected an object")
            return False
        return True

    def _known(self, path: KeyPath, given: Mapping[str, Any], fields: frozenset[str]) -> None:
        for name in given:
            if name not in fields:
                text = f"unknown field; known are {', '.join(sorted(fields))}"
                self._wrong((*path, name), text, at_key=True)

    def _choice(self, path: KeyPath, value: Any, supported: tuple[str, ...]) -> None:
        if value is None or value == "":
            self._wrong(path, f"Required value: one of {', '.join(supported)}")
        elif value not in supported:
            self._unsupported(path, value, supported)

    def _unsupported(self, path: KeyPath, value: Any, supported: tuple[str, ...]) -> None:
        quoted = ", ".join(f'"{each}"' for each in supported)
        self._wrong(path, f'Unsupported value: "{value}": supported values: {quoted}')

    def _wrong(self, path: KeyPath, text: str, *, at_key: bool = False) -> None:
        self.problems.append(str(self._document.problem(path, text, at_key=at_key)))
