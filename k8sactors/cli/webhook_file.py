"""Files in kubeconfig form that name a program which the API server asks."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import click

from k8sactors.api.located_yaml import YamlSourceError, load_documents


def read_webhook_file(path: Path, option: str) -> dict[str, Any]:
    """The `clientConfig` of the server in the current context of the file.

    A mistake in the file ends the program with status 2.
    """
    hint = f"'{option}'"
    try:
        documents = load_documents(path.read_text(encoding="utf-8"), str(path))
        config = documents[0].data if documents else {}
        contexts = {each["name"]: each["context"] for each in config.get("contexts") or ()}
        clusters = {each["name"]: each["cluster"] for each in config.get("clusters") or ()}
        current = contexts.get(config.get("current-context"))
        name = current["cluster"] if current is not None else next(iter(clusters))
        cluster = clusters[name]
        url = str(cluster["server"])
        bundle = cluster.get("certificate-authority-data")
        if bundle is None and cluster.get("certificate-authority"):
            authority = path.parent / cluster["certificate-authority"]
            bundle = base64.b64encode(authority.read_bytes()).decode()
    except (OSError, UnicodeDecodeError, YamlSourceError) as error:
        raise click.BadParameter(str(error), param_hint=hint) from error
    except (AttributeError, KeyError, StopIteration, TypeError) as error:
        text = f"{path}: expected a kubeconfig with a cluster and its server"
        raise click.BadParameter(text, param_hint=hint) from error
    if not url.startswith("https://"):
        raise click.BadParameter(f"{path}: {url} is no https URL", param_hint=hint)
    return {"url": url, **({"caBundle": bundle} if bundle else {})}
