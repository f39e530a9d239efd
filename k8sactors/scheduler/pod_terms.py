"""What a pod demands of other pods: inter-pod affinity terms and topology spread constraints.

They are parsed once per template and completed per pod: a term without namespaces means the pod's
own, and `matchLabelKeys` take their values from the pod's labels. Completed terms are compared by
value, so that equal terms of different templates are one term.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from k8sactors.api.selectors import Requirement, Selector, parse_label_selector

__all__ = [
    "PREFERRED",
    "REQUIRED",
    "REQUIRED_ANTI",
    "AffinityTerm",
    "CarriedTerm",
    "PodAffinity",
    "PodAffinityTerms",
    "SpreadConstraint",
    "SpreadConstraints",
    "WeightedTerm",
]

_REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"
_PREFERRED = "preferredDuringSchedulingIgnoredDuringExecution"

NamespaceLabels = Callable[[str], Mapping[str, str]]


@attrs.frozen(cache_hash=True)
class AffinityTerm:
    """Pods that are selected, in a topology domain given by a label of nodes."""

    topology_key: str
    selector: Selector
    namespaces: frozenset[str]
    # None: the term names no namespaces by their labels.
    namespace_selector: Selector | None = None

    def matches(
        self, namespace: str, labels: Mapping[str, str], namespace_labels: NamespaceLabels
    ) -> bool:
        """Whether a pod of this namespace with these labels is meant."""
        if not self.selector.matches(labels):
            return False
        if namespace in self.namespaces:
            return True
        selector = self.namespace_selector
        return selector is not None and selector.matches(namespace_labels(namespace))


WeightedTerm = tuple[int, AffinityTerm]

# Kinds of carried terms; the others are preferences.
REQUIRED = "required"
REQUIRED_ANTI = "required anti"
PREFERRED = "preferred"


class CarriedTerm(NamedTuple):
    """A term of pods that are on nodes; the weight counts for preferences only."""

    kind: str
    weight: int
    term: AffinityTerm


@attrs.frozen(eq=False)
class PodAffinityTerms:
    """The terms of one pod, or of all pods of a template that have the same ones."""

    required: tuple[AffinityTerm, ...]
    required_anti: tuple[AffinityTerm, ...]
    preferred: tuple[WeightedTerm, ...]
    # The weights are negative.
    preferred_anti: tuple[WeightedTerm, ...]
    # All of them.
    carried: tuple[CarriedTerm, ...] = attrs.field(init=False)

    @carried.default
    def _carried(self) -> tuple[CarriedTerm, ...]:
        return (
            *(CarriedTerm(REQUIRED, 0, term) for term in self.required),
            *(CarriedTerm(REQUIRED_ANTI, 0, term) for term in self.required_anti),
            *(CarriedTerm(PREFERRED, weight, term) for weight, term in self.preferred),
            *(CarriedTerm(PREFERRED, weight, term) for weight, term in self.preferred_anti),
        )


class PodAffinity:
    """`podAffinity` and `podAntiAffinity` of a template."""

    def __init__(self, affinity: Mapping[str, Any]) -> None:
        self._affinity = affinity.get("podAffinity") or {}
        self._anti = affinity.get("podAntiAffinity") or {}
        terms = [
            *_required(self._affinity),
            *_required(self._anti),
            *(term for _, term in _preferred(self._affinity)),
            *(term for _, term in _preferred(self._anti)),
        ]
        self._label_keys = tuple(
            sorted(
                {
                    key
                    for term in terms
                    for name in ("matchLabelKeys", "mismatchLabelKeys")
                    for key in term.get(name) or ()
                }
            )
        )
        self._completed: dict[tuple[str | None, ...], PodAffinityTerms] = {}

    @classmethod
    def parse(cls, affinity: Mapping[str, Any] | None) -> PodAffinity | None:
        """From `spec.affinity`; None without terms about pods."""
        if not affinity or not (affinity.get("podAffinity") or affinity.get("podAntiAffinity")):
            return None
        return cls(affinity)

    def terms_of(self, namespace: str, labels: Mapping[str, str]) -> PodAffinityTerms:
        """The terms of a pod of the template."""
        key = (namespace, *map(labels.get, self._label_keys))
        found = self._completed.get(key)
        if found is None:
            found = self._completed[key] = PodAffinityTerms(
                tuple(_term(t, namespace, labels) for t in _required(self._affinity)),
                tuple(_term(t, namespace, labels) for t in _required(self._anti)),
                tuple((w, _term(t, namespace, labels)) for w, t in _preferred(self._affinity)),
                tuple((-w, _term(t, namespace, labels)) for w, t in _preferred(self._anti)),
            )
        return found


def _required(affinity: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    return affinity.get(_REQUIRED) or ()


def _preferred(affinity: Mapping[str, Any]) -> list[tuple[int, Mapping[str, Any]]]:
    return [(p["weight"], p["podAffinityTerm"]) for p in affinity.get(_PREFERRED) or ()]


def _term(term: Mapping[str, Any], namespace: str, labels: Mapping[str, str]) -> AffinityTerm:
    selector = parse_label_selector(term.get("labelSelector"))
    selector = _with_label_keys(selector, "in", term.get("matchLabelKeys"), labels)
    selector = _with_label_keys(selector, "notin", term.get("mismatchLabelKeys"), labels)
    namespaces = frozenset(term.get("namespaces") or ())
    by_labels = term.get("namespaceSelector")
    if not namespaces and by_labels is None:
        namespaces = frozenset((namespace,))
    return AffinityTerm(
        term["topologyKey"],
        selector,
        namespaces,
        None if by_labels is None else parse_label_selector(by_labels),
    )


def _with_label_keys(
    selector: Selector, operator: str, keys: Sequence[str] | None, labels: Mapping[str, str]
) -> Selector:
    """The selector and the pod's own values of the keys that it has (KEP-3243, KEP-3633)."""
    if selector.nothing:
        return selector
    more = tuple(Requirement(key, operator, (labels[key],)) for key in keys or () if key in labels)
    new = tuple(requirement for requirement in more if requirement not in selector.requirements)
    return Selector((*selector.requirements, *new)) if new else selector


