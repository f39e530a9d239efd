"""Admission: what is added to objects, or refused, before they are stored. One plugin per file.

Order as in the real server: mutating plugins first, in the order of `PLUGINS`.
"""

from __future__ import annotations

from k8sactors.apiserver.admission.chain import Admission, Plugin
from k8sactors.apiserver.admission.default_priority_class import DefaultPriorityClass
from k8sactors.apiserver.admission.default_toleration_seconds import DefaultTolerationSeconds
from k8sactors.apiserver.admission.namespace_lifecycle import NamespaceLifecycle
from k8sactors.apiserver.admission.priority import Priority
from k8sactors.apiserver.admission.service_account import ServiceAccount
from k8sactors.apiserver.admission.taint_nodes_by_condition import TaintNodesByCondition

PLUGINS: tuple[type[Plugin], ...] = (
    NamespaceLifecycle,
    TaintNodesByCondition,
    ServiceAccount,
    Priority,
    DefaultPriorityClass,
    DefaultTolerationSeconds,
)

__all__ = ["PLUGINS", "Admission", "Plugin"]
