"""The garbage collector: the graph of owners, and what follows from it."""

from __future__ import annotations

from k8sactors.controllers.garbage_collector.controller import GarbageCollector

__all__ = ["GarbageCollector"]
