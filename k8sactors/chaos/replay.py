"""A failing run as a file that people can read and `chaos --replay` runs again.

What is common to campaigns on a store and on a whole cluster: seed, findings, the options that
differ from the usual ones, and one line per fault. Such files are edited, so all is checked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

import attrs
import yaml

from k8sactors.api.located_yaml import YamlSourceError, load_documents
from k8sactors.chaos.outcome import Outcome
from k8sactors.faults import (
    BadParametersError,
    PlannedFault,
    UnknownFaultError,
    fault_named,
)
from k8sactors.faults.parameters import LEADER, Host, Hosts
from k8sactors.observe.text import few

FORMAT: Final = 1
MOST: Final = 1 << 62
NOT_IN_FILES: Final = ("plan", "pace", "kinds", "targets")
"""With a plan, nothing is drawn from kinds at a pace."""

_TIMES = ("at_ms", "duration_ms")

OptionsT = TypeVar("OptionsT", bound=attrs.AttrsInstance)


class BadReplayError(Exception):
    """The file is no replay file; the message says what is wrong with it."""


@attrs.frozen(kw_only=True)
class Replay(Generic[OptionsT]):
    """What a replay file says to the campaign that it is of."""

    seed: int
    # With the plan.
    options: OptionsT
    # The checks that found something.
    checks: tuple[str, ...] = ()
    # The trace of the run that was recorded.
    trace_hash: str = ""


@attrs.frozen
class ReplayData:
    """What every replay file says."""

    seed: int
    # The checks that found something.
    checks: tuple[str, ...]
    # The trace of the run that was recorded.
    trace_hash: str
    options: Mapping[str, Any]
    faults: Sequence[Any]
    # Everything in the file.
    data: Mapping[str, Any]


def write_data(
    path: Path,
    command: str,
    outcome: Outcome,
    options: Mapping[str, Any],
    plan: Sequence[PlannedFault],
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write a run to a file.

    Args:
        path: the file.
        command: what replays it, as in `raftstore chaos`.
        outcome: seed, findings and trace.
        options: those that differ from the usual ones.
        plan: the faults.
        more: further keys.

    Raises:
        OSError: that is not possible.
    """
    lines = [f"# What `{command} --replay {path.name}` runs again, exactly.", "#"]
    lines += [f"# {line}" for finding in outcome.findings for line in str(finding).split("\n")]
    head = {"format": FORMAT, "seed": outcome.seed, "checks": list(outcome.checks)}
    # Quoted: digits with an e among them are no number here.
    text = "\n".join(lines) + "\n" + _dump(head | dict(more or {}))
    text += f'trace: "{outcome.trace_hash}"\n'
    if options:
        text += _dump({"options": dict(options)})
    faults = [_fault_to_data(fault) for fault in plan]
    # One line per fault: a schedule is read from top to bottom.
    text += "faults:\n" if faults else "faults: []\n"
    for fault in faults:
        text += "- " + _dump(fault, flow=True)
    path.write_text(text, encoding="utf-8")


def read_data(path: Path, command: str) -> ReplayData:
    """Read a file that `write_data` wrote, or that was edited.

    Raises:
        BadReplayError: it cannot be read or understood.
    """
    try:
        documents = load_documents(path.read_text(encoding="utf-8"), str(path))
    except OSError as error:
        raise BadReplayError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise BadReplayError(f"{path} is no text: {error}") from error
    except YamlSourceError as error:
        raise BadReplayError(f"{path} is no YAML: {error}") from error
    data = documents[0].data if documents else None
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        raise BadReplayError(
            f"{path} is no replay file of format {FORMAT}; `{command}` writes them"
        )
    seed = data.get("seed")
    if type(seed) is not int or seed < 0:
        raise BadReplayError(f"{path}: seed must be a whole number, it is {seed!r}")
    checks = data.get("checks") or []
    if not isinstance(checks, list):
        raise BadReplayError(f"{path}: checks must be a list of names, it is {checks!r}")
    options, faults = data.get("options") or {}, data.get("faults") or []
    if not isinstance(options, dict):
        raise BadReplayError(f"{path}: options must be a mapping")
    if not isinstance(faults, list):
        raise BadReplayError(f"{path}: faults must be a list, it is {faults!r}")
    return ReplayData(seed, tuple(checks), str(data.get("trace", "")), options, faults, data)


