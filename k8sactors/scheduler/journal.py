"""Which rows of the node table have changed, in order, for those who keep results per node."""

from __future__ import annotations

__all__ = ["Journal"]

_JOURNAL_LIMIT = 65_536


class Journal:
    """Touched rows in order: `row` when pods changed there, `~row` when the Node object did."""

    def __init__(self) -> None:
        self.entries: list[int] = []
        self._dropped = 0
        # How often a Node object came, changed or went.
        self.spec_changes = 0

    @property
    def end(self) -> int:
        """The position after the newest entry."""
        return self._dropped + len(self.entries)

    def touch_pods(self, row: int) -> None:
        """The pods on a node have changed."""
        self._append(row)

    def touch_spec(self, row: int) -> None:
        """A Node object came, changed or went."""
        self.spec_changes += 1
        self._append(~row)

    def since(self, position: int) -> list[int] | None:
        """The entries from `position` on, or None when they are no longer kept."""
        start = position - self._dropped
        return None if start < 0 else self.entries[start:]

    def _append(self, entry: int) -> None:
        self.entries.append(entry)
        if len(self.entries) > _JOURNAL_LIMIT:
            half = _JOURNAL_LIMIT // 2
            del self.entries[:half]
            self._dropped += half
