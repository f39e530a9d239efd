"""What each watcher must have been sent, event by event, held against what it was sent.

The log of a run says everything: a stream is right if and only if it is the beginning of the list
of those changes that it asked for, cut between revisions, and nothing in it came before it had
happened. That is all watch guarantees in one, without their names; `watch` tells them apart, and
each of the two checks is a test of the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs

from k8sactors.checkers.findings import Finding
from k8sactors.checkers.watch import Batch, Change, Stream, WatchHistory

CHECK = "exact-watch"


def check_watch_exactly(history: WatchHistory, times_ns: Mapping[int, int]) -> list[Finding]:
    """Compare all streams with the log; at most one finding for each.

    Args:
        history: the log and the streams.
        times_ns: when each revision came to be.
    """
    found = []
    for stream in history.streams:
        problem = next(_problems(history, stream, times_ns), None)
        if problem is not None:
            time_ns, message = problem
            found.append(Finding(CHECK, f"watcher {stream.watcher}: {message}", time_ns))
    return found


def _problems(
    history: WatchHistory, stream: Stream, times_ns: Mapping[int, int]
) -> Iterator[tuple[int, str]]:
    """What is wrong with a stream; only the first is sure not to follow from another."""
    wanted = [
        change
        for change in history.log
        if change.revision >= stream.start_revision and stream.wants(change)
    ]
    sent, told, ended = 0, 0, False
    for batch in stream.batches:
        for change in batch.changes:
            if sent == len(wanted):
                yield batch.time_ns, f"was sent {change}, but there is nothing more to send"
                return
            yield from _compared(history, stream, batch, change, wanted[sent])
            if batch.time_ns < times_ns[wanted[sent].revision]:
                yield batch.time_ns, f"was sent {change} before it had happened"
            sent += 1
        told = max([told, batch.bookmark or 0, *(change.revision for change in batch.changes)])
        if sent < len(wanted) and wanted[sent].revision <= told:
            yield batch.time_ns, f"was told that it knows all up to {told}, not {wanted[sent]}"
        if batch.compacted is not None:
            ended = True
            yield from _cancelled(history, batch, max(stream.start_revision, told + 1))
    silent = stream.start_revision and not ended and sent < len(wanted)
    if silent and wanted[sent].revision <= stream.due:
        time_ns = stream.batches[-1].time_ns if stream.batches else 0
        yield time_ns, f"was never sent {wanted[sent]}"


def _compared(
    history: WatchHistory, stream: Stream, batch: Batch, change: Change, logged: Change
) -> Iterator[tuple[int, str]]:
    forgotten = history.forgotten(batch.time_ns)
    may_lack = change.previous is None and logged.revision <= forgotten
    if not stream.with_previous or may_lack:
        logged = attrs.evolve(logged, previous=None)
    if change != logged:
        yield batch.time_ns, f"was sent {_whole(change)} where {_whole(logged)} was due"


def _cancelled(history: WatchHistory, batch: Batch, following: int) -> Iterator[tuple[int, str]]:
    if batch.compacted and not following < batch.compacted <= history.forgotten(batch.time_ns):
        yield (
            batch.time_ns,
            f"was cancelled at revision {following} for a compaction at {batch.compacted}",
        )


def _whole(change: Change) -> str:
    """All there is to say of a change."""
    text = f"{change}"
    if change.type == "PUT":
        text += f" ({change.value!r}, version {change.version} since {change.created}"
        text += f", lease {change.lease:x})" if change.lease else ")"
    if change.previous is not None:
        text += f" after {_whole(change.previous)}"
    return text
