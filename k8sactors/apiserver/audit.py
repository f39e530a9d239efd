"""What was done, by whom, with which result: one record for each mutation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import NamedTuple

from k8sactors.api.user import UserInfo


class AuditRecord(NamedTuple):
    """A finished mutation (ResponseComplete in audit.k8s.io). `revision` 0: nothing written."""

    time_ns: int
    user: UserInfo
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    revision: int
    # What admission plugins have to say of it.
    annotations: Mapping[str, str] | None = None


class Audit:
    """The last records, and listeners to each."""

    def __init__(self, window: int) -> None:
        self.records: deque[AuditRecord] = deque(maxlen=window)
        self.listeners: list[Callable[[AuditRecord], None]] = []
        self.count = 0

    def add(self, record: AuditRecord) -> None:
        """Keep a record and pass it on."""
        self.count += 1
        self.records.append(record)
        for listener in self.listeners:
            listener(record)
