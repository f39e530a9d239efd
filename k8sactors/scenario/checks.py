"""What the form of a file cannot express: names that must exist in the cluster to be built."""

from __future__ import annotations

from typing import Any

import attrs

from k8sactors.api.errors import UnknownResourceError
from k8sactors.api.located_yaml import KeyPath
from k8sactors.api.scheme import builtin
from k8sactors.cluster.spec import ClusterSpec
from k8sactors.scenario.binding import Reader, key_of, settings_of, suggestion
from k8sactors.scenario.cluster_section import host_names, zone_names
from k8sactors.scenario.names import ResourceName, ZoneName
from k8sactors.scenario.targets import Target, TargetKind

FOREIGN_STORE = (
    "with --store the members are no part of the cluster; run without it, or break them yourself"
)


@attrs.define
class Checks:
    """The checks of one scenario; what earlier steps save is known to later ones."""

    spec: ClusterSpec
    reader: Reader
    # The topology that the file asks for.
    topology: str
    # Files named by steps that apply them: place, name, whether the server is meant to refuse.
    files: list[tuple[KeyPath, str, bool]] = attrs.field(factory=list)
    # Objects written in the file: place, object, whether the server is meant to refuse.
    objects: list[tuple[KeyPath, Any, bool]] = attrs.field(factory=list)
    # Steps that apply what is given on the command line: whether the server is meant to refuse.
    callers: list[bool] = attrs.field(factory=list)
    saved_faults: dict[str, None] = attrs.field(factory=dict)
    saved_objects: dict[str, None] = attrs.field(factory=dict)
    added_workers: int = 0

    def problem(self, where: KeyPath, message: str) -> None:
        """Write down a mistake."""
        self.reader.problem(where, message)

    def settings(self, value: Any, where: KeyPath) -> None:
        """Check the targets, resources and zones that the settings of a step name."""
        if isinstance(value, Target):
            self.target(value, where)
        elif isinstance(value, list):
            for number, each in enumerate(value):
                self.settings(each, (*where, number))
        elif attrs.has(type(value)):
            for key, attribute in settings_of(type(value)).items():
                self._setting(attribute, getattr(value, attribute.name), (*where, key))

    def _setting(self, attribute: attrs.Attribute[Any], value: Any, where: KeyPath) -> None:
        kind = attribute.metadata["kind"]
        if value is None:
            return
        if isinstance(kind, ResourceName):
            self.resource(value, where)
        elif isinstance(kind, ZoneName):
            self.zone(value, where)
        else:
            self.settings(value, where)

    def hosts(self) -> list[str]:
        """The hosts of the cluster at this step."""
        first = self.spec.workers + 1
        added = [f"worker-{n}" for n in range(first, first + self.added_workers)]
        return host_names(self.spec) + added

    def target(self, target: Target, where: KeyPath) -> None:
        """A target must exist, and must not be a member of a store that is not ours."""
        known = self.hosts()
        if target.kind in {TargetKind.HOST, TargetKind.ACTOR} and target.name not in known:
            note = ""
            if self.spec.topology != self.topology:
                note = f" (the cluster was changed to topology {self.spec.topology})"
            hint = suggestion(target.name, known)
            self.problem(where, f"no host {target.name!r}{note}; {hint}")
        if self.spec.remote_store and self._is_store(target):
            self.problem(where, f"{target} cannot be hit: {FOREIGN_STORE}")
        if target.kind is TargetKind.ZONE:
            self.zone(target.name, where)
        if target.kind is TargetKind.SAVED:
            self.saved_fault(target.name, where)

    def _is_store(self, target: Target) -> bool:
        match target.kind:
            case TargetKind.STORE:
                return True
            case TargetKind.ROLE:
                return target.name == "store-members"
            case TargetKind.HOST | TargetKind.ACTOR:
                return target.name in self.spec.store_names or target.actor == "etcd"
            case _:
                return False

    def saved_fault(self, name: str, where: KeyPath) -> None:
        """An earlier step must have saved a fault under that name."""
        if name not in self.saved_faults:
            hint = "save it first: inject: {kill-host: ..., as: NAME}"
            self.problem(where, f"nothing is saved as {name!r}; {hint}")

    def zone(self, name: str, where: KeyPath) -> None:
        """A zone must exist."""
        zones = zone_names(self.spec)
        if name not in zones:
            self.problem(where, f"no zone {name!r}; {suggestion(name, zones)}")

    def resource(self, word: str, where: KeyPath) -> None:
        """A resource must be served."""
        try:
            builtin().lookup(word)
        except UnknownResourceError:
            known = [info.plural for info in builtin().resources()]
            message = suggestion(word, known)
            hint = message if message.startswith("did") else "as in pods, deployments or svc"
            self.problem(where, f"the cluster has no resource {word!r}; {hint}")

    def one_comparison(self, value: Any, where: KeyPath, names: tuple[str, ...]) -> None:
        """Exactly one way to compare a value must be given, or both bounds."""
        values = {name: getattr(value, name) for name in names}
        given = [name for name, each in values.items() if each is not None and each is not False]
        if len(given) != 1 and set(given) != {"at_least", "at_most"}:
            keys = [key_of(getattr(attrs.fields(type(value)), name)) for name in names]
            self.problem(where, f"give exactly one of {', '.join(keys[:-1])} or {keys[-1]}")
