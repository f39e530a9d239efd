"""The choice of volumes on one node, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest

from k8sactors.scheduler.nodeinfo import NodeInfo
from k8sactors.scheduler.volume_choice import (
    NODE_CONFLICT,
    VOLUME_MISSING,
    BoundClaim,
    ClaimToBind,
    Reservation,
    Volume,
    choose,
    reaches,
)

Object = dict[str, Any]
ZONE = "topology.kubernetes.io/zone"
NO_PROVISIONER = {"provisioner": "kubernetes.io/no-provisioner"}
PROVISIONER = {"provisioner": "disks.example"}


def node(name: str = "n0", zone: str = "a") -> NodeInfo:
    return NodeInfo(name, labels={ZONE: zone})


def volume(name: str, zone: str | None = None) -> Volume:
    spec: Object = {}
    if zone is not None:
        expression = {"key": ZONE, "operator": "In", "values": [zone]}
        terms = [{"matchExpressions": [expression]}]
        spec = {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}
    return Volume.parse({"metadata": {"name": name}, "spec": spec})


def claim(
    name: str,
    *volumes: Volume,
    size: str = "1Gi",
    storage_class: Object | None = None,
    selected: str | None = None,
    reservation: Reservation | None = None,
) -> ClaimToBind:
    annotations = {} if selected is None else {"volume.kubernetes.io/selected-node": selected}
    obj = {
        "metadata": {"namespace": "default", "name": name, "annotations": annotations},
        "spec": {"resources": {"requests": {"storage": size}}},
    }
    return ClaimToBind(obj, volumes, storage_class or NO_PROVISIONER, reservation)


def chosen(
    *claims: ClaimToBind, taken: dict[str, str] | None = None
) -> list[tuple[str, str]] | None:
    """(claim, volume) of all bindings; the volume is "made" where a provisioner is asked."""
    held = taken or {}
    found = choose(claims, node(), lambda volume, key: held.get(volume, key) != key)
    if found is None:
        return None
    pairs = [(claim.key.partition("/")[2], volume.name) for claim, volume in found.bindings]
    return pairs + [(claim.key.partition("/")[2], "made") for claim in found.provisions]


def test_the_first_volume_that_the_node_reaches() -> None:
    assert chosen(claim("x", volume("far", "b"), volume("near", "a"), volume("any"))) == [
        ("x", "near")
    ]
    assert chosen(claim("x", volume("far", "b"))) is None


def test_two_claims_do_not_get_one_volume_and_the_smaller_claim_chooses_first() -> None:
    both = volume("one"), volume("two")
    assert chosen(claim("large", *both, size="2Gi"), claim("small", *both)) == [
        ("small", "one"),
        ("large", "two"),
    ]
    assert chosen(claim("x", volume("one")), claim("y", volume("one"))) is None


def test_what_another_claim_has_reserved_is_taken() -> None:
    wanted = claim("x", volume("one"), volume("two"))
    assert chosen(wanted, taken={"one": "default/y"}) == [("x", "two")]
    assert chosen(wanted, taken={"one": "default/x"}) == [("x", "one")]


@pytest.mark.parametrize(
    ("reservation", "expected"),
    [
        (Reservation("uid", "n0", "two"), [("x", "two")]),
        (Reservation("uid", "n0", "gone"), None),
        (Reservation("uid", "n0", None), [("x", "made")]),
        (Reservation("uid", "n1", None), None),
    ],
)
def test_a_claim_that_another_pod_brings_along_gets_what_that_pod_has_chosen(
    reservation: Reservation, expected: list[tuple[str, str]] | None
) -> None:
    volumes = volume("one"), volume("two")
    wanted = claim("x", *volumes, storage_class=PROVISIONER, reservation=reservation)
    assert chosen(wanted) == expected


def test_a_provisioner_that_was_asked_for_a_node_makes_the_volume_there() -> None:
    assert chosen(claim("x", volume("one"), storage_class=PROVISIONER, selected="n0")) == [
        ("x", "made")
    ]
    assert chosen(claim("x", volume("one"), storage_class=PROVISIONER, selected="n1")) is None


def test_a_volume_is_made_only_when_none_is_there() -> None:
    assert chosen(claim("x", volume("one"), storage_class=PROVISIONER)) == [("x", "one")]
    assert chosen(claim("x", volume("far", "b"), storage_class=PROVISIONER)) == [("x", "made")]


@pytest.mark.parametrize(("zone", "fits"), [("a", True), ("b", False)])
def test_where_a_class_makes_volumes(zone: str, fits: bool) -> None:
    term = {"matchLabelExpressions": [{"key": ZONE, "values": [zone]}]}
    storage_class = {**PROVISIONER, "allowedTopologies": [term]}
    assert (chosen(claim("x", storage_class=storage_class)) is not None) == fits


def test_bound_claims_restrict_the_nodes() -> None:
    assert reaches([BoundClaim(volume("v", "a")), BoundClaim(volume("w"))], node()) is None
    assert reaches([BoundClaim(volume("w")), BoundClaim(volume("v", "b"))], node()) == NODE_CONFLICT
    assert reaches([BoundClaim(None)], node()) == VOLUME_MISSING
