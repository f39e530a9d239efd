"""What was done, by whom, with which result: one record for each mutation."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple


class AuditRecord(NamedTuple):
    """A finished mutation (ResponseComplete in audit.k8s.io). `revision` 0: nothing written."""

    time_ns: int
    user: str
    verb: str
    resource: str
    subresource: str
    namespace: str
    name: str
    code: int
    revision: int


class Audit:
    """The last records, and whoever wants to see each."""

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
