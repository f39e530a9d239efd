"""Discovery, OpenAPI and their ETags over HTTP."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serve.test_serve import Answer, Api, serving

KUBECTL = shutil.which("kubectl")
AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        yield served


def get(api: Api, path: str, **headers: str) -> Answer:
    connection = api.connect()
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("GET", path, headers=named)
        response = connection.getresponse()
        data = response.read()
        found = {name.lower(): value for name, value in response.getheaders()}
        is_json = found.get("content-type", "").startswith("application/json")
        body = json.loads(data) if data and is_json else data
        return Answer(response.status, body, found)
    finally:
        connection.close()


def test_aggregated_discovery_holds_every_group_with_its_resources(api: Api) -> None:
    accept = f"{AGGREGATED.replace('v=v2', 'v=v2beta9')},{AGGREGATED},application/json"
    answer = get(api, "/apis", accept=accept)
    assert answer.headers["content-type"] == AGGREGATED
    assert (answer.body["kind"], answer.body["apiVersion"]) == (
        "APIGroupDiscoveryList",
        "apidiscovery.k8s.io/v2",
    )
    groups = {item["metadata"]["name"]: item for item in answer.body["items"]}
    # The order in which clients look for a name.
    assert list(groups)[:3] == ["apiregistration.k8s.io", "apps", "events.k8s.io"]
    version = groups["apps"]["versions"][0]
    assert (version["version"], version["freshness"]) == ("v1", "Current")
    resources = {each["resource"]: each for each in version["resources"]}
    deployments = resources["deployments"]
    assert deployments["responseKind"] == {"group": "apps", "version": "v1", "kind": "Deployment"}
    assert (deployments["scope"], deployments["singularResource"]) == ("Namespaced", "deployment")
    parts = {each["subresource"]: each for each in deployments["subresources"]}
    assert parts["scale"]["responseKind"] == {
        "group": "autoscaling",
        "version": "v1",
        "kind": "Scale",
    }
    assert [each["version"] for each in groups["autoscaling"]["versions"]] == ["v2", "v1"]
    core = get(api, "/api", accept=AGGREGATED).body["items"]
    assert len(core) == 1
    assert "name" not in core[0]["metadata"]
    assert get(api, "/api", accept="application/json").body["kind"] == "APIVersions"
    assert get(api, "/apis/apps/v1", accept=AGGREGATED).code == 406


def test_legacy_discovery_names_one_object_and_its_form_in_the_store(api: Api) -> None:
    listed = get(api, "/api/v1").body["resources"]
    pods = {each["name"]: each for each in listed}["pods"]
    assert (pods["singularName"], pods["storageVersionHash"]) == ("pod", "xPOwRZ+Yhw8=")
    hashes = {
        each["name"]: each.get("storageVersionHash")
        for version in ("v1", "v2")
        for each in get(api, f"/apis/autoscaling/{version}").body["resources"]
    }
    assert len({hashes["horizontalpodautoscalers"]}) == 1


@pytest.mark.parametrize("path", ["/api", "/apis", "/apis/apps/v1", "/openapi/v2", "/openapi/v3"])
def test_a_client_that_has_a_document_is_told_that_it_is_the_same(api: Api, path: str) -> None:
    first = get(api, path)
    assert first.code == 200
    again = get(api, path, if_none_match=first.headers["etag"])
    assert (again.code, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert get(api, path, if_none_match='"other"').body == first.body


def test_each_group_version_has_a_document_that_can_be_kept_forever(api: Api) -> None:
    index = get(api, "/openapi/v3").body["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/autoscaling/v1", "apis/autoscaling/v2"} <= set(index)
    address = index["apis/apps/v1"]["serverRelativeURL"]
    document = get(api, address)
    assert "immutable" in document.headers["cache-control"]
    assert document.headers["etag"].strip('"') in address
    assert "immutable" not in get(api, "/openapi/v3/apis/apps/v1").headers["cache-control"]
    assert document.body["openapi"] == "3.0.0"
    assert "io.k8s.api.apps.v1.Deployment" in document.body["components"]["schemas"]
    assert get(api, "/openapi/v3/apis/apps/v9").code == 404
    assert get(api, "/openapi/v3", accept="text/html").code == 406


def test_root_names_every_page(api: Api) -> None:
    paths = get(api, "/").body["paths"]
    assert {"/api/v1", "/apis/apps", "/apis/apps/v1", "/readyz/etcd", "/openapi/v3"} <= set(paths)
    for path in paths:
        assert get(api, path).code == 200, path


def test_health_is_told_check_by_check(api: Api) -> None:
    answer = get(api, "/readyz?verbose&exclude=etcd")
    assert answer.body == b"[+]ping ok\n[+]etcd excluded: ok\nreadyz check passed\n"
    assert get(api, "/livez/nothing").code == 404
    assert api.ask("POST", "/livez", {}).code == 405


@pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed")
@pytest.mark.parametrize("form", ["plaintext", "plaintext-openapiv2"])
def test_kubectl_explains_fields(api: Api, tmp_path: Path, form: str) -> None:
    config = tmp_path / "empty"
    config.touch()
    command = [str(KUBECTL), "--kubeconfig", str(config), "--server", api.url, "explain"]
    ran = subprocess.run(
        [*command, "deployment.spec.template.spec.containers.ports", "--output", form],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        # It keeps what it has discovered in its home.
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    if "unknown flag" in ran.stderr:
        pytest.skip("this kubectl knows one form of explanation only")
    assert ran.returncode == 0, ran.stderr
    assert "<[]ContainerPort>" in ran.stdout or "<[]Object>" in ran.stdout
    assert "containerPort" in ran.stdout
    assert "-required-" in ran.stdout
