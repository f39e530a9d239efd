"""The admission plugins, each by what it adds to objects or refuses."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from k8sactors.api.user import NODES, UserInfo
from k8sactors.apiserver.errors import UnknownPluginError

KUBELET = UserInfo("system:node:n1", groups=(NODES,))
ACCOUNT = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}}


def refusal(answer: Any) -> str:
    assert answer.code == 403, answer.payload
    text: str = answer.status["message"]
    return text


def started(world: Any, **settings: Any) -> Any:
    world.add_server(**settings)
    world.run()
    return world


def add(world: Any, resource: str, kind: str, name: str, api_version: str, **fields: Any) -> None:
    annotations = fields.pop("annotations", {})
    obj = {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "annotations": annotations},
        **fields,
    }
    assert world.do("create", resource, body=obj).code == 201
    world.run()


# which plugins run


def test_a_disabled_plugin_does_nothing(empty_world: Any, make: Any) -> None:
    world = started(empty_world, disable_admission_plugins=("DefaultTolerationSeconds",))
    made = world.do("create", "pods", "default", body=make.pod("a")).obj
    assert "tolerations" not in made["spec"]


def test_an_enabled_plugin_runs(empty_world: Any, make: Any) -> None:
    world = started(empty_world, enable_admission_plugins=("AlwaysPullImages",))
    made = world.do("create", "pods", "default", body=make.pod("a")).obj
    assert made["spec"]["containers"][0]["imagePullPolicy"] == "Always"


def test_a_plugin_that_does_not_exist_is_named(empty_world: Any) -> None:
    with pytest.raises(UnknownPluginError, match='enable-admission-plugins plugin "X" is unknown'):
        empty_world.add_server(enable_admission_plugins=("X",))


# ServiceAccount


def test_a_pod_gets_a_token_of_its_account(empty_world: Any, make: Any) -> None:
    world = started(empty_world, service_account_token_volumes=True)
    account = {**ACCOUNT, "imagePullSecrets": [{"name": "registry"}]}
    world.do("create", "serviceaccounts", "default", body=account)
    spec = world.do("create", "pods", "default", body=make.pod("a")).obj["spec"]
    (volume,) = spec["volumes"]
    assert volume["name"].startswith("kube-api-access-")
    kinds = [next(iter(source)) for source in volume["projected"]["sources"]]
    assert kinds == ["serviceAccountToken", "configMap", "downwardAPI"]
    assert spec["containers"][0]["volumeMounts"] == [
        {
            "name": volume["name"],
            "readOnly": True,
            "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
        }
    ]
    assert spec["imagePullSecrets"] == [{"name": "registry"}]


@pytest.mark.parametrize("holder", ["pod", "account"])
def test_a_pod_without_automount_gets_no_token(empty_world: Any, make: Any, holder: str) -> None:
    world = started(empty_world, service_account_token_volumes=True)
    body, account = make.pod("a"), dict(ACCOUNT)
    (body["spec"] if holder == "pod" else account)["automountServiceAccountToken"] = False
    world.do("create", "serviceaccounts", "default", body=account)
    assert "volumes" not in world.do("create", "pods", "default", body=body).obj["spec"]


# storage and ingress


def claim(name: str, **spec: Any) -> dict[str, Any]:
    resources = {"requests": {"storage": "1Gi"}}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": name},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": resources, **spec},
    }


def test_a_claim_without_a_class_gets_the_default_and_is_protected(world: Any) -> None:
    default = {"storageclass.kubernetes.io/is-default-class": "true"}
    for name, marked in (("plain", {}), ("standard", default)):
        add(
            world,
            "storageclasses.storage.k8s.io",
            "StorageClass",
            name,
            "storage.k8s.io/v1",
            provisioner="example.com/p",
            annotations=marked,
        )
    made = world.do("create", "persistentvolumeclaims", "default", body=claim("a")).obj
    assert made["spec"]["storageClassName"] == "standard"
    assert made["metadata"]["finalizers"] == ["kubernetes.io/pvc-protection"]
    chosen = claim("b", storageClassName="")
    made = world.do("create", "persistentvolumeclaims", "default", body=chosen).obj
    assert made["spec"]["storageClassName"] == ""


def test_a_claim_that_is_not_bound_does_not_grow(world: Any) -> None:
    world.do("create", "persistentvolumeclaims", "default", body=claim("a", storageClassName="x"))
    larger = {"spec": {"resources": {"requests": {"storage": "2Gi"}}}}
    answer = world.do("patch", "persistentvolumeclaims", "default", "a", body=larger)
    assert answer.code in {403, 422}


def test_an_ingress_without_a_class_gets_the_default(world: Any) -> None:
    add(
        world,
        "ingressclasses.networking.k8s.io",
        "IngressClass",
        "front",
        "networking.k8s.io/v1",
        spec={"controller": "example.com/front"},
        annotations={"ingressclass.kubernetes.io/is-default-class": "true"},
    )
    backend = {"service": {"name": "s", "port": {"number": 80}}}
    ingress = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": "i"},
        "spec": {"defaultBackend": backend},
    }
    made = world.do("create", "ingresses.networking.k8s.io", "default", body=ingress).obj
    assert made["spec"]["ingressClassName"] == "front"


# RuntimeClass


def test_the_runtime_class_gives_overhead_and_place(world: Any, make: Any) -> None:
    add(
        world,
        "runtimeclasses.node.k8s.io",
        "RuntimeClass",
        "sandboxed",
        "node.k8s.io/v1",
        handler="kata",
        overhead={"podFixed": {"cpu": "100m"}},
        scheduling={"nodeSelector": {"kata": "yes"}},
    )
    body = make.pod("a")
    body["spec"]["runtimeClassName"] = "sandboxed"
    spec = world.do("create", "pods", "default", body=body).obj["spec"]
    assert (spec["overhead"], spec["nodeSelector"]) == ({"cpu": "100m"}, {"kata": "yes"})
    body["metadata"]["name"] = "b"
    body["spec"]["nodeSelector"] = {"kata": "no"}
    assert "conflict: runtimeClass.scheduling.nodeSelector" in refusal(
        world.do("create", "pods", "default", body=body)
    )


def test_an_unknown_runtime_class_and_an_overhead_without_one_are_refused(
    world: Any, make: Any
) -> None:
    body = make.pod("a")
    body["spec"]["runtimeClassName"] = "missing"
    text = refusal(world.do("create", "pods", "default", body=body))
    assert text.endswith('pod rejected: RuntimeClass "missing" not found')
    body = make.pod("a")
    body["spec"]["overhead"] = {"cpu": "1"}
    text = refusal(world.do("create", "pods", "default", body=body))
    assert text.endswith("pod rejected: Pod Overhead set without corresponding RuntimeClass")


# NodeRestriction


def node(name: str, **labels: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}}


def test_a_kubelet_changes_its_own_node_alone(world: Any) -> None:
    assert world.do("create", "nodes", body=node("n1"), user=KUBELET).code == 201
    world.do("create", "nodes", body=node("n2"))
    labels = {"metadata": {"labels": {"x": "y"}}}
    assert refusal(world.do("patch", "nodes", None, "n2", body=labels, user=KUBELET)) == (
        'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'
    )
    taints = {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}}
    assert refusal(world.do("patch", "nodes", None, "n1", body=taints, user=KUBELET)) == (
        'nodes "n1" is forbidden: node "n1" is not allowed to modify taints'
    )
    role = {"metadata": {"labels": {"node-role.kubernetes.io/x": ""}}}
    assert refusal(world.do("patch", "nodes", None, "n1", body=role, user=KUBELET)) == (
        'nodes "n1" is forbidden: is not allowed to modify labels: node-role.kubernetes.io/x'
    )
    assert world.do("patch", "nodes", None, "n1", body=labels, user=KUBELET).code == 200


def test_a_kubelet_creates_mirror_pods_of_its_own_alone(world: Any, make: Any) -> None:
    world.do("create", "nodes", body=node("n1"), user=KUBELET)
    uid = world.do("get", "nodes", None, "n1").obj["metadata"]["uid"]
    plain = make.pod("a", node="n1")
    assert "can only create mirror pods" in refusal(
        world.do("create", "pods", "default", body=plain, user=KUBELET)
    )
    mirror = {"kubernetes.io/config.mirror": "x"}
    elsewhere = make.pod("a", node="n2", annotations=mirror)
    assert "with spec.nodeName set to itself" in refusal(
        world.do("create", "pods", "default", body=elsewhere, user=KUBELET)
    )
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    own = make.pod("a", node="n1", annotations=mirror, ownerReferences=[owner])
    assert world.do("create", "pods", "default", body=own, user=KUBELET).code == 201


def test_a_kubelet_reports_and_deletes_the_pods_of_its_node_alone(world: Any, make: Any) -> None:
    for name, place in (("mine", "n1"), ("foreign", "n2")):
        world.do("create", "pods", "default", body=make.pod(name, node=place))
    status = {"status": {"phase": "Failed"}}
    for name, code in (("mine", 200), ("foreign", 403)):
        for verb, options in (
            ("patch", {"subresource": "status", "body": status}),
            ("delete", {"gracePeriodSeconds": 0}),
        ):
            answer = world.do(verb, "pods", "default", name, user=KUBELET, **options)
            assert answer.code == code, (verb, name)


def test_a_kubelet_renews_its_own_lease_alone(world: Any) -> None:
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "n2"}}
    answer = world.do(
        "create", "leases.coordination.k8s.io", "kube-node-lease", body=lease, user=KUBELET
    )
    assert "with the same name as the requesting node" in refusal(answer)
    lease["metadata"] = {"name": "n1"}
    answer = world.do(
        "create", "leases.coordination.k8s.io", "kube-node-lease", body=lease, user=KUBELET
    )
    assert answer.code == 201


# options


def test_the_pods_of_a_namespace_run_on_its_nodes(empty_world: Any, make: Any) -> None:
    world = started(empty_world, enable_admission_plugins=("PodNodeSelector",))
    add(
        world,
        "namespaces",
        "Namespace",
        "team",
        "v1",
        annotations={"scheduler.alpha.kubernetes.io/node-selector": "team=a"},
    )
    spec = world.do("create", "pods", "team", body=make.pod("a")).obj["spec"]
    assert spec["nodeSelector"] == {"team": "a"}
    body = make.pod("b")
    body["spec"]["nodeSelector"] = {"team": "b"}
    text = refusal(world.do("create", "pods", "team", body=body))
    assert "conflicts with its namespace node label selector" in text


def test_tolerations_outside_the_whitelist_of_a_namespace_are_refused(
    empty_world: Any, make: Any
) -> None:
    world = started(
        empty_world,
        enable_admission_plugins=("PodTolerationRestriction",),
        disable_admission_plugins=("DefaultTolerationSeconds",),
    )
    toleration = '{"key": "a", "operator": "Exists"}'
    prefix = "scheduler.alpha.kubernetes.io"
    add(
        world,
        "namespaces",
        "Namespace",
        "team",
        "v1",
        annotations={
            f"{prefix}/defaultTolerations": f"[{toleration}]",
            f"{prefix}/tolerationsWhitelist": f"[{toleration}]",
        },
    )
    spec = world.do("create", "pods", "team", body=make.pod("a")).obj["spec"]
    assert spec["tolerations"] == [{"key": "a", "operator": "Exists"}]
    body = make.pod("b")
    body["spec"]["tolerations"] = [{"key": "b", "operator": "Exists"}]
    assert "whitelist" in refusal(world.do("create", "pods", "team", body=body))


def test_events_beyond_the_rate_are_refused_until_time_has_passed(empty_world: Any) -> None:
    limits = {"limits": [{"type": "Server", "qps": 1, "burst": 2}]}
    world = started(
        empty_world,
        enable_admission_plugins=("EventRateLimit",),
        admission_configuration={"EventRateLimit": limits},
    )

    def post(number: int) -> Any:
        event = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": f"e{number}"},
            "involvedObject": {"kind": "Pod", "namespace": "default", "name": "p"},
        }
        return world.do("create", "events", "default", body=event)

    assert [post(number).code for number in range(3)] == [201, 201, 429]
    world.advance(1)
    assert [post(number).code for number in range(3, 5)] == [201, 429]


def test_extended_resources_bring_their_tolerations(empty_world: Any, make: Any) -> None:
    world = started(
        empty_world,
        enable_admission_plugins=("ExtendedResourceToleration",),
        disable_admission_plugins=("DefaultTolerationSeconds",),
    )
    body = make.pod("a")
    amounts = {"example.com/gpu": "1", "cpu": "1"}
    body["spec"]["containers"][0]["resources"] = {"limits": amounts, "requests": amounts}
    spec = world.do("create", "pods", "default", body=body).obj["spec"]
    assert spec["tolerations"] == [{"key": "example.com/gpu", "operator": "Exists"}]


def test_external_addresses_of_services_are_refused(empty_world: Any, make: Any) -> None:
    world = started(empty_world, enable_admission_plugins=("DenyServiceExternalIPs",))
    body = make.service("s", externalIPs=["192.0.2.1"])
    text = refusal(world.do("create", "services", "default", body=body))
    assert text.endswith("Use of external IPs is denied by admission control.")


# Priority


def test_a_pod_claims_no_other_priority_or_policy_than_its_class_gives(
    world: Any, make: Any
) -> None:
    for field, value, what in (("priority", 5, "integer"), ("preemptionPolicy", "Never", "string")):
        body = make.pod("a")
        body["spec"][field] = value
        text = refusal(world.do("create", "pods", "default", body=body))
        assert f"the {what} value of" in text
        assert "must not be provided in pod spec; priority admission controller computed" in text


# certificates


def test_no_client_certificate_makes_an_administrator(world: Any) -> None:
    def element(tag: int, *parts: bytes) -> bytes:
        content = b"".join(parts)
        return bytes((tag, len(content))) + content

    def post(name: str, group: bytes) -> Any:
        organisation = element(0x30, element(0x06, b"\x55\x04\x0a"), element(0x0C, group))
        subject = element(0x30, element(0x31, organisation))
        information = element(0x30, element(0x02, b"\x00"), subject)
        der = base64.b64encode(element(0x30, information)).decode()
        pem = f"-----BEGIN CERTIFICATE REQUEST-----\n{der}\n-----END CERTIFICATE REQUEST-----\n"
        body = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": name},
            "spec": {
                "request": base64.b64encode(pem.encode()).decode(),
                "signerName": "kubernetes.io/kube-apiserver-client",
                "usages": ["client auth"],
            },
        }
        return world.do("create", "certificatesigningrequests.certificates.k8s.io", body=body)

    assert refusal(post("a", b"system:masters")).endswith(
        "use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed"
    )
    assert post("b", b"developers").code == 201
