"""Read a scenario and everything it names; refuse it as a whole when anything is wrong.

Nothing starts before this is through. All mistakes of the scenario, its manifests and those of the
command line are collected and reported together.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from pathlib import Path

from k8sactors.api.located_yaml import Document, Problem, YamlSourceError, load_documents
from k8sactors.scenario.binding import Reader, Struct
from k8sactors.scenario.checks import Checks
from k8sactors.scenario.cluster_section import check_cluster
from k8sactors.scenario.errors import BadScenarioError
from k8sactors.scenario.manifests import read_manifests, read_object
from k8sactors.scenario.model import Scenario, ScenarioFile
from k8sactors.scenario.parsed import Step
from k8sactors.scenario.vocabulary import STEPS, with_inner


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
    checks = Checks(spec, reader, file.cluster.topology)
    _check_steps(file.steps, checks)
    _read_named_manifests(scenario, checks)
    refused = bool(checks.callers) and all(checks.callers)
    for path in manifests:
        scenario.extra += read_manifests(path, str(path), reader.problems, may_be_invalid=refused)
    if needs_manifests and checks.callers and not manifests:
        message = "this scenario applies manifests of the caller: give at least one --manifest FILE"
        reader.problem(("steps",), message)
    if reader.problems:
        raise BadScenarioError(in_order(reader.problems))
    return scenario


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


def _check_steps(steps: Sequence[Step], checks: Checks) -> None:
    """Each step by its kind, in order: what one saves the next may use."""
    for step in with_inner(steps):
        where = (*step.path, step.verb)
        if not STEPS[step.verb].inner(step.action):
            checks.settings(step.action, where)
        STEPS[step.verb].check(step.action, where, checks)


def _read_named_manifests(scenario: Scenario, checks: Checks) -> None:
    reader = checks.reader
    for where, name, refused in checks.files:
        file = scenario.source.parent / name
        if not file.is_file():
            reader.problem(where, f"there is no file {str(file)!r}")
            continue
        scenario.manifests[name] = read_manifests(
            file, str(file), reader.problems, may_be_invalid=refused
        )
    for where, each, refused in checks.objects:
        read_object(reader.document, where, each, reader.problems, may_be_invalid=refused)
