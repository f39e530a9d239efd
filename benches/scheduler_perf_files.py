"""The workload files of Kubernetes' scheduler_perf, read unchanged and checked before any work.

A file is a list of test cases. Each has a `workloadTemplate`, a list of operations whose numbers
may be parameters (`countParam: $initPods`), and `workloads` that give the parameters values. Every
complaint names the file, the line, and what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import yaml

from benches.scheduler_perf_opcodes import FIELDS, NESTED_OPERATION, OPCODES

__all__ = ["Operation", "Workload", "WorkloadFileError", "read_workloads", "seconds_of"]

_CASE_FIELDS = frozenset(
    {
        "name",
        "defaultPodTemplatePath",
        "defaultThresholdMetricSelector",
        "featureGates",
        "labels",
        "metricsCollectorConfig",
        "schedulerConfigPath",
        "workloadTemplate",
        "workloads",
    }
)
_WORKLOAD_FIELDS = frozenset(
    {"name", "featureGates", "labels", "params", "threshold", "thresholdMetricSelector"}
)
_UNIT_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(h|ms|m|s|us|µs|ns)")


class WorkloadFileError(Exception):
    """A workload file says something that cannot be run; the message has file, line and remedy."""

    def __init__(self, path: Path, line: int, message: str) -> None:
        super().__init__(f"{path}:{line}: {message}")


class _Mapping(dict[str, Any]):
    """A mapping that knows the lines of itself and of its keys."""

    line: int
    lines: dict[str, int]


class _Loader(yaml.SafeLoader):
    """Mappings keep their lines; a key that is given twice is refused."""


def _construct_mapping(loader: _Loader, node: yaml.MappingNode) -> Iterator[_Mapping]:
    mapping = _Mapping()
    mapping.line = node.start_mark.line + 1
    mapping.lines = {}
    yield mapping
    for key_node, value_node in node.value:
        key = str(loader.construct_object(key_node, deep=True))
        if key in mapping:
            raise yaml.MarkedYAMLError(
                problem=f"{key} is given twice", problem_mark=key_node.start_mark
            )
        mapping.lines[key] = key_node.start_mark.line + 1
        mapping[key] = loader.construct_object(value_node, deep=True)


_Loader.add_constructor("tag:yaml.org,2002:map", _construct_mapping)


@attrs.frozen
class Operation:
    """One step of a workload with its parameters filled in."""

    opcode: str
    fields: Mapping[str, Any]
    # The file, and the line where the operation begins.
    path: Path
    line: int

    def get(self, name: str, default: Any = None) -> Any:
        """The value of a field."""
        value = self.fields.get(name)
        return default if value is None else value

    def template(self, name: str) -> Path | None:
        """The file that a field names."""
        found = self.fields.get(name)
        return None if found is None else _resolve(self.path, found)

    def error(self, message: str) -> WorkloadFileError:
        """A complaint about this operation."""
        return WorkloadFileError(self.path, self.line, f"{self.opcode}: {message}")


@attrs.frozen
class Workload:
    """One workload of one test case, ready to run."""

    case: str
    name: str
    labels: frozenset[str]
    feature_gates: Mapping[str, bool]
    # Pods per second below which Kubernetes' own run counts as failed; 0 when none is given.
    threshold: float
    operations: tuple[Operation, ...]
    default_pod_template: Path | None
    scheduler_config: Path | None

    @property
    def full_name(self) -> str:
        """Test case and workload, as `--workload` takes them."""
        return f"{self.case}/{self.name}"


def read_workloads(path: Path, overrides: Mapping[str, Any] | None = None) -> list[Workload]:
    """Every workload of a file; `overrides` replace parameters that a workload defines.

    Raises:
        WorkloadFileError: the file is not what scheduler_perf would take.
    """
    overrides = overrides or {}
    cases = _load(path)
    if not isinstance(cases, list):
        raise WorkloadFileError(
            path, 1, "expected a list of test cases, each beginning with - name:"
        )
    found = [w for case in cases for w in _read_case(path, case, overrides)]
    known = {name for case in cases for w in case["workloads"] for name in w.get("params") or ()}
    for name in overrides:
        if name not in known:
            raise WorkloadFileError(
                path, 1, f"no workload has a parameter {name}; there are {', '.join(sorted(known))}"
            )
    return found


def seconds_of(text: str) -> float:
    """Seconds of a duration as Go writes it: 1m30s.

    Raises:
        ValueError: it is none.
    """
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"{text!r} is not a duration such as 500ms, 10s or 1m30s")
    return sum(float(number) * _UNIT_SECONDS[unit] for number, unit in parts)


def _load(path: Path) -> Any:
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise WorkloadFileError(path, 1, f"cannot be read: {error}") from error
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise WorkloadFileError(path, line, f"not YAML: {error.problem}") from error


def _read_case(path: Path, case: Any, overrides: Mapping[str, Any]) -> list[Workload]:
    case = _mapping(path, 1, case, "a test case")
    _only(path, case, _CASE_FIELDS, "a test case")
    name = _required(path, case, "name", "test case")
    template = _required(path, case, "workloadTemplate", "test case")
    if not isinstance(template, list) or not template:
        line = case.lines["workloadTemplate"]
        raise WorkloadFileError(path, line, "workloadTemplate must be a list of operations")
    workloads = _required(path, case, "workloads", "test case")
    if not isinstance(workloads, list):
        raise WorkloadFileError(path, case.lines["workloads"], "workloads must be a list")
    operations = [_checked_operation(path, case.line, op) for op in template]
    default = case.get("defaultPodTemplatePath")
    config = case.get("schedulerConfigPath")
    read = []
    for described in workloads:
        workload = _mapping(path, case.line, described, "a workload")
        _only(path, workload, _WORKLOAD_FIELDS, "a workload")
        params = dict(workload.get("params") or {})
        params |= {key: value for key, value in overrides.items() if key in params}
        read.append(
            Workload(
                case=str(name),
                name=str(_required(path, workload, "name", "workload")),
                labels=frozenset((*(case.get("labels") or ()), *(workload.get("labels") or ()))),
                feature_gates={
                    **(case.get("featureGates") or {}),
                    **(workload.get("featureGates") or {}),
                },
                threshold=_threshold(path, workload),
                operations=tuple(_filled(path, op, params, workload) for op in operations),
                default_pod_template=None if default is None else _resolve(path, default),
                scheduler_config=None if config is None else _resolve(path, config),
            )
        )
    return read


def _threshold(path: Path, workload: _Mapping) -> float:
    """A number, or a mapping from topics to numbers, of which the first counts."""
    threshold = workload.get("threshold") or 0
    if isinstance(threshold, Mapping):
        threshold = next(iter(threshold.values()), 0)
    if not isinstance(threshold, int | float):
        line = workload.lines["threshold"]
        raise WorkloadFileError(path, line, f"threshold must be a number, not {threshold!r}")
    return float(threshold)


def _checked_operation(path: Path, line: int, described: Any) -> _Mapping:
    operation = _mapping(path, line, described, "an operation")
    opcode = _required(path, operation, "opcode", "operation")
    fields = FIELDS.get(opcode)
    if fields is None:
        raise WorkloadFileError(
            path,
            operation.lines["opcode"],
            f"unknown opcode {opcode!r}; known are {', '.join(OPCODES)}",
        )
    for key in operation:
        if key == "opcode" or key in fields or (key.endswith("Param") and key[:-5] in fields):
            continue
        raise WorkloadFileError(
            path,
            operation.lines[key],
            f"{opcode} has no field {key!r}; it has {', '.join(sorted(fields))}",
        )
    nested = operation.get(NESTED_OPERATION)
    if nested is not None:
        operation[NESTED_OPERATION] = _checked_operation(path, operation.line, nested)
    return operation


def _filled(
    path: Path, operation: _Mapping, params: Mapping[str, Any], workload: _Mapping
) -> Operation:
    """The operation with parameters of one workload."""
    opcode = operation["opcode"]
    fields: dict[str, Any] = {}
    for key, value in operation.items():
        if key == NESTED_OPERATION:
            fields[key] = _filled(path, value, params, workload)
        elif key.endswith("Param"):
            fields[key[:-5]] = _parameter(path, operation, key, params, workload)
        elif key == "templateParams":
            fields[key] = {
                name: params.get(inner[1:]) if str(inner).startswith("$") else inner
                for name, inner in (value or {}).items()
            }
        elif key != "opcode":
            fields.setdefault(key, value)
    for name, rule in FIELDS[opcode].items():
        value = fields.get(name)
        line = operation.lines.get(name) or operation.lines.get(f"{name}Param") or operation.line
        if value is None:
            if rule.required:
                raise WorkloadFileError(path, line, f"{opcode} needs {name}")
            continue
        problem = rule.problem(value)
        if problem:
            raise WorkloadFileError(path, line, f"{opcode}: {name} {problem}")
        if rule.seconds:
            fields[name] = _seconds(path, line, value)
    return Operation(opcode, fields, path, operation.line)


def _seconds(path: Path, line: int, value: Any) -> float:
    try:
        return seconds_of(str(value))
    except ValueError as error:
        raise WorkloadFileError(path, line, str(error)) from error


def _parameter(
    path: Path, operation: _Mapping, key: str, params: Mapping[str, Any], workload: _Mapping
) -> Any:
    reference = str(operation[key])
    if not reference.startswith("$"):
        raise WorkloadFileError(
            path,
            operation.lines[key],
            f"{key} must name a parameter, as ${reference.lstrip('$')} does",
        )
    if reference[1:] not in params:
        have = ", ".join(sorted(params)) or "none"
        raise WorkloadFileError(
            path,
            operation.lines[key],
            f"workload {workload.get('name')!r} (line {workload.line}) has no parameter"
            f" {reference[1:]!r}; it has {have}: add it to its params",
        )
    return params[reference[1:]]


def _resolve(path: Path, named: str) -> Path:
    """The first that exists of: next to the file, above its folder, where the command runs.

    Files of releases before 1.33 name templates from the folder above their own.
    """
    candidates = [path.parent / named, path.parent.parent / named, Path(named)]
    return next((candidate for candidate in candidates if candidate.exists()), candidates[0])


def _mapping(path: Path, line: int, value: Any, what: str) -> _Mapping:
    if not isinstance(value, _Mapping):
        raise WorkloadFileError(path, line, f"{what} must be a mapping, not {value!r}")
    return value


def _only(path: Path, value: _Mapping, known: frozenset[str], what: str) -> None:
    for key in value:
        if key not in known:
            raise WorkloadFileError(
                path, value.lines[key], f"{what} has no field {key!r}; it has {_listed(known)}"
            )


def _required(path: Path, value: _Mapping, name: str, what: str) -> Any:
    if value.get(name) is None:
        raise WorkloadFileError(path, value.line, f"this {what} needs {name}")
    return value[name]


def _listed(names: Sequence[str] | frozenset[str]) -> str:
    return ", ".join(sorted(names))
