"""The admission chain: what plugins see, in which order, and how the chain waits for them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from k8sactors.apiserver import admission
from k8sactors.apiserver.admission_chain import Attributes, Operation, Plugin

SECOND = 1_000_000_000


class Recorder(Plugin):
    """Sees everything, and tells it."""

    order: ClassVar[int] = 1
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "DELETE", "CONNECT")
    subresources: ClassVar[tuple[str, ...] | None] = None
    seen: ClassVar[list[tuple[Any, ...]]] = []

    def admit(self, attributes: Attributes) -> None:
        self.note("mutating", attributes)

    def validate(self, attributes: Attributes) -> None:
        self.note("validating", attributes)

    def note(self, half: str, attributes: Attributes) -> None:
        if attributes.user.name != "test":
            return
        self.seen.append(
            (
                half,
                attributes.operation,
                attributes.resource,
                attributes.subresource,
                attributes.name,
                attributes.obj and attributes.obj["kind"],
                attributes.old and attributes.old["kind"],
                attributes.dry_run,
            )
        )


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Makes servers run further plugins."""

    def add(*plugins: type[Plugin]) -> None:
        found = admission.plugins()
        monkeypatch.setattr("k8sactors.apiserver.server.plugins", lambda: [*found, *plugins])

    return add


def start(world: Any) -> None:
    world.add_server()
    world.run()


def test_both_halves_see_every_kind_of_write(
    empty_world: Any, make: Any, install: Callable[..., None]
) -> None:
    install(Recorder)
    Recorder.seen.clear()
    world = empty_world
    start(world)
    world.do("create", "pods", "default", body=make.pod("a"), dryRun="All")
    world.do("create", "pods", "default", body=make.pod("a"))
    target = {"target": {"kind": "Node", "name": "n"}}
    world.do("create", "pods", "default", "a", subresource="binding", body=target)
    status = {"status": {"phase": "Running"}}
    world.do("patch", "pods", "default", "a", subresource="status", body=status)
    labels = {"metadata": {"labels": {"a": "b"}}}
    world.do("patch", "pods", "default", "a", body=labels)
    world.do("create", "pods", "default", "a", subresource="eviction", body={})
    world.do("delete", "pods", "default", "a", gracePeriodSeconds=0)
    expected = []
    for row in (
        ("CREATE", "pods", "", "a", "Pod", None, True),
        ("CREATE", "pods", "", "a", "Pod", None, False),
        ("CREATE", "pods", "binding", "a", "Binding", None, False),
        ("UPDATE", "pods", "status", "a", "Pod", "Pod", False),
        ("UPDATE", "pods", "", "a", "Pod", "Pod", False),
        ("CREATE", "pods", "eviction", "a", "Eviction", None, False),
        ("DELETE", "pods", "eviction", "a", None, "Pod", False),
        ("DELETE", "pods", "", "a", None, "Pod", False),
    ):
        expected += [("mutating", *row), ("validating", *row)]
    assert expected == Recorder.seen


def test_a_scale_is_seen_as_a_scale(
    empty_world: Any, make: Any, install: Callable[..., None]
) -> None:
    install(Recorder)
    world = empty_world
    start(world)
    world.do("create", "deployments.apps", "default", body=make.deployment("web"))
    Recorder.seen.clear()
    scale = {"spec": {"replicas": 3}}
    world.do("patch", "deployments.apps", "default", "web", subresource="scale", body=scale)
    assert [row[5] for row in Recorder.seen] == ["Scale", "Deployment"]


class Webhook(Plugin):
    """Asks another program, which takes a second, and labels what it lets pass."""

    order: ClassVar[int] = 2
    resources: ClassVar[tuple[str, ...] | None] = ("configmaps",)
    operations: ClassVar[tuple[Operation, ...]] = ("CREATE", "UPDATE", "DELETE")
    asked: ClassVar[list[str]] = []

    def admit(self, attributes: Attributes) -> None:
        verdict = attributes.answer(self, self.ask)
        if attributes.obj is not None:
            attributes.obj["metadata"]["labels"] = {"verdict": verdict}

    def ask(self, answered: Callable[[Any], None]) -> None:
        self.asked.append("admit")
        self.cluster.environment.after(SECOND, lambda: answered("fine"))


class SlowCheck(Webhook):
    """Asks once more, in the validating half."""

    order: ClassVar[int] = 3

    def admit(self, attributes: Attributes) -> None:
        """Nothing to add."""

    def validate(self, attributes: Attributes) -> None:
        attributes.answer(self, self.ask)

    def ask(self, answered: Callable[[Any], None]) -> None:
        self.asked.append("validate")
        self.cluster.environment.after(SECOND, lambda: answered("fine"))


class Before(Webhook):
    """Stands in front of those who ask: it must run once for each write."""

    order: ClassVar[int] = 1
    runs: ClassVar[list[str]] = []

    def admit(self, attributes: Attributes) -> None:
        self.runs.append(attributes.operation)


