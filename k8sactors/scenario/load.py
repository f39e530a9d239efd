"""Read a scenario and everything it names; refuse it as a whole when anything is wrong.

Nothing starts before this is through. All mistakes of the scenario, its manifests and those of the
command line are collected and reported together.
"""

import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from k8sactors.api import scheme
from k8sactors.api.errors import UnknownResourceError
from k8sactors.api.located_yaml import (
    Document,
    KeyPath,
    Problem,
    YamlSourceError,
    load_documents,
)
from k8sactors.scenario.binding import Reader, Struct, key_of, suggestion
from k8sactors.scenario.cluster_section import check_cluster, host_names, zone_names
from k8sactors.scenario.conditions import Condition, Count, Value
from k8sactors.scenario.errors import BadScenarioError
from k8sactors.scenario.manifests import read_manifests, read_object
from k8sactors.scenario.model import Scenario, ScenarioFile
from k8sactors.scenario.steps import AddWorker, Apply, Delete, Get, Injection, Replace, Step
from k8sactors.scenario.targets import Target, TargetKind
from k8sactors.topology import ClusterSpec

FOREIGN = (
    "with --store the members are no part of the cluster; run without it, or break them yourself"
)


def load_scenario(
    source: Path,
    *,
    seed: int | None = None,
    topology: str | None = None,
    manifests: Sequence[Path] = (),
    needs_manifests: bool = True,
    store: Sequence[str] = (),
    store_tls: ssl.SSLContext | None = None,
) -> Scenario:
    """Read, complete and check a scenario.

    Args:
        source: the scenario file.
        seed: replaces the file's seed.
        topology: replaces the file's topology.
        manifests: files for `apply: {manifests: true}`.
        needs_manifests: whether it is a mistake not to give them where the scenario asks for them.
        store: endpoints of a real etcd that keeps the state instead of members of the cluster.
        store_tls: how they are spoken to over TLS.

    Raises:
        BadScenarioError: with every mistake in any of the files.
    """
    document = _read_document(source)
    reader = Reader(document)
    file: ScenarioFile | None = Struct(ScenarioFile).read(document.data, (), reader)
    if file is None or any(each.key.startswith("cluster") for each in reader.problems):
        raise BadScenarioError(in_order(reader.problems))
    spec = file.cluster.spec(topology)
    if store:
        spec = spec.on_store(store, store_tls)
    is_well_formed = not reader.problems
    check_cluster(spec, ("cluster",), reader)
    if not is_well_formed:
        raise BadScenarioError(in_order(reader.problems))
    scenario = Scenario(
        file=file,
        source=source,
        cluster=spec,
        seed=file.seed if seed is None else seed,
        warnings=spec.warnings(),
    )
    _Checks(scenario, spec, reader).steps(file.steps)
    _read_named_manifests(scenario, reader)
    takers = [step.action for step in _all_steps(file.steps) if _wants_manifests(step)]
    refused = bool(takers) and all(action.fails for action in takers)
    for path in manifests:
        scenario.extra += read_manifests(path, str(path), reader.problems, may_be_invalid=refused)
    if needs_manifests and takers and not manifests:
        message = "this scenario applies manifests of the caller: give at least one --manifest FILE"
        reader.problem(("steps",), message)
    if reader.problems:
        raise BadScenarioError(in_order(reader.problems))
    return scenario


def _is_store(target: Target, spec: ClusterSpec) -> bool:
    """Whether a target means members of the store."""
    match target.kind:
        case TargetKind.STORE:
            return True
        case TargetKind.ROLE:
            return target.name == "store-members"
        case TargetKind.HOST | TargetKind.ACTOR:
            return target.name in spec.store_names or target.actor == "etcd"
        case _:
            return False


def _read_document(source: Path) -> Document:
    shown = str(source)
    try:
        documents = load_documents(source.read_text(encoding="utf-8"), shown)
    except OSError as error:
        message = f"cannot read this scenario: {error.strerror}"
        raise BadScenarioError([Problem(shown, 1, 1, "", message)]) from None
    except UnicodeDecodeError:
        message = "cannot read this scenario: it is not text in UTF-8"
        raise BadScenarioError([Problem(shown, 1, 1, "", message)]) from None
    except YamlSourceError as error:
        raise BadScenarioError(error.problems) from None
    if any(isinstance(each.data, dict) and "kind" in each.data for each in documents):
        message = (
            "this is a manifest, not a scenario; a scenario applies it: "
            f"k8sactors run scenarios/real-app.yaml --manifest {shown}"
        )
        raise BadScenarioError([Problem(shown, 1, 1, "kind", message)])
    if len(documents) != 1:
        message = f"expected one YAML document, got {len(documents)}"
        raise BadScenarioError([Problem(shown, 1, 1, "", message)])
    return documents[0]


def in_order(problems: Sequence[Problem]) -> list[Problem]:
    """As one reads: file by file, from top to bottom, each only once."""
    files = {problem.file: None for problem in problems}
    once = dict.fromkeys(problems)
    return [
        problem
        for file in files
        for problem in sorted(once, key=lambda each: (each.line, each.column))
        if problem.file == file
    ]


def _all_steps(steps: Sequence[Step]) -> Iterator[Step]:
    for step in steps:
        yield step
        if step.verb == "parallel":
            yield from _all_steps(step.action)


def _wants_manifests(step: Step) -> bool:
    return isinstance(step.action, Apply) and step.action.manifests


