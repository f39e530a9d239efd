"""The StatefulSet controller: pods with an identity that outlives them."""

from __future__ import annotations

from k8sactors.controllers.statefulset.controller import StatefulSetController

__all__ = ["StatefulSetController"]