@attrs.frozen(eq=False)
class SpreadConstraint:
    """One topology spread constraint of a pod."""

    max_skew: int
    topology_key: str
    hard: bool
    selector: Selector
    min_domains: int
    honors_affinity: bool
    honors_taints: bool


class SpreadConstraints:
    """`topologySpreadConstraints` of a template."""

    def __init__(self, constraints: Sequence[Mapping[str, Any]]) -> None:
        self._constraints = constraints
        self._label_keys = tuple(
            sorted({key for c in constraints for key in c.get("matchLabelKeys") or ()})
        )
        self._completed: dict[tuple[str | None, ...], tuple[SpreadConstraint, ...]] = {}

    @classmethod
    def parse(cls, constraints: Sequence[Mapping[str, Any]] | None) -> SpreadConstraints | None:
        """From `spec.topologySpreadConstraints`; None without any."""
        return cls(constraints) if constraints else None

    def of(self, labels: Mapping[str, str]) -> tuple[SpreadConstraint, ...]:
        """The constraints of a pod of the template."""
        key = tuple(map(labels.get, self._label_keys))
        found = self._completed.get(key)
        if found is None:
            found = self._completed[key] = tuple(_spread(c, labels) for c in self._constraints)
        return found


def _spread(constraint: Mapping[str, Any], labels: Mapping[str, str]) -> SpreadConstraint:
    selector = parse_label_selector(constraint.get("labelSelector"))
    return SpreadConstraint(
        max_skew=constraint["maxSkew"],
        topology_key=constraint["topologyKey"],
        hard=constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule",
        selector=_with_label_keys(selector, "in", constraint.get("matchLabelKeys"), labels),
        min_domains=constraint.get("minDomains") or 1,
        honors_affinity=constraint.get("nodeAffinityPolicy", "Honor") == "Honor",
        honors_taints=constraint.get("nodeTaintsPolicy", "Ignore") == "Honor",
    )
