"""PodSecurity: levels, modes, versions, exemptions, and the texts of the real server."""

from __future__ import annotations

from typing import Any

import pytest

PREFIX = "pod-security.kubernetes.io/"
RESTRICTED = (
    'allowPrivilegeEscalation != false (container "c" must set '
    "securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "
    '"c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or '
    'container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or '
    'container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or '
    '"Localhost")'
)


def team(world: Any, **modes: str) -> Any:
    labels = {f"{PREFIX}{mode.replace('_', '-')}": level for mode, level in modes.items()}
    body = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "team", "labels": labels},
    }
    answer = world.do("create", "namespaces", body=body)
    world.run()
    return answer


def warnings(answer: Any) -> list[str]:
    return list(answer.payload[3]) if len(answer.payload) > 3 else []


def hardened(make: Any, **spec: Any) -> dict[str, Any]:
    pod: dict[str, Any] = make.pod("a")
    pod["spec"] |= {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        **spec,
    }
    pod["spec"]["containers"][0]["securityContext"] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    return pod


def test_the_enforced_level_refuses_pods_in_the_words_of_the_real_server(
    world: Any, make: Any
) -> None:
    team(world, enforce="restricted")
    answer = world.do("create", "pods", "team", body=make.pod("a"))
    assert answer.code == 403
    assert answer.status["message"] == (
        f'pods "a" is forbidden: violates PodSecurity "restricted:latest": {RESTRICTED}'
    )
    assert world.do("create", "pods", "team", body=hardened(make)).code == 201
    assert world.do("create", "pods", "default", body=make.pod("a")).code == 201


def test_each_of_equal_pods_is_warned_of_and_audited(world: Any, make: Any) -> None:
    team(world, warn="restricted", audit="restricted")
    for name in ("a", "b"):
        answer = world.do("create", "pods", "team", body=make.pod(name))
        text = f'would violate PodSecurity "restricted:latest": {RESTRICTED}'
        assert (answer.code, warnings(answer)) == (201, [text])
        annotations = world.server.audit.records[-1].annotations
        assert annotations[f"{PREFIX}audit-violations"] == text
        assert annotations[f"{PREFIX}enforce-policy"] == "privileged:latest"


def test_a_controller_of_violating_pods_is_warned_of_and_created(world: Any, make: Any) -> None:
    team(world, enforce="restricted")
    answer = world.do("create", "deployments.apps", "team", body=make.deployment("d"))
    assert answer.code == 201
    assert warnings(answer) == [f'would violate PodSecurity "restricted:latest": {RESTRICTED}']


@pytest.mark.parametrize(
    ("spec", "container", "expected"),
    [
        (
            {"hostNetwork": True, "hostPID": True},
            {},
            "host namespaces (hostNetwork=true, hostPID=true)",
        ),
        (
            {},
            {"securityContext": {"privileged": True}},
            'privileged (container "c" must not set securityContext.privileged=true)',
        ),
        (
            {"volumes": [{"name": "v", "hostPath": {"path": "/"}}]},
            {},
            'hostPath volumes (volume "v")',
        ),
        (
            {},
            {"securityContext": {"capabilities": {"add": ["NET_ADMIN"]}}},
            (
                'non-default capabilities (container "c" must not include "NET_ADMIN" in '
                "securityContext.capabilities.add)"
            ),
        ),
        (
            {},
            {"ports": [{"containerPort": 80, "hostPort": 80}]},
            'hostPort (container "c" uses hostPort 80)',
        ),
        (
            {"securityContext": {"sysctls": [{"name": "kernel.msgmax", "value": "1"}]}},
            {},
            "forbidden sysctls (kernel.msgmax)",
        ),
        (
            {"securityContext": {"seccompProfile": {"type": "Unconfined"}}},
            {},
            'seccompProfile (pod must not set securityContext.seccompProfile.type to "Unconfined")',
        ),
        (
            {"securityContext": {"seLinuxOptions": {"type": "spc_t"}}},
            {},
            'seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t")',
        ),
        (
            {},
            {"livenessProbe": {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}},
            'probe or lifecycle host (container "c" uses probe or lifecycle host "10.0.0.1")',
        ),
    ],
)
def test_the_baseline_forbids_known_ways_to_more_rights(
    world: Any, make: Any, spec: Any, container: Any, expected: str
) -> None:
    team(world, enforce="baseline")
    pod = make.pod("a")
    pod["spec"] |= spec
    pod["spec"]["containers"][0] |= container
    answer = world.do("create", "pods", "team", body=pod)
    assert answer.status["message"] == (
        f'pods "a" is forbidden: violates PodSecurity "baseline:latest": {expected}'
    )


def test_a_version_keeps_the_checks_of_its_release(world: Any, make: Any) -> None:
    team(world, enforce="baseline", enforce_version="v1.33")
    pod = make.pod("a")
    probe = {"tcpSocket": {"port": 80, "host": "10.0.0.1"}}
    pod["spec"]["containers"][0]["livenessProbe"] = probe
    assert world.do("create", "pods", "team", body=pod).code == 201


def test_restricted_volumes_take_the_place_of_host_paths(world: Any, make: Any) -> None:
    team(world, enforce="restricted")
    volumes = [{"name": "v", "hostPath": {"path": "/"}}]
    answer = world.do("create", "pods", "team", body=hardened(make, volumes=volumes))
    assert answer.status["message"].endswith(
        'restricted volume types (volume "v" uses restricted volume type "hostPath")'
    )
    assert "hostPath volumes" not in answer.status["message"]


def test_labels_that_mean_nothing_are_refused(world: Any) -> None:
    answer = team(world, enforce="strict")
    assert answer.code == 422
    assert "must be one of privileged, baseline, restricted" in answer.status["message"]


def test_a_stricter_label_warns_of_pods_that_are_there(world: Any, make: Any) -> None:
    team(world)
    for name in ("b", "a"):
        world.do("create", "pods", "team", body=make.pod(name))
    label = {"metadata": {"labels": {f"{PREFIX}enforce": "restricted"}}}
    answer = world.do("patch", "namespaces", None, "team", body=label)
    first, second = warnings(answer)
    level = '"restricted:latest"'
    assert first == (
        f'existing pods in namespace "team" violate the new PodSecurity enforce level {level}'
    )
    assert second == (
        "a (and 1 other pod): allowPrivilegeEscalation != false, unrestricted capabilities, "
        "runAsNonRoot != true, seccompProfile"
    )
    labels = {"metadata": {"labels": {"x": "y"}}}
    assert world.do("patch", "pods", "team", "a", body=labels).code == 200
    image = [{"op": "replace", "path": "/spec/containers/0/image", "value": "other:1"}]
    answer = world.do("patch", "pods", "team", "a", body=image, patchType="json")
    assert answer.code == 403


def test_exempt_users_and_namespaces_do_as_they_like(empty_world: Any, make: Any) -> None:
    configuration = {
        "defaults": {"enforce": "restricted"},
        "exemptions": {"usernames": ["root"], "namespaces": ["kube-system"]},
    }
    world = empty_world
    world.add_server(admission_configuration={"PodSecurity": configuration})
    world.run()
    codes = [
        world.do("create", "pods", namespace, body=make.pod("a"), user=user).code
        for namespace, user in (("default", "root"), ("kube-system", "x"), ("default", "x"))
    ]
    assert codes == [201, 201, 403]
