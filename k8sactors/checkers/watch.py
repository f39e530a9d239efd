"""The guarantees of a watch, checked over what watchers were sent.

The terms are etcd's (documentation, "KV API guarantees", watch section): ordered, unique, atomic,
reliable, resumable, bookmarkable; events carry the state before them truthfully. The reference is
the log of all changes that the store applied, in order of revision.

Each check knows one guarantee. `watch_exact` says the same in one go, event by event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs

from k8sactors.checkers.findings import Finding


@attrs.frozen
class Change:
    """One key changed at one revision."""

    # The store revision of the change.
    revision: int
    # The key.
    key: str
    # "PUT" or "DELETE".
    type: str = "PUT"
    # The value that was written; None for a delete.
    value: bytes | None = None
    # The revision at which the key began to exist; 0 for a delete.
    created: int = 0
    # How often it was written since then, this time included; 0 for a delete.
    version: int = 0
    # The lease that it is attached to; 0: none.
    lease: int = 0
    # The change before, where it is known or was sent; None when the key was absent.
    previous: Change | None = None

    @property
    def is_create(self) -> bool:
        """Whether it says that the key did not exist before, as etcd's clients tell it."""
        return self.type == "PUT" and self.created == self.revision

    def __str__(self) -> str:
        return f"{self.type} {self.key!r} at revision {self.revision}"


@attrs.frozen
class Batch:
    """One response on a watch stream: some changes, or none, or the end."""

    # Virtual time of delivery.
    time_ns: int
    # In the order in which they were sent.
    changes: tuple[Change, ...] = ()
    # Everything up to this revision has been sent; None when nothing was said of it.
    bookmark: int | None = None
    # The stream was cancelled because history before this revision is gone; None: it was not
    # cancelled; 0: it was for another reason.
    compacted: int | None = None


@attrs.frozen
class Compaction:
    """From this time on history before this revision may be gone."""

    time_ns: int
    revision: int


@attrs.define
class Stream:
    """All that one watcher received, across reconnections."""

    # Its name in messages.
    watcher: str
    # The first revision that it asked for; 0: it was never told from where on.
    start_revision: int
    # The keys that it asked for.
    prefix: str = ""
    # Whether it asked for the state before each change.
    with_previous: bool = False
    # In order of arrival.
    batches: list[Batch] = attrs.field(factory=list)
    # The types of changes that it did not want.
    without: tuple[str, ...] = ()
    # The revision up to which it had all the time in the world to be told everything.
    due: int = 0

    def changes(self) -> Iterator[tuple[int, int, Change]]:
        """Every change with its time and the number of its batch."""
        for number, batch in enumerate(self.batches):
            for change in batch.changes:
                yield batch.time_ns, number, change

    def wants(self, change: Change) -> bool:
        """Whether it asked for this."""
        return change.key.startswith(self.prefix) and change.type not in self.without


@attrs.define
class WatchHistory:
    """What the store did, and what each watcher saw of it."""

    log: list[Change]
    streams: list[Stream]
    compactions: list[Compaction] = attrs.field(factory=list)

    def forgotten(self, time_ns: int) -> int:
        """The revision that had been compacted by then."""
        return max(
            (each.revision for each in self.compactions if each.time_ns <= time_ns), default=0
        )


def check_filtered(history: WatchHistory) -> list[Finding]:
    """A watcher gets only keys, and types of changes, that it asked for."""
    return [
        _finding("watch-filtered", stream, f"got {change}, asked for {_asked(stream)}", time)
        for stream in history.streams
        for time, _, change in stream.changes()
        if not stream.wants(change)
    ]


def _asked(stream: Stream) -> str:
    without = f" without {' and '.join(stream.without)}" if stream.without else ""
    return f"{stream.prefix!r}{without}"


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
            if not stream.start_revision <= change.revision <= reach.revision:
                continue
            if stream.wants(change) and (change.revision, change.key) not in got:
                message = (
                    f"{change} was never delivered, although the stream reached revision"
                    f" {reach.revision}"
                )
                found.append(_finding("watch-reliable", stream, message, reach.time_ns))
    return found


def check_resumable(history: WatchHistory) -> list[Finding]:
    """From a revision on: nothing older, and then events or a true word of compaction, no silence.

    A stream that resumes after a broken connection asks for the revision behind the last one that
    it was told of.
    """
    found = []
    for stream in history.streams:
        for time, _, change in stream.changes():
            if change.revision < stream.start_revision:
                message = f"asked for revision {stream.start_revision}, got {change}"
                found.append(_finding("watch-resumable", stream, message, time))
        for number, batch in enumerate(stream.batches):
            message = _untrue_compaction(history, stream, number)
            if message:
                found.append(_finding("watch-resumable", stream, message, batch.time_ns))
        found += _silence(history, stream)
    return found