def options_to_data(options: OptionsT, usual: OptionsT) -> dict[str, Any]:
    """The options that differ from the usual ones."""
    data = {}
    for field in attrs.fields(type(options)):
        value = getattr(options, field.name)
        if field.name not in NOT_IN_FILES and value != getattr(usual, field.name):
            data[field.name] = list(value) if isinstance(value, tuple) else value
    return data


def options_from_data(
    data: Mapping[str, Any], usual: OptionsT, ranges: Mapping[str, tuple[int, int]]
) -> OptionsT:
    """The usual options, changed as a file says.

    Args:
        data: the file's options.
        usual: the options of a run that says nothing.
        ranges: of whole numbers, both ends included; all others are 0 or more.

    Raises:
        TypeError, ValueError: the message names the option.
    """
    known = [field.name for field in attrs.fields(type(usual)) if field.name not in NOT_IN_FILES]
    options: dict[str, Any] = {}
    for name, value in data.items():
        if name not in known:
            raise ValueError(f"no option {name!r}; known: {', '.join(known)}")
        wanted = type(getattr(usual, name))
        read = tuple(value) if wanted is tuple and isinstance(value, list) else value
        if type(read) is not wanted:
            raise TypeError(f"option {name} must be a {wanted.__name__}, it is {value!r}")
        if isinstance(read, int) and wanted is int:
            least, most = ranges.get(name, (0, MOST))
            if not least <= read <= most:
                upper = f" and at most {most}" if most < MOST else ""
                raise ValueError(f"option {name} must be at least {least}{upper}, it is {value}")
        options[name] = read
    changed: OptionsT = attrs.evolve(cast("Any", usual), **options)
    return changed


def plan_from_data(data: Sequence[Any]) -> tuple[PlannedFault, ...]:
    """The faults of a file.

    Raises:
        TypeError, ValueError, UnknownFaultError: the message names the fault.
    """
    return tuple(_fault_from_data(each) for each in data)


def check_faults(plan: Sequence[PlannedFault], faults_ms: int, hosts: Sequence[str]) -> None:
    """Refuse faults that strike no machine, or that the run is over before.

    Raises:
        ValueError: the message names the fault.
    """
    for fault in plan:
        name = f"{fault.kind} at {fault.at_ms} ms"
        if fault.at_ms >= faults_ms:
            raise ValueError(f"{name} never strikes: faults end at {faults_ms} ms")
        for key, parameter in fault.fault.parameters.items():
            value = fault.parameters[key]
            # The machine of a default, as the watchers', is there in every run.
            if isinstance(parameter, Host | Hosts) and value != parameter.default:
                _check_hosts(name, value, hosts)


def _check_hosts(name: str, value: Any, hosts: Sequence[str]) -> None:
    for host in value if isinstance(value, list) else [value]:
        if host not in hosts and host != LEADER:
            known = few((LEADER, *hosts))
            raise ValueError(f"{name}: there is no machine {host!r}; there are {known}")


def _dump(data: Any, *, flow: bool = False) -> str:
    style = True if flow else None
    text: str = yaml.safe_dump(data, sort_keys=False, default_flow_style=style, width=10_000)
    return text


def _fault_to_data(fault: PlannedFault) -> dict[str, Any]:
    data = {"at_ms": fault.at_ms, "duration_ms": fault.duration_ms, "kind": fault.kind}
    if fault.part_of:
        data["part_of"] = fault.part_of
    return {**data, **fault.parameters}


def _fault_from_data(data: Any) -> PlannedFault:
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise TypeError(f"a fault must be a mapping with a kind, it is {data!r}")
    parameters = dict(data)
    kind = parameters.pop("kind")
    fault = fault_named(kind)
    part_of = parameters.pop("part_of", "")
    at_ms, duration_ms = (_pop_time(parameters, name, kind) for name in _TIMES)
    if fault.unfold is not None:
        raise ValueError(f"{kind} stands for several faults; write each of them")
    try:
        whole = fault.complete(parameters)
    except BadParametersError as error:
        raise ValueError(f"{kind} at {at_ms} ms: {error}") from error
    return PlannedFault(at_ms, duration_ms, kind, whole, part_of)


def _pop_time(parameters: dict[str, Any], name: str, kind: str) -> int:
    value = parameters.pop(name, None)
    if type(value) is not int or value < 0:
        raise ValueError(f"{name} of {kind} must be a whole number, it is {value!r}")
    return value


REFUSED: Final = (TypeError, ValueError, UnknownFaultError)
"""What the readers of options and faults raise."""
