"""Validating and mutating admission policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from k8sactors.apiserver.webhooks.typed_literals import as_maps

GROUP = "admissionregistration.k8s.io"
RULES = {
    "resourceRules": [
        {
            "apiGroups": ["", "apps"],
            "apiVersions": ["*"],
            "operations": ["CREATE", "UPDATE"],
            "resources": ["configmaps", "deployments"],
        }
    ]
}


def add(world: Any, kind: str, plural: str, name: str, spec: dict[str, Any]) -> Any:
    body = {
        "apiVersion": f"{GROUP}/v1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }
    answer = world.do("create", f"{plural}.{GROUP}", body=body)
    world.run()
    return answer


def add_policy(world: Any, name: str = "p", **spec: Any) -> Any:
    spec = {"matchConstraints": RULES, **spec}
    return add(world, "ValidatingAdmissionPolicy", "validatingadmissionpolicies", name, spec)


def bind(world: Any, name: str = "b", policy: str = "p", **spec: Any) -> None:
    spec = {"policyName": policy, "validationActions": ["Deny"], **spec}
    plural = "validatingadmissionpolicybindings"
    assert add(world, "ValidatingAdmissionPolicyBinding", plural, name, spec).code == 201


def mutate(world: Any, mutations: list[Any], name: str = "p", **spec: Any) -> None:
    spec = {
        "matchConstraints": RULES,
        "mutations": mutations,
        "reinvocationPolicy": "Never",
        **spec,
    }
    made = add(world, "MutatingAdmissionPolicy", "mutatingadmissionpolicies", name, spec)
    assert made.code == 201, made.status
    plural = "mutatingadmissionpolicybindings"
    bound = add(world, "MutatingAdmissionPolicyBinding", plural, name, {"policyName": name})
    assert bound.code == 201


def refusal(answer: Any) -> tuple[int, str, str]:
    return answer.code, answer.status["reason"], answer.status["message"]


def test_a_rule_refuses_what_it_does_not_hold_for(world: Any, make: Any) -> None:
    add_policy(
        world,
        validations=[{"expression": "object.kind != 'Deployment' || object.spec.replicas <= 2"}],
    )
    assert (
        world.do("create", "deployments.apps", "default", body=make.deployment("a", 3)).code == 201
    )
    bind(world)
    assert (
        world.do("create", "deployments.apps", "default", body=make.deployment("b", 2)).code == 201
    )
    answer = world.do("create", "deployments.apps", "default", body=make.deployment("c", 3))
    rule = "object.kind != 'Deployment' || object.spec.replicas <= 2"
    who = "ValidatingAdmissionPolicy 'p' with binding 'b' denied request"
    text = f'deployments.apps "c" is forbidden: {who}: failed expression: {rule}'
    assert refusal(answer) == (422, "Invalid", text)


def test_messages_reasons_and_variables(world: Any, make: Any) -> None:
    add_policy(
        world,
        variables=[
            {"name": "limit", "expression": "2"},
            {"name": "keys", "expression": "has(object.data) ? size(object.data) : 0"},
            {"name": "over", "expression": "variables.keys - variables.limit"},
        ],
        validations=[
            {
                "expression": "variables.over <= 0",
                "reason": "Forbidden",
                "messageExpression": "string(variables.over) + ' too many in ' + "
                "namespaceObject.metadata.name",
            }
        ],
    )
    bind(world)
    body = make.config_map("a", data={"a": "", "b": "", "c": ""})
    code, reason, message = refusal(world.do("create", "configmaps", "default", body=body))
    assert (code, reason) == (403, "Forbidden")
    assert message.endswith("denied request: 1 too many in default")


def test_parameters_differ_by_binding(world: Any, make: Any) -> None:
    world.do("create", "configmaps", "default", body=make.config_map("limits", data={"max": "2"}))
    world.run()
    add_policy(
        world,
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        matchConstraints={
            "resourceRules": [{**RULES["resourceRules"][0], "resources": ["deployments"]}]
        },
        validations=[{"expression": "object.spec.replicas <= int(params.data.max)"}],
    )
    reference = {"name": "limits", "namespace": "default", "parameterNotFoundAction": "Deny"}
    bind(world, paramRef=reference)
    codes = [
        world.do("create", "deployments.apps", "default", body=make.deployment(f"d{n}", n)).code
        for n in (2, 3)
    ]
    assert codes == [201, 422]
    bind(world, "other", paramRef={**reference, "name": "missing"})
    answer = world.do("create", "deployments.apps", "default", body=make.deployment("e", 1))
    assert (
        "no params found for policy binding with `Deny` parameterNotFoundAction"
        in refusal(answer)[2]
    )


def test_warnings_and_audit_annotations_let_the_request_pass(world: Any, make: Any) -> None:
    add_policy(
        world,
        validations=[{"expression": "has(object.data)", "message": "say something"}],
        auditAnnotations=[{"key": "who", "valueExpression": "request.userInfo.username"}],
    )
    bind(world, validationActions=["Warn", "Audit"])
    answer = world.do("create", "configmaps", "default", body=make.config_map("a"))
    text = "Validation failed for ValidatingAdmissionPolicy 'p' with binding 'b': say something"
    assert (answer.code, answer.payload[3]) == (201, [text])
    annotations = world.server.audit.records[-1].annotations
    assert annotations["p/who"] == "test"
    failures = json.loads(annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert [(each["message"], each["validationActions"]) for each in failures] == [
        ("say something", ["Warn", "Audit"])
    ]


@pytest.mark.parametrize(("policy", "code"), [("Fail", 422), ("Ignore", 201)])
def test_a_rule_that_cannot_be_evaluated_fails_or_is_ignored(
    world: Any, make: Any, policy: str, code: int
) -> None:
    add_policy(world, validations=[{"expression": "object.data.k == 'v'"}], failurePolicy=policy)
    bind(world)
    answer = world.do("create", "configmaps", "default", body=make.config_map("a"))
    assert answer.code == code
    if code == 422:
        text = "expression 'object.data.k == 'v'' resulted in error: no such key: data"
        assert refusal(answer)[2].endswith(text)


def test_conditions_and_exclusions_choose_what_a_policy_sees(world: Any, make: Any) -> None:
    excluded = [{**RULES["resourceRules"][0], "resourceNames": ["spared"]}]
    add_policy(
        world,
        matchConstraints={**RULES, "excludeResourceRules": excluded},
        matchConditions=[{"name": "c", "expression": "request.operation == 'UPDATE'"}],
        validations=[{"expression": "false"}],
    )
    bind(world)
    for name, code in (("spared", 200), ("other", 422)):
        assert world.do("create", "configmaps", "default", body=make.config_map(name)).code == 201
        labels = {"metadata": {"labels": {"a": "b"}}}
        assert world.do("patch", "configmaps", "default", name, body=labels).code == code


def test_a_policy_that_does_not_compile_is_refused(world: Any) -> None:
    answer = add_policy(world, validations=[{"expression": "object.("}])
    code, _, message = refusal(answer)
    assert code == 422
    assert (
        'spec.validations[0].expression: Invalid value: "object.(": compilation failed' in message
    )


def test_equal_pods_are_all_looked_at_by_a_policy(world: Any, make: Any) -> None:
    rules = {"resourceRules": [{**RULES["resourceRules"][0], "resources": ["pods"]}]}
    add_policy(
        world,
        matchConstraints=rules,
        validations=[{"expression": "object.metadata.name != 'b'"}],
    )
    bind(world)
    codes = [world.do("create", "pods", "default", body=make.pod(n)).code for n in ("a", "b", "c")]
    assert codes == [201, 422, 201]


def test_a_mutation_is_applied_as_a_configuration(world: Any, make: Any) -> None:
    expression = (
        "Object{metadata: Object.metadata{labels: {'team': 'a'}}, "
        "spec: Object.spec{replicas: object.spec.replicas + 1, template: "
        "Object.spec.template{spec: Object.spec.template.spec{containers: "
        "[Object.spec.template.spec.containers{name: 'sidecar', image: 'side:1'}]}}}}"
    )
    mutation = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}
    rules = {"resourceRules": [{**RULES["resourceRules"][0], "resources": ["deployments"]}]}
    mutate(world, [mutation], matchConstraints=rules)
    made = world.do("create", "deployments.apps", "default", body=make.deployment("d", 1)).obj
    assert made["metadata"]["labels"] == {"team": "a"}
    assert made["spec"]["replicas"] == 2
    names = [each["name"] for each in made["spec"]["template"]["spec"]["containers"]]
    assert sorted(names) == ["c", "sidecar"]


def test_a_mutation_is_applied_as_a_json_patch(world: Any, make: Any) -> None:
    expression = (
        "has(object.data) ? [] : [JSONPatch{op: 'add', path: '/data', value: {'k': 'v'}}, "
        "JSONPatch{op: 'add', path: '/metadata/annotations', value: {}}, JSONPatch{op: 'add', "
        "path: '/metadata/annotations/' + jsonpatch.escapeKey('example.com/x'), value: 'y'}]"
    )
    mutate(world, [{"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}])
    made = world.do("create", "configmaps", "default", body=make.config_map("a")).obj
    assert made["data"] == {"k": "v"}
    assert made["metadata"]["annotations"] == {"example.com/x": "y"}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Object{spec: Object.spec{replicas: 3}}", '{"spec": {"replicas": 3}}'),
        ("{'a': b}", "{'a': b}"),
        ("JSONPatch{op: 'add', value: x ? y : z}", '{"op": \'add\', "value": x ? y : z}'),
        (
            "Object{a: [f(b, c), {'d, e: f': 1}], g: 1}",
            '{"a": [f(b, c), {\'d, e: f\': 1}], "g": 1}',
        ),
        ("object.spec.replicas", "object.spec.replicas"),
    ],
)
def test_typed_literals_become_maps(expression: str, expected: str) -> None:
    assert as_maps(expression).replace(" ", "") == expected.replace(" ", "")
