"""What client-go is: client, reflector, informer, lister, workqueue, leader election, events."""

from __future__ import annotations

from k8sactors.client.client import Client, retry_on_conflict
from k8sactors.client.delta_fifo import DeletedFinalStateUnknown, Delta, DeltaFIFO, object_key
from k8sactors.client.errors import (
    FencedError,
    UnreachableError,
    is_already_exists,
    is_conflict,
    is_expired,
    is_not_found,
)
from k8sactors.client.events import EventRecorder
from k8sactors.client.expectations import ControllerExpectations
from k8sactors.client.indexer import Indexer, Lister
from k8sactors.client.informer import InformerFactory, SharedInformer
from k8sactors.client.leader_election import LeaderElector
from k8sactors.client.reflector import Reflector
from k8sactors.client.workqueue import WorkQueue

__all__ = [
    "Client",
    "ControllerExpectations",
    "DeletedFinalStateUnknown",
    "Delta",
    "DeltaFIFO",
    "EventRecorder",
    "FencedError",
    "Indexer",
    "InformerFactory",
    "LeaderElector",
    "Lister",
    "Reflector",
    "SharedInformer",
    "UnreachableError",
    "WorkQueue",
    "is_already_exists",
    "is_conflict",
    "is_expired",
    "is_not_found",
    "object_key",
    "retry_on_conflict",
]
