"""What a container does once it runs: a program on virtual time.

It is worked out from the image, the command and annotations.

Shell one-liners are read just far enough to know when they end and how: `sleep`, `exit`, `true`,
`false` and endless loops. A script of an init container that waits for something is taken to have
waited for a second, because an init container must end for its pod to start.

Pod annotations overrule: `sim/run-seconds` with `sim/exit-code` end the program by itself,
`sim/stop-after` says how long it takes to stop (`never`: not at all, as a process in
uninterruptible sleep).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import attrs

from k8sactors.runtime.cri import ContainerConfig
from k8sactors.runtime.images import Behaviour, ImageEntry, lookup
from k8sactors.simulation import SECOND

NEVER_NS = 1 << 62
_INIT_SCRIPT_NS = SECOND
_SHELLS = frozenset({"sh", "bash", "ash", "dash", "busybox"})
# What a script may call and be done with at once; anything else is taken for a program that stays.
_SHORT_WORDS = (
    ": [ awk cat cd chmod chown cp curl cut date dd dig echo env exit export false find grep head "
    "hostname id kubectl ln ls mkdir mkfifo mv nslookup ping printenv printf ps pwd rm sed seq set "
    "sleep sort stat sync tail tar tee test touch tr true ulimit umask uname unset wc wget whoami"
)
_SHORT = frozenset(_SHORT_WORDS.split())
_ENDLESS = re.compile(
    r"while\s+(true|:|\[\s*1\s*\])|until\s+false|tail\s+-f|sleep\s+(inf|infinity)\b|for\s*\(\(\s*;;"
)
_WAITS = re.compile(r"\b(until|while|for)\b")
_SLEEP = re.compile(r"^sleep\s+(\d+(?:\.\d+)?)([smhd]?)$")
_EXIT = re.compile(r"^exit(?:\s+(\d+))?$")
_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


@attrs.frozen
class Program:
    """The life of a process."""

    # From start to its own end; None runs until it is stopped.
    run_ns: int | None = None
    # With which it ends by itself.
    exit_code: int = 0
    # Where it listens.
    ports: tuple[int, ...] = ()
    # From start until it listens.
    warmup_ns: int = 0
    # From SIGTERM to its end; None ignores SIGTERM.
    stop_ns: int | None = 0
    # With which it ends after SIGTERM.
    stop_exit_code: int = 0
    # Whether SIGKILL ends it before stop_ns has passed.
    killable: bool = True


def program_of(config: ContainerConfig, annotations: Mapping[str, str]) -> Program:
    """The program that a container of this configuration runs, in a pod with these annotations."""
    entry = lookup(config.image)
    argv = [*config.command, *config.args]
    if entry.behaviour is Behaviour.SHELL or (config.command and _is_script(config.command[0])):
        program = _shell_program(config, argv or list(entry.command))
    elif entry.behaviour is Behaviour.JOB:
        program = Program(run_ns=entry.run_ns, exit_code=entry.exit_code, stop_ns=entry.stop_ns)
    elif config.container_type == "init":
        program = Program(run_ns=_INIT_SCRIPT_NS, stop_ns=entry.stop_ns)
    else:
        program = _server(config, entry)
    return _annotated(program, config, annotations)


def exec_exit_code(command: Sequence[str]) -> int:
    """The exit code of a command in a container: what `exit N` or `false` say, otherwise 0."""
    words = list(command)
    if words and _is_shell(words[0]):
        return _read_script(script_of(words))[1]
    return 1 if words and words[0].rpartition("/")[2] == "false" else 0


def is_interactive(config: ContainerConfig) -> bool:
    """Whether the program is a shell, or `cat`, that works off its standard input."""
    if not config.stdin or lookup(config.image).behaviour is not Behaviour.SHELL:
        return False
    argv = [*config.command, *config.args] or list(lookup(config.image).command)
    name = argv[0].rpartition("/")[2] if argv else ""
    return name == "cat" or (_is_shell(name) and script_of(argv) is None)


def seconds_to_ns(text: str) -> int:
    """Nanoseconds of an annotation such as "0.5"; `never` is a time that does not come."""
    return NEVER_NS if text == "never" else int(float(text) * SECOND)


def _server(config: ContainerConfig, entry: ImageEntry) -> Program:
    ports = dict.fromkeys([*config.ports, *entry.ports])
    if config.env_port:
        ports[config.env_port] = None
    return Program(ports=tuple(ports), warmup_ns=entry.warmup_ns, stop_ns=entry.stop_ns)


def _is_shell(word: str) -> bool:
    return word.rpartition("/")[2] in _SHELLS


def _is_script(word: str) -> bool:
    """Whether a command says itself what it does, whatever image it runs in."""
    return _is_shell(word) or word.rpartition("/")[2] in _SHORT


def script_of(argv: Sequence[str]) -> str | None:
    """The script of a call of a shell: the text after -c, also in combined flags such as -exc."""
    for index, word in enumerate(argv[1:], start=1):
        if word.startswith("-") and not word.startswith("--") and word.endswith("c"):
            return argv[index + 1] if index + 1 < len(argv) else ""
    return None


def _shell_program(config: ContainerConfig, argv: Sequence[str]) -> Program:
    """A shell's program. Process 1 has no default signal handlers, so these ignore SIGTERM."""
    init = config.container_type == "init"
    script = script_of(argv) if argv and _is_shell(argv[0]) else " ".join(argv)
    if script is None:  # an interactive shell without a terminal reads end-of-file
        return Program(run_ns=SECOND // 100, stop_ns=None)
    run_ns, exit_code = _read_script(script)
    if run_ns is None and init:
        return Program(run_ns=_INIT_SCRIPT_NS, stop_ns=None)
    if run_ns is None and not _ENDLESS.search(script):
        return _server(config, lookup(config.image))  # a program that the script ends in
    return Program(run_ns=run_ns, exit_code=exit_code, ports=tuple(config.ports), stop_ns=None)


def _read_script(script: str | None) -> tuple[int | None, int]:
    """How long a script runs (None: forever) and its exit code."""
    if script is None or not script.strip():
        return SECOND // 100, 0
    if _ENDLESS.search(script):
        return None, 0
    if _WAITS.search(script):
        return _INIT_SCRIPT_NS, 0
    run_ns = SECOND // 100
    exit_code = 0
    for command in re.split(r"\s*(?:;|&&|\n)\s*", script.strip()):
        exit_match = _EXIT.match(command)
        if exit_match:
            return run_ns, int(exit_match.group(1) or exit_code)
        words = command.split()
        if words and words[0].rpartition("/")[2] not in _SHORT and "=" not in words[0]:
            return None, 0
        run_ns += _sleep_ns(command)
        exit_code = 1 if command in {"false", "/bin/false"} else 0
    return run_ns, exit_code


def _sleep_ns(command: str) -> int:
    match = _SLEEP.match(command)
    return int(float(match.group(1)) * _UNIT_SECONDS[match.group(2)] * SECOND) if match else 0


def _annotated(
    program: Program, config: ContainerConfig, annotations: Mapping[str, str]
) -> Program:
    run_seconds = annotations.get("sim/run-seconds")
    if run_seconds is not None and config.container_type == "app":
        exit_code = int(annotations.get("sim/exit-code", "0"))
        program = attrs.evolve(program, run_ns=seconds_to_ns(run_seconds), exit_code=exit_code)
    stop_after = annotations.get("sim/stop-after")
    if stop_after is not None:
        program = attrs.evolve(program, stop_ns=seconds_to_ns(stop_after), killable=False)
    return program
