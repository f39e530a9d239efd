"""The streams of a container runtime: logs, exec, attach, forwarded ports, connections to pods.

Output is read from pipes and sent while the window of the stream is open; the program waits when
the pipe is full. Input is acknowledged when the program has read it. When the client goes, the
command that it has started is killed, as it is by a closed terminal; an attached program lives on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from k8sactors.actors import Message, Stream
from k8sactors.actors.stream import weight_of
from k8sactors.api import codec, errors, streaming
from k8sactors.api.streaming import (
    CHUNK_BYTES,
    IN_ORDER,
    OPENED,
    RESIZE,
    STDERR,
    STDIN,
    STDIN_CLOSED,
    STDOUT,
    TEXT,
    WINDOW_BYTES,
)
from k8sactors.runtime import cri
from k8sactors.runtime.container_process import ContainerProcess
from k8sactors.runtime.engine import Engine
from k8sactors.runtime.log_reader import LogReader
from k8sactors.runtime.pipes import Pipe
from k8sactors.runtime.process import Terminal
from k8sactors.runtime.sandboxes import Container
from k8sactors.runtime.tasks import Task, TooManyTasksError
from k8sactors.runtime.terminal import LineDiscipline, TerminalSink

INTERRUPTED_CODE: Final = 130
_NOT_FOUND: Final = 404
_ERROR: Final = 500


def accept(message: Message) -> Stream | None:
    """This end of a stream of bytes."""
    return message.accept_stream(window=WINDOW_BYTES, manual_credit=True)


def refuse(message: Message, code: int, text: str) -> None:
    """Close a stream before it is opened."""
    stream = message.accept_stream()
    if stream is not None:
        stream.close(text, [code, text])


class _Outgoing:
    """Sends what pipes hold, until all have ended; then calls `on_finished`."""

    def __init__(
        self, stream: Stream, pipes: dict[str, Pipe], on_finished: Callable[[], None]
    ) -> None:
        self._stream = stream
        self._pipes = pipes
        self._on_finished = on_finished
        self._finished = False
        self._pumping = False
        stream.on_writable = self.pump
        for pipe in pipes.values():
            pipe.on_data = self.pump

    def pump(self) -> None:
        """Send as much as may be sent."""
        if self._pumping:
            return  # a program continues because its pipe has room
        self._pumping = True
        stream = self._stream
        for kind, pipe in self._pipes.items():
            while len(pipe) and stream.writable:
                stream.send(kind, pipe.take(CHUNK_BYTES))
        self._pumping = False
        if not self._finished and all(
            pipe.ended and not len(pipe) for pipe in self._pipes.values()
        ):
            self._finished = True
            self._on_finished()


class _Incoming:
    """Gives what arrives to a program, and acknowledges what it has read."""

    def __init__(self, stream: Stream, pipe: Pipe, changed: Callable[[], None]) -> None:
        self._stream = stream
        self._pipe = pipe
        self._changed = changed
        self._unread = 0
        self.terminal: Terminal | None = None
        self.typed: LineDiscipline | None = None
        stream.on_item = self._take
        stream.on_end = self._end
        pipe.on_room = self._acknowledge

    def _take(self, message: Any) -> None:
        kind, payload = message.kind, message.payload
        if kind == STDIN:
            if self.typed is not None or self._pipe.broken or self._pipe.ended:
                self._stream.consume(len(payload) or 1)
                if self.typed is not None:
                    self.typed.type(payload)
            else:
                self._unread += len(payload)
                self._pipe.feed(payload)
        else:
            self._stream.consume(1)
            if kind == STDIN_CLOSED:
                self._end()
            elif kind == RESIZE and self.terminal is not None:
                self.terminal.width, self.terminal.height = payload
        self._changed()

    def _acknowledge(self) -> None:
        left = 0 if self._pipe.broken else len(self._pipe)
        read = self._unread - left
        if read > 0:
            self._unread = left
            self._stream.consume(read)

    def _end(self) -> None:
        if self.typed is not None:
            self.typed.end()
        else:
            self._pipe.end()
        self._changed()


class RuntimeStreams:
    """Serves the streams of one runtime; `engine` gives what runs there."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._handlers: dict[str, Callable[[Message], None]] = {
            cri.CONTAINER_LOGS: self._logs,
            cri.EXEC: self._exec,
            cri.ATTACH: self._attach,
            cri.PORT_FORWARD: self._port_forward,
            streaming.DIAL: self._dial,
        }

    def handles(self, message: Message) -> bool:
        """Serve a message if it opens a stream."""
        handler = self._handlers.get(message.kind)
        if handler is None:
            return False
        handler(message)
        return True

    def _running(self, message: Message) -> tuple[Container, ContainerProcess] | None:
        container = self._engine.containers.get(message.payload[0])
        if container is None or container.state != cri.RUNNING:
            refuse(message, _NOT_FOUND, f'container "{message.payload[0]}" is not running')
            return None
        return container, self._engine.inside(container)

    # Logs

    def _logs(self, message: Message) -> None:
        container_id, options = message.payload
        inside = self._engine.log_of(container_id)
        if inside is None:
            text = f"unable to retrieve container logs for containerd://{container_id}"
            refuse(message, _NOT_FOUND, text)
            return
        stream = accept(message)
        if stream is not None:
            stream.send(OPENED, [TEXT])
            _ignore_input(stream)
            LogReader(stream, inside, options).start()

    # Commands

    def _exec(self, message: Message) -> None:
        _, command, options = message.payload
        found = self._running(message)
        if found is None:
            return
        inside = found[1]
        stream = accept(message)
        if stream is None:
            return
        stream.send(OPENED, [TEXT])
        if inside.find(command[0]) is None:
            status = errors.internal_error(_no_such_file(command[0])).status()
            stream.close("", [0, codec.encode_value(status)])
        else:
            _Command(stream, inside, command, options).start()

    def _attach(self, message: Message) -> None:
        found = self._running(message)
        if found is None:
            return
        container, inside = found
        stream = accept(message)
        if stream is None:
            return
        stream.send(OPENED, [TEXT])
        wanted = message.payload[1]
        pipes: dict[str, Pipe] = {}
        if wanted.get("stdout", True):
            pipes[STDOUT] = Pipe()
            inside.stdout.attach(pipes[STDOUT])
        if wanted.get("stderr") and not container.config.tty:
            pipes[STDERR] = Pipe()
            inside.stderr.attach(pipes[STDERR])

        def finished() -> None:
            # How the container has ended is in its pod's status.
            _end(stream, 0, [])

        outgoing = _Outgoing(stream, pipes, finished)
        if wanted.get("stdin") and container.config.stdin:
            incoming = _Incoming(stream, inside.stdin, inside.catch_up)
            incoming.terminal = inside.terminal
            if container.config.tty:
                incoming.typed = LineDiscipline(inside.stdin, _echo(pipes), lambda: None)
        else:
            _ignore_input(stream)

        def closed(_reason: str, _trailer: Any) -> None:
            for pipe in pipes.values():
                pipe.break_()
            if wanted.get("stdin") and container.config.stdin_once:
                inside.stdin.end()
            inside.catch_up()

        stream.on_close = closed
        inside.catch_up()
        outgoing.pump()

    # Connections

    def _port_forward(self, message: Message) -> None:
        sandbox_id, port = message.payload
        sandbox = self._engine.sandboxes.get(sandbox_id)
        if sandbox is None:
            refuse(message, _NOT_FOUND, f'sandbox "{sandbox_id}": not found')
            return
        self._connect(message, sandbox.ip, port, sandbox_id)

    def _dial(self, message: Message) -> None:
        ip, port = message.payload
        self._connect(message, ip, port, "")

    def _connect(self, message: Message, ip: str, port: int, sandbox_id: str) -> None:
        container, problem = self._engine.listener(ip, port, sandbox_id)
        if container is None:
            refuse(message, _ERROR, problem)
            return
        stream = accept(message)
        if stream is None:
            return
        stream.send(OPENED, [TEXT])
        inside = self._engine.inside(container)
        received, sent = Pipe(), Pipe()
        _Incoming(stream, received, inside.catch_up)
        outgoing = _Outgoing(stream, {STDOUT: sent}, lambda: stream.close("", IN_ORDER))

        def closed(_reason: str, _trailer: Any) -> None:
            received.end()
            sent.break_()
            inside.catch_up()

        stream.on_close = closed
        try:
            inside.connect(port, received, sent)
        except TooManyTasksError:
            stream.close("connection reset by peer", [_ERROR, "connection reset by peer"])
            return
        inside.catch_up()
        outgoing.pump()


