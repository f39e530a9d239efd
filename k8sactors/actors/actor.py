"""The actor: state that only its own turns touch.

A turn: wait for a frame, drain the mailbox (up to a limit), hand each message to its handler, run
due timers, call `on_batch_end`, flush one frame per destination. A busy actor handles large batches
and pays for one wake-up; an idle one answers a single message at once. Work that reads best as
sequential code goes into `main` or `Context.spawn_task`, in the actor's own nursery.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import trio

from k8sactors.actors.codec import CLOSE, OPEN, decode_frame
from k8sactors.actors.connection import Connection, Message
from k8sactors.actors.context import Context
from k8sactors.actors.mailbox import Mailbox
from k8sactors.actors.stream import CONTROL
from k8sactors.simulation import unwrap_groups

# Frames handled before others get a turn.
BATCH_FRAMES = 1024


class Actor:
    """Base class of all components. Override the hooks; all of them run in the actor's turns."""

    ctx: Context

    def on_start(self) -> None:
        """Called once, in the first turn."""

    def on_message(self, message: Message) -> None:
        """A message that no request or stream of ours claims."""

    def on_connection(self, connection: Connection) -> None:
        """An actor has connected to this one."""

    def on_disconnect(self, connection: Connection, reason: str) -> None:
        """A connection that another actor has opened is gone."""

    def on_batch_end(self) -> None:
        """All messages of the batch were handled; what is sent now leaves with the flush."""

    def on_stop(self) -> None:
        """Called when the actor is stopped in an orderly way (not when it is killed)."""

    async def main(self) -> None:
        """Sequential code of the actor; returning from it does not stop the actor."""


class ActorLife:
    """One life of an actor: its mailbox loop. Created by the host at start and restart."""

    def __init__(
        self,
        actor: Actor,
        context: Context,
        mailbox: Mailbox,
        wait_unpaused: Callable[[], Any],
        record: Callable[[bytes], None],
    ) -> None:
        self.actor = actor
        self.context = context
        self.mailbox = mailbox
        self.turns = 0
        self.messages = 0
        self._record = record
        self._wait_unpaused = wait_unpaused
        self._scope = trio.CancelScope()
        actor.ctx = context

    async def run(self) -> None:
        """Run until stopped; raises what a handler or a task of the actor raised."""
        with unwrap_groups(), self._scope:
            if not self.context.alive:
                return
            async with trio.open_nursery() as nursery:
                self.context.bind_nursery(nursery)
                self._first_turn()
                if type(self.actor).main is not Actor.main:
                    nursery.start_soon(self.actor.main)
                await self._loop()

    def stop(self, *, orderly: bool) -> None:
        """End this life now: no handler runs after this call."""
        context = self.context
        if not context.alive:
            return
        if orderly:
            context.in_turn = True
            self.actor.on_stop()
            context.flush()
        context.alive = False
        self._scope.cancel()

    def _stopped(self) -> bool:
        return not self.context.alive

    def _first_turn(self) -> None:
        context = self.context
        context.in_turn = True
        self.actor.on_start()
        self._end_turn()

    async def _loop(self) -> None:
        context = self.context
        mailbox = self.mailbox
        wait, take = mailbox.wait, mailbox.take
        while True:
            await wait()
            paused = self._wait_unpaused()
            if paused is not None:
                await paused.wait()
            if self._stopped():
                return
            context.in_turn = True
            self.turns += 1
            handled = 0
            while handled < BATCH_FRAMES and (frame := take()) is not None:
                if not self._deliver(frame):
                    return
                handled += 1
            self._end_turn()

    def _end_turn(self) -> None:
        context = self.context
        while context.due:
            due, context.due = context.due, []
            for callback in due:
                callback()
                if not context.alive:
                    return
        self.actor.on_batch_end()
        context.flush()
        context.in_turn = False
        if context.due:
            self.mailbox.wake()

    def _deliver(self, frame: bytes) -> bool:
        """Hand over the messages of a frame; False if one of them was the end of the actor."""
        self._record(frame)
        sender, _recipient, connection_id, messages = decode_frame(frame)
        context = self.context
        connection = context.connections.get(connection_id) if connection_id else None
        on_message = self.actor.on_message
        self.messages += len(messages)
        for kind, message_id, cause, payload in messages:
            if kind == OPEN:
                connection = self._accept(connection_id, sender)
                continue
            if connection_id and (connection is None or connection.closed):
                return True  # the rest of a connection that is closed here
            if kind == CLOSE:
                assert connection is not None
                connection.break_(payload)
                return context.alive
            message = Message(kind, message_id, cause, payload, connection, sender)
            if cause == 0 or connection is None or not connection.claim(message):
                if cause < 0 or kind in CONTROL:
                    continue  # the rest of a stream that is closed here
                on_message(message)
            if not context.alive:
                return False
        return True

    def _accept(self, connection_id: int, sender: str) -> Connection:
        context = self.context
        connection = Connection(context, connection_id, sender, None)
        connection.on_close = lambda reason: self.actor.on_disconnect(connection, reason)
        context.connections[connection_id] = connection
        self.actor.on_connection(connection)
        return connection