def _read_named_manifests(scenario: Scenario, reader: Reader) -> None:
    for step in _all_steps(scenario.file.steps):
        if not isinstance(step.action, Apply):
            continue
        where = (*step.path, "apply")
        refused = step.action.fails is not None
        if not (step.action.files or step.action.objects or step.action.manifests):
            reader.problem(where, "nothing to apply: give files, objects or manifests: true")
        for number, name in enumerate(step.action.files):
            file = scenario.source.parent / name
            if not file.is_file():
                reader.problem((*where, "files", number), f"there is no file {str(file)!r}")
                continue
            scenario.manifests[name] = read_manifests(
                file, str(file), reader.problems, may_be_invalid=refused
            )
        for number, each in enumerate(step.action.objects):
            read_object(
                reader.document,
                (*where, "objects", number),
                each,
                reader.problems,
                may_be_invalid=refused,
            )


@attrs.define
class _Checks:
    """What the form of the file cannot express: names that must exist, keys that exclude others."""

    scenario: Scenario
    spec: ClusterSpec
    reader: Reader
    saved_targets: dict[str, None] = attrs.field(factory=dict)
    saved_objects: dict[str, None] = attrs.field(factory=dict)
    added_workers: int = 0

    def steps(self, steps: Sequence[Step]) -> None:
        for step in steps:
            where = (*step.path, step.verb)
            if step.verb == "parallel":
                self.steps(step.action)
                continue
            self._visit(step.action, where)
            if isinstance(step.action, AddWorker):
                self.added_workers += 1
            if isinstance(step.action, Get) and step.action.save:
                self._object_saved(step.action, where)
            if isinstance(step.action, Injection):
                self._injection(step.action)
            if isinstance(step.action, Replace) and step.action.saved not in self.saved_objects:
                hint = "save it first: get: {resource: ..., name: ..., as: NAME}"
                self._problem((*where, "saved"), f"no object {step.action.saved!r}; {hint}")
            if isinstance(step.action, Delete) and not (step.action.name or step.action.labels):
                self._problem(where, "give the name or the labels of what is deleted")

    def _visit(self, value: Any, where: KeyPath) -> None:
        """Check every target, resource and condition below `value`."""
        if isinstance(value, Target):
            self._target(value, where)
        elif isinstance(value, list):
            for number, each in enumerate(value):
                self._visit(each, (*where, number))
        elif isinstance(value, Condition | Injection):
            self._visit(value.action, (*where, value.verb))
        elif attrs.has(type(value)):
            if isinstance(value, Count | Value):
                self._one_comparison(value, where)
            for attribute in attrs.fields(type(value)):
                if "kind" not in attribute.metadata:
                    continue
                place = (*where, key_of(attribute))
                field = getattr(value, attribute.name)
                if attribute.name == "resource":
                    self._resource(field, place)
                elif attribute.name == "zone" and field is not None:
                    self._zone(field, place)
                else:
                    self._visit(field, place)

    def _target(self, target: Target, where: KeyPath) -> None:
        known = host_names(self.spec) + [
            f"worker-{self.spec.workers + n}" for n in range(1, self.added_workers + 1)
        ]
        if target.kind in {TargetKind.HOST, TargetKind.ACTOR} and target.name not in known:
            if self.spec.topology != self.scenario.file.cluster.topology:
                note = f" (the cluster was changed to topology {self.spec.topology})"
            else:
                note = ""
            self._problem(where, f"no host {target.name!r}{note}; {suggestion(target.name, known)}")
        if self.spec.remote_store and _is_store(target, self.spec):
            self._problem(where, f"{target} cannot be hit: {FOREIGN}")
        if target.kind is TargetKind.ZONE:
            self._zone(target.name, where)
        if target.kind is TargetKind.SAVED and target.name not in self.saved_targets:
            hint = "save it first: inject: {kill: ..., as: NAME}"
            self._problem(where, f"nothing is saved as {target.name!r}; {hint}")

    def _zone(self, name: str, where: KeyPath) -> None:
        zones = zone_names(self.spec)
        if name not in zones:
            self._problem(where, f"no zone {name!r}; {suggestion(name, zones)}")

    def _resource(self, word: str, where: KeyPath) -> None:
        try:
            scheme.lookup(word)
        except UnknownResourceError:
            known = [info.plural for info in scheme.resources()]
            message = suggestion(word, known)
            hint = message if message.startswith("did") else "as in pods, deployments or svc"
            self._problem(where, f"the cluster has no resource {word!r}; {hint}")

    def _one_comparison(self, value: Count | Value, where: KeyPath) -> None:
        names = ["equals", "at_least", "at_most"]
        if isinstance(value, Value):
            names += ["matches"]
        given = [name for name in names if getattr(value, name) is not None]
        if isinstance(value, Value) and value.absent:
            given.append("absent")
        bounds = set(given) == {"at_least", "at_most"}
        if len(given) != 1 and not bounds:
            self._problem(where, "give exactly one of equals, atLeast, atMost, matches or absent")

    def _injection(self, injection: Injection) -> None:
        if injection.save:
            self.saved_targets[injection.save] = None
        if injection.verb != "partition":
            return
        seen: dict[str, None] = {}
        for row, group in enumerate(injection.action.groups):
            for column, target in enumerate(group):
                if target.text in seen:
                    place = (*injection.path, "partition", "groups", row, column)
                    self._problem(place, f"host {target.text} is used twice")
                seen[target.text] = None

    def _object_saved(self, action: Get, where: KeyPath) -> None:
        if action.name is None:
            self._problem((*where, "as"), "only one object can be saved: give its name")
        self.saved_objects[action.save or ""] = None

    def _problem(self, where: KeyPath, message: str) -> None:
        self.reader.problem(where, message)
