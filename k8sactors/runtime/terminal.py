"""A terminal's line discipline (termios(3)): echo, editing, newlines, end-of-file, interrupt."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from k8sactors.runtime.pipes import Pipe, Sink

_INTERRUPT: Final = 0x03
_END_OF_FILE: Final = 0x04
_BACKSPACE: Final = frozenset({0x08, 0x7F})
_RETURN: Final = 0x0D
_NEWLINE: Final = 0x0A
LINE_BYTES: Final = 4096


class LineDiscipline:
    """Turns what is typed into lines for `stdin`; `echo` shows it, `interrupt` is Ctrl-C."""

    def __init__(
        self, stdin: Pipe, echo: Callable[[bytes], None], interrupt: Callable[[], None]
    ) -> None:
        self._stdin = stdin
        self._echo = echo
        self._interrupt = interrupt
        self._line = bytearray()

    def type(self, data: bytes) -> None:
        """Take what was typed."""
        shown = bytearray()
        for byte in data:
            if byte in {_RETURN, _NEWLINE}:
                shown += b"\r\n"
                self._show(shown)
                self._stdin.feed(bytes(self._line) + b"\n")
                self._line.clear()
            elif byte == _INTERRUPT:
                shown += b"^C\r\n"
                self._show(shown)
                self._line.clear()
                self._interrupt()
            elif byte == _END_OF_FILE:
                self._stdin.feed(bytes(self._line))
                if not self._line:
                    self._stdin.end()
                self._line.clear()
            elif byte in _BACKSPACE:
                if self._line:
                    del self._line[-1:]
                    shown += b"\b \b"
            elif len(self._line) < LINE_BYTES:
                self._line.append(byte)
                shown.append(byte)
        self._show(shown)

    def _show(self, shown: bytearray) -> None:
        if shown:
            self._echo(bytes(shown))
            shown.clear()

    def end(self) -> None:
        """Nothing more is typed."""
        self._stdin.feed(bytes(self._line))
        self._line.clear()
        self._stdin.end()


class TerminalSink:
    """Output to a terminal: a newline also returns the carriage."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    async def write(self, data: bytes) -> None:
        """Write."""
        await self._sink.write(data.replace(b"\n", b"\r\n"))