class _Command:
    """One command in a running container."""

    def __init__(
        self, stream: Stream, inside: ContainerProcess, command: list[str], options: dict[str, Any]
    ) -> None:
        self._stream = stream
        self._inside = inside
        self._command = command
        self._options = options
        self._stdin, self._stdout, self._stderr = Pipe(), Pipe(), Pipe()
        self._task: Task | None = None
        self._exit_code = 0

    def start(self) -> None:
        """Run it."""
        stream, inside, options = self._stream, self._inside, self._options
        process = inside.prepare(self._command, self._stdin, self._stdout, self._stderr)
        pipes = {STDOUT: self._stdout}
        if options.get("tty"):
            process.terminal = Terminal()
            process.env["TERM"] = "xterm"
            process.stdout = process.stderr = TerminalSink(self._stdout)
            self._stderr.end()
        else:
            pipes[STDERR] = self._stderr
        if options.get("stdin"):
            incoming = _Incoming(stream, self._stdin, inside.catch_up)
            incoming.terminal = process.terminal
            if process.terminal is not None:
                incoming.typed = LineDiscipline(self._stdin, _echo(pipes), self._interrupt)
        else:
            self._stdin.end()
            _ignore_input(stream)
        outgoing = _Outgoing(stream, pipes, self._finished)
        stream.on_close = self._closed
        inside.catch_up()
        try:
            self._task = process.start()
        except TooManyTasksError:
            self._stdout.end()
            self._stderr.end()
            return
        self._task.when_ended(self._ended)
        inside.catch_up()
        outgoing.pump()

    def _interrupt(self) -> None:
        if self._task is not None:
            self._task.kill(INTERRUPTED_CODE)

    def _ended(self, exit_code: int) -> None:
        self._exit_code = exit_code
        self._stdout.end()
        self._stderr.end()

    def _finished(self) -> None:
        _end(self._stream, self._exit_code, self._command)

    def _closed(self, _reason: str, _trailer: Any) -> None:
        self._stdout.break_()
        self._stderr.break_()
        if self._task is not None:
            self._task.kill()
        self._inside.catch_up()


