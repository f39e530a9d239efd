"""Runs a shell's tree of commands in a process."""

from __future__ import annotations

from typing import Final

import attrs

from k8sactors.runtime.pipes import Discard, Pipe, Sink
from k8sactors.runtime.process import Process
from k8sactors.runtime.shell import builtins
from k8sactors.runtime.shell.arithmetic import evaluate
from k8sactors.runtime.shell.expansion import Expander
from k8sactors.runtime.shell.lexer import ShellSyntaxError, Text, Word
from k8sactors.runtime.shell.parser import (
    Command,
    For,
    Group,
    If,
    Item,
    Loop,
    Pipeline,
    Redirect,
    Sequence,
    Simple,
    parse,
)
from k8sactors.runtime.tasks import ProgramExit, Task, finish

SYNTAX_CODE: Final = 2
SUBSTITUTION_BYTES: Final = 1 << 20


class _Break(Exception):  # noqa: N818 - `break` and `continue` are no errors
    def __init__(self, levels: int, *, again: bool) -> None:
        super().__init__()
        self.levels = levels
        self.again = again


class Shell:
    """One shell, or subshell. With `unknown_stays` a program that is not known never ends."""

    def __init__(self, process: Process, *, unknown_stays: bool = False) -> None:
        self.process = process
        self.status = 0
        self.jobs: list[Task] = []
        self.exported = set(process.env)
        self.variables: dict[str, str] = dict(process.env)
        self.parameters: list[str] = []
        self.stops_on_error = False
        self.traces = False
        self._unknown_stays = unknown_stays
        self._expander = Expander(self)

    async def run(self, script: str) -> int:
        """Run a script to its end; its exit code."""
        try:
            await self.execute(parse(script))
        except ShellSyntaxError as error:
            await self.process.complain(str(error))
            return SYNTAX_CODE
        except ProgramExit as ending:
            return ending.code
        except _Break:
            return self.status
        return self.status

    async def interactive(self) -> int:
        """Read commands from standard input, a line at a time, until its end."""
        process = self.process
        while True:
            if process.terminal is not None:
                await process.stdout.write(f"{process.cwd} # ".encode())
            line = await process.stdin.read_line()
            if not line:
                return self.status
            try:
                await self.execute(parse(line.decode(errors="replace")))
            except ShellSyntaxError as error:
                await process.complain(str(error))
                self.status = SYNTAX_CODE
            except ProgramExit as ending:
                return ending.code
            except _Break:
                continue

    async def output_of(self, script: str) -> str:
        """What a script in `$(...)` prints, without the newlines at its end."""
        pipe = Pipe()
        inner = self._subshell(stdout=pipe)

        async def work() -> int:
            try:
                return await inner.run(script)
            finally:
                pipe.end()

        task = self.process.machine.start(work())
        data = await pipe.read_all(SUBSTITUTION_BYTES)
        pipe.break_()
        self.status = await task.wait()
        return data.decode(errors="replace").rstrip("\n")

    def calculate(self, expression: str) -> int:
        """The value of an arithmetic expression."""
        return evaluate(expression, self.variables)

    def exported_environment(self) -> dict[str, str]:
        """What a program gets."""
        return {name: self.variables[name] for name in self.exported if name in self.variables}

    def _subshell(self, **streams: Pipe | Sink) -> Shell:
        child = self.process.child(["sh"], **streams)
        inner = Shell(child, unknown_stays=self._unknown_stays)
        inner.variables, inner.exported = dict(self.variables), set(self.exported)
        inner.parameters, inner.status = self.parameters, self.status
        inner.stops_on_error = self.stops_on_error
        return inner

    # The tree

    async def execute(self, sequence: Sequence) -> None:
        """Run a list of pipelines."""
        for place, item in enumerate(sequence.items):
            if item.operator == "&&" and self.status != 0:
                continue
            if item.operator == "||" and self.status == 0:
                continue
            if item.background:
                self._start(item)
                continue
            await self._pipeline(item.pipeline)
            following = (
                sequence.items[place + 1].operator if place + 1 < len(sequence.items) else ""
            )
            if self.stops_on_error and self.status and following not in {"&&", "||"}:
                raise ProgramExit(self.status)

    async def _condition(self, sequence: Sequence) -> bool:
        stops, self.stops_on_error = self.stops_on_error, False
        try:
            await self.execute(sequence)
        finally:
            self.stops_on_error = stops
        return self.status == 0

    def _start(self, item: Item) -> None:
        inner = self._subshell()
        sequence = Sequence((attrs.evolve(item, operator=";", background=False),))

        async def work() -> int:
            try:
                await inner.execute(sequence)
            except ProgramExit as ending:
                return ending.code
            return inner.status

        self.jobs.append(self.process.machine.start(work()))
        self.status = 0

    async def _pipeline(self, pipeline: Pipeline) -> None:
        if len(pipeline.commands) == 1:
            await self.command(pipeline.commands[0])
        else:
            self.status = await self._piped(pipeline.commands)
        if pipeline.negated:
            self.status = 0 if self.status else 1

    async def _piped(self, commands: tuple[Command, ...]) -> int:
        """Run commands at the same time, the output of each the input of the next."""
        source: Pipe = self.process.stdin
        tasks: list[Task] = []
        for place, command in enumerate(commands):
            last = place == len(commands) - 1
            target = None if last else Pipe()
            streams: dict[str, Pipe | Sink] = {"stdin": source}
            if target is not None:
                streams["stdout"] = target
            inner = self._subshell(**streams)
            taken = source if place else None
            tasks.append(self.process.machine.start(_stage(inner, command, taken, target)))
            if target is not None:
                source = target
        for task in tasks:
            status = await task.wait()
        return status

    async def command(self, command: Command) -> None:
        """Run one command."""
        match command:
            case Simple():
                await self._simple(command)
            case If():
                with await self._redirected(command.redirects):
                    await self._if(command)
            case Loop():
                with await self._redirected(command.redirects):
                    await self._loop(command)
            case For():
                with await self._redirected(command.redirects):
                    await self._for(command)
            case Group():
                with await self._redirected(command.redirects):
                    if command.subshell:
                        self.status = await _stage(self._subshell(), command.body, None, None)
                    else:
                        await self.execute(command.body)

    async def _if(self, command: If) -> None:
        for condition, body in command.branches:
            if condition is None or await self._condition(condition):
                await self.execute(body)
                return
        self.status = 0

    async def _loop(self, command: Loop) -> None:
        status = 0
        while await self._condition(command.condition) is not command.until:
            if await self._broken(command.body):
                break
            status = self.status
        self.status = status

    async def _for(self, command: For) -> None:
        values = [text for word in command.words for text in await self._expander.fields(word)]
        self.status = 0
        for value in values:
            self.variables[command.name] = value
            if await self._broken(command.body):
                break

    async def _broken(self, body: Sequence) -> bool:
        """Run the body of a loop; whether the loop ends with it."""
        await self.process.machine.clock.work()
        try:
            await self.execute(body)
        except _Break as leaving:
            if leaving.levels > 1:
                raise _Break(leaving.levels - 1, again=leaving.again) from None
            return not leaving.again
        return False

    # Simple commands

    async def _simple(self, command: Simple) -> None:
        assignments: dict[str, str] = {}
        words = list(command.words)
        while words and (found := _assignment(words[0])) is not None:
            name, value = found
            assignments[name] = await self._expander.text(value)
            words.pop(0)
        argv = [text for word in words for text in await self._expander.fields(word)]
        try:
            with await self._redirected(command.redirects):
                await self._run(argv, assignments)
        except OSError as error:
            await self.process.stderr.write(
                f"sh: can't open {error.filename}: {error.strerror}\n".encode()
            )
            self.status = 1

    async def _run(self, argv: list[str], assignments: dict[str, str]) -> None:
        if not argv:
            self.variables.update(assignments)
            self.status = 0
            return
        if self.traces:
            await self.process.stderr.write(f"+ {' '.join(argv)}\n".encode())
        name = argv[0]
        if name in {"break", "continue"}:
            levels = int(argv[1]) if len(argv) > 1 and argv[1].isdecimal() else 1
            raise _Break(levels, again=name == "continue")
        builtin = builtins.BUILTINS.get(name)
        if builtin is not None:
            await self.process.machine.clock.work()
            self.status = await finish(builtin(self, argv[1:]))
            return
        if name == "exec":
            await self._run(argv[1:], assignments)
            raise ProgramExit(self.status)
        child = self.process.child(argv, env={**self.exported_environment(), **assignments})
        if self._unknown_stays and child.machine.find(name) is None:
            # What it is, its image alone knows: it runs until it is stopped, and prints nothing.
            await Pipe().read()
        self.status = await child.execute()

    async def _redirected(self, redirects: tuple[Redirect, ...]) -> _Streams:
        """The streams of a command while it runs.

        Raises:
            OSError: a file cannot be opened.
        """
        process = self.process
        streams = _Streams(process)
        for redirect in redirects:
            target = await self._expander.text(redirect.target)
            if redirect.operator == ">&":
                source = streams.stdout if target == "1" else streams.stderr
                streams.set_output(redirect.descriptor, source)
                continue
            path = process.path(target)
            if redirect.operator == "<":
                data = b"" if path == "/dev/null" else process.files.read(path)
                pipe = Pipe(max(len(data), 1))
                pipe.feed(data)
                pipe.end()
                streams.stdin = pipe
            elif path == "/dev/null":
                streams.set_output(redirect.descriptor, Discard())
            elif path in {"/dev/stdout", "/proc/1/fd/1"}:
                streams.set_output(redirect.descriptor, process.stdout)
            elif path in {"/dev/stderr", "/proc/1/fd/2"}:
                streams.set_output(redirect.descriptor, process.stderr)
            else:
                if redirect.operator == ">":
                    process.files.write(path, b"")
                else:
                    process.files.write(path, b"", append=True)
                streams.set_output(redirect.descriptor, _FileSink(process, path))
        return streams


