"""A failing run as a file that people can read and `raftstore chaos --replay` runs again."""

from pathlib import Path
from typing import Any

import attrs
import yaml

from k8sactors.chaos.outcome import Outcome
from k8sactors.chaos.replay_check import check_faults, check_options
from k8sactors.chaos.store_options import StoreChaos
from k8sactors.faults import PlannedFault, UnknownFaultError, check_kinds
from k8sactors.faults.plan import CATALOGUE

FORMAT = 1
_TIMES = ("at_ms", "duration_ms")


class BadReplayError(Exception):
    """The file is no replay file; the message says what is wrong with it."""


@attrs.frozen
class Replay:
    """What a replay file says.

    Attributes:
        seed: of the run.
        chaos: its options, with the plan.
        checks: which checks found something.
        trace_hash: of the run that was recorded.
    """

    seed: int
    chaos: StoreChaos
    checks: tuple[str, ...] = ()
    trace_hash: str = ""


def write_replay(path: Path, seed: int, chaos: StoreChaos, outcome: Outcome) -> None:
    """Write a run to a file.

    Raises:
        OSError: that is not possible.
    """
    lines = [f"# What `raftstore chaos --replay {path.name}` runs again, exactly.", "#"]
    lines += [f"# {line}" for finding in outcome.findings for line in str(finding).split("\n")]
    head = {"format": FORMAT, "seed": seed, "checks": list(outcome.checks)}
    head["trace"] = outcome.trace_hash
    text = "\n".join(lines) + "\n" + _dump(head)
    options = _options_to_data(chaos)
    if options:
        text += _dump({"options": options})
    faults = [_fault_to_data(fault) for fault in chaos.plan or ()]
    # One line per fault: a schedule is read from top to bottom.
    text += "faults:\n" if faults else "faults: []\n"
    for fault in faults:
        text += "- " + _dump(fault, flow=True)
    path.write_text(text, encoding="utf-8")


def read_replay(path: Path) -> Replay:
    """Read a file that `write_replay` wrote, or that somebody has edited.

    Raises:
        BadReplayError: it cannot be read or understood.
    """
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BadReplayError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadReplayError(f"{path} is no text: {error}") from error
    except yaml.YAMLError as error:
        raise BadReplayError(f"{path} is no YAML: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadReplayError(
            f"{path} is no replay file of format {FORMAT}; `raftstore chaos` writes them"
        )
    seed = data.get("seed")
    if type(seed) is not int or seed < 0:
        raise BadReplayError(f"{path}: seed must be a whole number, it is {seed!r}")
    checks = data.get("checks") or []
    if not isinstance(checks, list):
        raise BadReplayError(f"{path}: checks must be a list of names, it is {checks!r}")
    try:
        options = _options_from_data(data.get("options") or {})
        plan = _plan_from_data(data.get("faults") or [])
        chaos = StoreChaos(**options, plan=plan)
        check_faults(chaos)
    except (TypeError, ValueError, UnknownFaultError) as error:
        raise BadReplayError(f"{path}: {error}") from error
    return Replay(seed, chaos, tuple(checks), str(data.get("trace", "")))


def _dump(data: Any, *, flow: bool = False) -> str:
    style = True if flow else None
    text: str = yaml.safe_dump(data, sort_keys=False, default_flow_style=style, width=10_000)
    return text


def _options_to_data(chaos: StoreChaos) -> dict[str, Any]:
    """The options that differ from the defaults."""
    default = StoreChaos()
    data = {}
    for field in attrs.fields(StoreChaos):
        value = getattr(chaos, field.name)
        if field.name not in _NOT_IN_FILES and value != getattr(default, field.name):
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data


_NOT_IN_FILES = ("plan", "pace", "kinds")
"""With a plan, nothing is drawn from kinds at a pace."""


def _options_from_data(data: Any) -> dict[str, Any]:
    if not isinstance(data, dict):
        raise TypeError("options must be a mapping")
    default = StoreChaos()
    known = [field.name for field in attrs.fields(StoreChaos) if field.name not in _NOT_IN_FILES]
    options = {}
    for name, value in data.items():
        if name not in known:
            raise ValueError(f"no option {name!r}; known: {', '.join(known)}")
        wanted = type(getattr(default, name))
        made = tuple(value) if wanted is tuple and isinstance(value, list) else value
        if type(made) is not wanted:
            raise TypeError(f"option {name} must be a {wanted.__name__}, it is {value!r}")
        options[name] = made
    check_options(options)
    return options


def _fault_to_data(fault: PlannedFault) -> dict[str, Any]:
    data = {"at_ms": fault.at_ms, "duration_ms": fault.duration_ms, "kind": fault.kind}
    if fault.part_of:
        data["part_of"] = fault.part_of
    return {**data, **fault.parameters}


def _plan_from_data(data: Any) -> tuple[PlannedFault, ...]:
    if not isinstance(data, list):
        raise TypeError(f"faults must be a list, it is {data!r}")
    return tuple(_fault_from_data(each) for each in data)


def _fault_from_data(data: Any) -> PlannedFault:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise TypeError(f"a fault must be a mapping with a kind, it is {data!r}")
    parameters = dict(data)
    kind = parameters.pop("kind")
    check_kinds((kind,))
    part_of = parameters.pop("part_of", "")
    at_ms, duration_ms = (_pop_time(parameters, name, kind) for name in _TIMES)
    if kind not in CATALOGUE:
        raise ValueError(f"{kind} stands for several faults; write each of them")
    return PlannedFault(at_ms, duration_ms, kind, parameters, part_of)


def _pop_time(parameters: dict[str, Any], name: str, kind: str) -> int:
    value = parameters.pop(name, None)
    if not isinstance(value, int) or value < 0:
        raise ValueError(f"{name} of {kind} must be a whole number, it is {value!r}")
    return value
