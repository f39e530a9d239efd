"""The options of `k8sactors serve` about admission, as the real server has them."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any, Final

import click

from k8sactors.api.located_yaml import YamlSourceError, load_documents

# What kubeadm runs next to the defaults of the real server.
BY_KUBEADM: Final = ("NodeRestriction",)

Object = dict[str, Any]


def plugin_choice(enabled: str, disabled: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The plugins to enable and to disable, from two lists with commas."""
    on, off = _names(enabled), _names(disabled)
    on += tuple(name for name in BY_KUBEADM if name not in on and name not in off)
    # What runs only because kubeadm enables it is off when it is not enabled.
    return on, tuple(name for name in off if name not in BY_KUBEADM or name in _names(enabled))


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in text.split(",") if name.strip())


def read_admission_configuration(path: Path | None) -> dict[str, Object]:
    """The configuration of each plugin in an AdmissionConfiguration (apiserver.config.k8s.io/v1).

    A plugin's configuration stands there itself, or in a file that is named relative to it.

    Raises:
        click.BadParameter: a file cannot be read, or is of another form.
    """
    if path is None:
        return {}
    config = _read(path)
    if config.get("kind") != "AdmissionConfiguration":
        raise click.BadParameter(f"{path}: an object of kind AdmissionConfiguration is expected")
    found: dict[str, Object] = {}
    for plugin in config.get("plugins") or ():
        if not isinstance(plugin, dict) or not isinstance(plugin.get("name"), str):
            raise click.BadParameter(f"{path}: plugins: each one has a name")
        own = plugin.get("configuration")
        if own is None and plugin.get("path"):
            own = _read(path.parent / str(plugin["path"]))
        if own is not None and not isinstance(own, dict):
            raise click.BadParameter(f"{path}: plugins: the configuration is an object")
        found[plugin["name"]] = own or {}
    policy = (found.get("ImagePolicyWebhook") or {}).get("imagePolicy") or {}
    if policy.get("kubeConfigFile"):
        policy["clientConfig"] = _client_of(path.parent / str(policy["kubeConfigFile"]))
    return found


def _client_of(path: Path) -> Object:
    """Whom the current context of a kubeconfig means, as in a webhook's `clientConfig`."""
    config = _read(path)
    clusters = {
        each.get("name"): each.get("cluster") or {} for each in config.get("clusters") or ()
    }
    contexts = {
        each.get("name"): each.get("context") or {} for each in config.get("contexts") or ()
    }
    current = contexts.get(config.get("current-context")) or {}
    cluster = clusters.get(current.get("cluster")) or next(iter(clusters.values()), {})
    if not cluster.get("server"):
        raise click.BadParameter(f"{path}: no cluster with a server")
    client: Object = {"url": cluster["server"]}
    if cluster.get("certificate-authority-data"):
        client["caBundle"] = cluster["certificate-authority-data"]
    elif cluster.get("certificate-authority"):
        authority = path.parent / str(cluster["certificate-authority"])
        client["caBundle"] = base64.b64encode(authority.read_bytes()).decode()
    return client


def _read(path: Path) -> Object:
    try:
        documents = load_documents(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError, YamlSourceError) as error:
        raise click.BadParameter(f"{path}: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0].data, dict):
        raise click.BadParameter(f"{path}: one object is expected")
    return documents[0].data
