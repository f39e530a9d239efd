"""Request pipeline, registry, admission, watch cache."""

from k8sactors.apiserver.config import APIServerConfig
from k8sactors.apiserver.server import APIServer

__all__ = ["APIServer", "APIServerConfig"]