def _untrue_compaction(history: WatchHistory, stream: Stream, number: int) -> str:
    """What is wrong with what a batch says of a compaction; empty: nothing."""
    batch = stream.batches[number]
    if not batch.compacted:
        return ""
    said = f"was told that history before revision {batch.compacted} is gone"
    if batch.compacted > history.forgotten(batch.time_ns):
        return f"{said}, but the store had not forgotten it"
    reach = _reach(attrs.evolve(stream, batches=stream.batches[:number]))
    following = max(stream.start_revision, reach.revision + 1)
    if batch.compacted <= following:
        return f"{said}, but needed nothing before revision {following}"
    return ""


def _silence(history: WatchHistory, stream: Stream) -> Iterator[Finding]:
    """The first change that it should have been told of in the end, and was not."""
    reach = _reach(stream)
    ended = any(batch.compacted is not None for batch in stream.batches)
    if ended or not stream.start_revision or reach.revision >= stream.due:
        return
    following = max(stream.start_revision, reach.revision + 1)
    for change in history.log:
        if following <= change.revision <= stream.due and stream.wants(change):
            time = stream.batches[-1].time_ns if stream.batches else 0
            yield _finding("watch-resumable", stream, f"was never told of {change}", time)
            return


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
    """Every delivered change is one that the store made."""

    def problem(_: Stream, __: int, change: Change, logged: Change | None) -> str:
        if logged is None:
            return "the store made no such change"
        if (logged.type, logged.value, logged.lease) != (change.type, change.value, change.lease):
            return f"the store's change was {logged.type} {logged.value!r}, lease {logged.lease:x}"
        return ""

    return _against_log(history, "watch-truthful", problem)


def check_previous(history: WatchHistory) -> list[Finding]:
    """What is said of the state before a change is true; nothing is said only if none existed.

    As in etcd the state before a change that lies at or before a compaction may be missing: the
    newest version that is kept is the change itself.
    """

    def problem(stream: Stream, time_ns: int, change: Change, logged: Change | None) -> str:
        if logged is None or not stream.with_previous or change.previous == logged.previous:
            return ""
        if change.previous is None and change.revision <= history.forgotten(time_ns):
            return ""
        before = "nothing" if logged.previous is None else _content(logged.previous)
        said = "nothing" if change.previous is None else _content(change.previous)
        return f"said before it was {said}, it was {before}"

    return _against_log(history, "watch-prev-kv", problem)


def check_is_create(history: WatchHistory) -> list[Finding]:
    """A change is called a creation if and only if the key did not exist before it."""

    def problem(_: Stream, __: int, change: Change, logged: Change | None) -> str:
        if logged is None or change.type != logged.type:
            return ""
        if change.is_create != logged.is_create:
            return f"is_create is {change.is_create}, but the key did" + (
                " not exist before" if logged.is_create else " exist before"
            )
        if (change.created, change.version) != (logged.created, logged.version):
            return (
                f"version {change.version} since revision {change.created}, it was version"
                f" {logged.version} since revision {logged.created}"
            )
        return ""

    return _against_log(history, "watch-is-create", problem)


def _against_log(
    history: WatchHistory,
    check: str,
    problem: Callable[[Stream, int, Change, Change | None], str],
) -> list[Finding]:
    """A finding for each delivered change with a problem, held against the change of the log."""
    made = {(change.revision, change.key): change for change in history.log}
    found = []
    for stream in history.streams:
        for time, _, change in stream.changes():
            message = problem(stream, time, change, made.get((change.revision, change.key)))
            if message:
                found.append(_finding(check, stream, f"{change}: {message}", time))
    return found


def _content(change: Change) -> str:
    return f"{change.value!r} of revision {change.revision}, version {change.version}"


CHECKS: Sequence[Callable[[WatchHistory], list[Finding]]] = (
    check_filtered,
    check_ordered,
    check_unique,
    check_atomic,
    check_reliable,
    check_resumable,
    check_bookmarkable,
    check_truthful,
    check_previous,
    check_is_create,
)


def check_watch(history: WatchHistory) -> list[Finding]:
    """All watch guarantees."""
    return [finding for check in CHECKS for finding in check(history)]


@attrs.frozen
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