@pytest.mark.parametrize("verb", ["create", "update", "patch", "delete"])
def test_the_chain_resumes_at_the_plugin_that_had_to_wait(
    empty_world: Any, make: Any, install: Callable[..., None], verb: str
) -> None:
    install(SlowCheck, Before, Webhook)
    world = empty_world
    start(world)
    if verb != "create":
        world.submit("create", "configmaps", "default", body=make.config_map("a"))
        world.advance(3)
    Before.runs.clear()
    Webhook.asked.clear()
    name = None if verb == "create" else "a"
    body = None if verb == "delete" else make.config_map("a", data={"k": "v"})
    number = world.submit(verb, "configmaps", "default", name, body=body)
    world.advance(0.9)
    assert (world.answer(number), Webhook.asked) == (None, ["admit"])
    world.advance(0.2)
    assert (world.answer(number), Webhook.asked) == (None, ["admit", "validate"])
    world.advance(1)
    answer = world.answer(number)
    assert answer is not None
    assert answer.code == (201 if verb == "create" else 200)
    if verb != "delete":
        assert answer.obj["metadata"]["labels"] == {"verdict": "fine"}
        assert answer.obj["data"] == {"k": "v"}
    operation = {"create": "CREATE", "delete": "DELETE"}.get(verb, "UPDATE")
    assert Before.runs == [operation]
    assert Webhook.asked == ["admit", "validate"]


def test_an_update_that_waited_is_computed_again_when_another_was_faster(
    empty_world: Any, make: Any, install: Callable[..., None]
) -> None:
    world = empty_world
    start(world)
    world.do("create", "configmaps", "default", body=make.config_map("a"))
    install(Webhook)
    start(world)
    slow = world.submit(
        "patch", "configmaps", "default", "a", body={"data": {"slow": "1"}}, server=world.servers[1]
    )
    world.advance(0.5)
    world.do("patch", "configmaps", "default", "a", body={"data": {"fast": "1"}})
    world.advance(3)
    assert world.answer(slow).code == 200
    stored = world.do("get", "configmaps", "default", "a").obj
    assert stored["data"] == {"fast": "1", "slow": "1"}


class Refuser(Plugin):
    """Refuses what the mutating half has made of an object."""

    order: ClassVar[int] = 1
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    seen: ClassVar[list[Any]] = []

    def validate(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        self.seen.append(
            (attributes.obj["spec"].get("priority"), attributes.obj["status"]["phase"])
        )


def test_the_validating_half_sees_what_will_be_stored(
    empty_world: Any, make: Any, install: Callable[..., None]
) -> None:
    install(Refuser)
    Refuser.seen.clear()
    world = empty_world
    start(world)
    for name in ("a", "b"):
        assert world.do("create", "pods", "default", body=make.pod(name)).code == 201
    assert Refuser.seen == [(0, "Pending"), (0, "Pending")]
    assert world.server.registry.created.hits == 1


class Labeller(Plugin):
    """Gives equal objects equal labels."""

    order: ClassVar[int] = 1
    resources: ClassVar[tuple[str, ...] | None] = ("pods",)
    repeatable: ClassVar[bool] = True
    runs: ClassVar[list[str]] = []

    def admit(self, attributes: Attributes) -> None:
        assert attributes.obj is not None
        self.runs.append(attributes.name)
        attributes.obj["metadata"]["labels"] = {"labelled": "yes"}


def test_equal_pods_share_what_a_repeatable_plugin_did(
    empty_world: Any, make: Any, install: Callable[..., None]
) -> None:
    install(Labeller)
    Labeller.runs.clear()
    world = empty_world
    start(world)
    for name in ("a", "b", "c"):
        created = world.do("create", "pods", "default", body=make.pod(name)).obj
        assert created["metadata"]["labels"] == {"labelled": "yes"}
        assert created["metadata"]["name"] == name
    assert Labeller.runs == ["a"]


def test_plugins_stand_in_the_order_of_the_real_server() -> None:
    assert [plugin.__name__ for plugin in admission.plugins()] == [
        "NamespaceLifecycle",
        "LimitRanger",
        "ServiceAccount",
        "NodeRestriction",
        "TaintNodesByCondition",
        "AlwaysPullImages",
        "ImagePolicyWebhook",
        "PodSecurity",
        "PodNodeSelector",
        "DefaultPriorityClass",
        "Priority",
        "DefaultTolerationSeconds",
        "PodTolerationRestriction",
        "EventRateLimit",
        "ExtendedResourceToleration",
        "DefaultStorageClass",
        "StorageObjectInUseProtection",
        "OwnerReferencesPermissionEnforcement",
        "PersistentVolumeClaimResize",
        "RuntimeClass",
        "CertificateApproval",
        "CertificateSigning",
        "ClusterTrustBundleAttest",
        "CertificateSubjectRestriction",
        "DefaultIngressClass",
        "DenyServiceExternalIPs",
        "MutatingAdmissionPolicy",
        "MutatingAdmissionWebhook",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionWebhook",
        "ResourceQuota",
        "RbacEscalation",
    ]


FILE = '''
from typing import ClassVar

from k8sactors.apiserver.admission_chain import Attributes, Plugin


class Stamp(Plugin):
    """Labels config maps."""

    order: ClassVar[int] = 35
    resources: ClassVar[tuple[str, ...] | None] = ("configmaps",)

    def admit(self, attributes: Attributes) -> None:
        attributes.obj["metadata"]["labels"] = {"stamped": "yes"}
'''


def test_a_plugin_is_added_by_one_file(
    empty_world: Any, make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "stamp.py").write_text(FILE)
    monkeypatch.setattr(admission, "__path__", [*admission.__path__, str(tmp_path)])
    monkeypatch.delitem(sys.modules, "k8sactors.apiserver.admission.stamp", raising=False)
    world = empty_world
    start(world)
    created = world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert created.obj["metadata"]["labels"] == {"stamped": "yes"}
    order = [plugin.__name__ for plugin in admission.plugins()]
    assert order.index("Stamp") == order.index("NamespaceLifecycle") + 1
    del sys.modules["k8sactors.apiserver.admission.stamp"]