class _FileSink:
    """Appends to a file."""

    def __init__(self, process: Process, path: str) -> None:
        self._process = process
        self._path = path

    async def write(self, data: bytes) -> None:
        """Write."""
        self._process.files.write(self._path, data, append=True)


class _Streams:
    """Replaces a process's streams while a block runs."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr

    def set_output(self, descriptor: int, sink: Sink) -> None:
        """Where standard output or standard error goes."""
        if descriptor == 1:
            self.stdout = sink
        else:
            self.stderr = sink

    def __enter__(self) -> None:
        self._exchange()

    def __exit__(self, *_: object) -> None:
        self._exchange()

    def _exchange(self) -> None:
        process = self._process
        before = process.stdin, process.stdout, process.stderr
        process.stdin, process.stdout, process.stderr = self.stdin, self.stdout, self.stderr
        self.stdin, self.stdout, self.stderr = before


async def _stage(
    shell: Shell, command: Command | Sequence, source: Pipe | None, target: Pipe | None
) -> int:
    """Run a command in a subshell, and close its ends of the pipes behind it."""
    try:
        if isinstance(command, Sequence):
            await shell.execute(command)
        else:
            await shell.command(command)
    except ProgramExit as ending:
        return ending.code
    except _Break:
        return shell.status
    finally:
        if target is not None:
            target.end()
        if source is not None:
            source.break_()
    return shell.status


def _assignment(word: Word) -> tuple[str, Word] | None:
    """Name and value of a word of the form NAME=value."""
    first = word.parts[0] if word.parts else None
    if not isinstance(first, Text) or first.quoted:
        return None
    name, equals, rest = first.text.partition("=")
    if not equals or not name.isidentifier():
        return None
    return name, Word((Text(rest, quoted=False), *word.parts[1:]))
