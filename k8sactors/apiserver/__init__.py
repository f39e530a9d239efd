"""Request pipeline, registry, admission, watch cache."""

from __future__ import annotations

from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.server import APIServer

__all__ = ["APIServer", "APIServerConfig"]