def _ignore_input(stream: Stream) -> None:
    def take(message: Any) -> None:
        stream.consume(weight_of(message.payload))

    stream.on_item = take


def _echo(pipes: dict[str, Pipe]) -> Callable[[bytes], None]:
    """What is typed is shown, as far as there is room."""
    shown = pipes.get(STDOUT)

    def echo(data: bytes) -> None:
        if shown is not None and not shown.full:
            shown.feed(data)

    return echo


def _end(stream: Stream, exit_code: int, command: list[str]) -> None:
    """Tell how a command has ended, and close."""
    status: dict[str, Any] = {"metadata": {}, "status": "Success"}
    if exit_code:
        shown = " ".join(command)
        status = {
            "metadata": {},
            "status": "Failure",
            "message": "command terminated with non-zero exit code: error executing command "
            f"[{shown}], exit code {exit_code}",
            "reason": "NonZeroExitCode",
            "details": {"causes": [{"reason": "ExitCode", "message": str(exit_code)}]},
        }
    if not stream.closed:
        stream.close("", [0, codec.encode_value(status)])


def _no_such_file(name: str) -> str:
    return (
        "error executing command in container: failed to exec in container: "
        "OCI runtime exec failed: exec failed: unable to start container process: "
        f'exec: "{name}": executable file not found in $PATH'
    )
