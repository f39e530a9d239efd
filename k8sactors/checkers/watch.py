"""The guarantees of a watch, checked over what watchers were sent.

The terms are etcd's (documentation, "KV API guarantees", watch section): ordered, unique, atomic,
reliable, resumable, bookmarkable; events carry the state before them truthfully. The reference is
the log of all changes that the store applied, in order of revision.
"""

from collections.abc import Callable, Iterator, Sequence

from attrs import define, field, frozen

from k8sactors.checkers.findings import Finding


@frozen
class Change:
    """One key changed at one revision.

    Attributes:
        revision: the store revision of the change.
        key: the key.
        type: "PUT" or "DELETE".
        value: the value that was written; None for a delete.
        previous: the value before, where it is known or was sent; None when the key was absent.
    """

    revision: int
    key: str
    type: str = "PUT"
    value: bytes | None = None
    previous: bytes | None = None


@frozen
class Batch:
    """One response on a watch stream: some changes, or a bookmark, or the end.

    Attributes:
        time_ns: virtual time of delivery.
        changes: in the order in which they were sent.
        bookmark: everything up to this revision has been sent; None when it is not a bookmark.
        compacted: the stream was cancelled because this revision is gone; None otherwise.
    """

    time_ns: int
    changes: tuple[Change, ...] = ()
    bookmark: int | None = None
    compacted: int | None = None


@define
class Stream:
    """All that one watcher received, across reconnections.

    Attributes:
        watcher: its name in messages.
        start_revision: the first revision that it asked for.
        prefix: the keys that it asked for.
        with_previous: whether it asked for the state before each change.
        batches: in order of arrival.
    """

    watcher: str
    start_revision: int
    prefix: str = ""
    with_previous: bool = False
    batches: list[Batch] = field(factory=list)

    def changes(self) -> Iterator[tuple[int, int, Change]]:
        """Every change with its time and the number of its batch."""
        for number, batch in enumerate(self.batches):
            for change in batch.changes:
                yield batch.time_ns, number, change


@define
class WatchHistory:
    """What the store did, and what each watcher saw of it."""

    log: list[Change]
    streams: list[Stream]


def check_filtered(history: WatchHistory) -> list[Finding]:
    """A watcher gets only keys that it asked for."""
    return [
        _finding("watch-filtered", stream, f"got {change.key!r}, asked for {stream.prefix!r}", time)
        for stream in history.streams
        for time, _, change in stream.changes()
        if not change.key.startswith(stream.prefix)
    ]


def check_ordered(history: WatchHistory) -> list[Finding]:
    """Revisions never fall."""
    found = []
    for stream in history.streams:
        newest = 0
        for time, _, change in stream.changes():
            if change.revision < newest:
                message = f"revision {change.revision} came after revision {newest}"
                found.append(_finding("watch-ordered", stream, message, time))
            newest = max(newest, change.revision)
    return found


def check_unique(history: WatchHistory) -> list[Finding]:
    """No change is delivered twice."""
    found = []
    for stream in history.streams:
        seen: set[tuple[int, str]] = set()
        for time, _, change in stream.changes():
            if (change.revision, change.key) in seen:
                message = f"{change.key!r} at revision {change.revision} was delivered twice"
                found.append(_finding("watch-unique", stream, message, time))
            seen.add((change.revision, change.key))
    return found


def check_atomic(history: WatchHistory) -> list[Finding]:
    """The changes of one revision arrive in one batch."""
    found = []
    for stream in history.streams:
        batch_of: dict[int, int] = {}
        for time, number, change in stream.changes():
            first = batch_of.setdefault(change.revision, number)
            if first != number:
                message = f"revision {change.revision} was split over two batches"
                found.append(_finding("watch-atomic", stream, message, time))
                batch_of[change.revision] = number
    return found


def check_reliable(history: WatchHistory) -> list[Finding]:
    """Nothing between the start and the last revision delivered (or bookmarked) is missing."""
    found = []
    for stream in history.streams:
        got = {(change.revision, change.key) for _, _, change in stream.changes()}
        reach = _reach(stream)
        for change in history.log:
            wanted = change.key.startswith(stream.prefix)
            if not wanted or not stream.start_revision <= change.revision <= reach.revision:
                continue
            if (change.revision, change.key) not in got:
                message = (
                    f"{change.type} {change.key!r} at revision {change.revision} was never "
                    f"delivered, although the stream reached revision {reach.revision}"
                )
                found.append(_finding("watch-reliable", stream, message, reach.time_ns))
    return found


def check_resumable(history: WatchHistory) -> list[Finding]:
    """The first change is at or after the revision asked for."""
    return [
        _finding(
            "watch-resumable",
            stream,
            f"asked for revision {stream.start_revision}, got revision {change.revision}",
            time,
        )
        for stream in history.streams
        for time, _, change in stream.changes()
        if change.revision < stream.start_revision
    ]


def check_bookmarkable(history: WatchHistory) -> list[Finding]:
    """After a bookmark for revision R, nothing at or before R arrives."""
    found = []
    for stream in history.streams:
        bookmark = 0
        for batch in stream.batches:
            for change in batch.changes:
                if change.revision <= bookmark:
                    message = f"revision {change.revision} came after the bookmark {bookmark}"
                    found.append(_finding("watch-bookmarkable", stream, message, batch.time_ns))
            bookmark = max(bookmark, batch.bookmark or 0)
    return found


def check_truthful(history: WatchHistory) -> list[Finding]:
    """Every delivered change is one that the store made, and the state before it is right."""
    made = {(change.revision, change.key): change for change in history.log}
    found = []
    for stream in history.streams:
        for time, _, change in stream.changes():
            truth = made.get((change.revision, change.key))
            if truth is None:
                problem = "the store made no such change"
            elif (truth.type, truth.value) != (change.type, change.value):
                problem = f"the store's change was {truth.type} {truth.value!r}"
            elif stream.with_previous and truth.previous != change.previous:
                problem = f"said before it was {change.previous!r}, it was {truth.previous!r}"
            else:
                continue
            message = f"{change.type} {change.key!r} at revision {change.revision}: {problem}"
            found.append(_finding("watch-truthful", stream, message, time))
    return found


CHECKS: Sequence[Callable[[WatchHistory], list[Finding]]] = (
    check_filtered,
    check_ordered,
    check_unique,
    check_atomic,
    check_reliable,
    check_resumable,
    check_bookmarkable,
    check_truthful,
)


def check_watch(history: WatchHistory) -> list[Finding]:
    """All watch guarantees."""
    return [finding for check in CHECKS for finding in check(history)]


@frozen
class _Reach:
    revision: int
    time_ns: int


def _reach(stream: Stream) -> _Reach:
    """How far the watcher may believe that it knows everything."""
    reach = _Reach(0, 0)
    for batch in stream.batches:
        newest = max([batch.bookmark or 0, *(change.revision for change in batch.changes)])
        if newest > reach.revision:
            reach = _Reach(newest, batch.time_ns)
    return reach


def _finding(check: str, stream: Stream, message: str, time_ns: int) -> Finding:
    return Finding(check, f"watcher {stream.watcher}: {message}", time_ns)
