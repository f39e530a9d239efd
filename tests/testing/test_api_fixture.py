from __future__ import annotations

import datetime as dt
import http.client
import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from k8sactors.testing.api import ApiProcess, K8sApiError
from k8sactors.testing.cluster import ONE_NODE

MAPS = "/api/v1/namespaces/default/configmaps"


def ask(api: Any, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    request = Request(api.url + path, data, headers, method=method)  # noqa: S310 - of the fixture
    with urlopen(request, timeout=30, context=api.ssl_context()) as answer:  # noqa: S310
        return json.load(answer)


def refusal(api: Any, method: str, path: str, body: Any = None) -> Any:
    """The Status of a request that is refused."""
    with pytest.raises(HTTPError) as caught:
        ask(api, method, path, body)
    with caught.value as error:
        return json.load(error)


def config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}}


@pytest.mark.parametrize("value", ["1", "2"])
def test_each_test_has_a_cluster_of_its_own(k8s_api: Any, value: str) -> None:
    made = ask(k8s_api, "POST", MAPS, {**config_map("mine"), "data": {"value": value}})
    assert made["data"] == {"value": value}
    assert [each.verb for each in k8s_api.requests if each.name == "mine"] == ["create"]


def test_its_clock_shows_what_other_programs_see(k8s_api: Any) -> None:
    before = dt.datetime.now(dt.UTC)  # noqa: TID251 - the real one is meant
    made = ask(k8s_api, "POST", MAPS, config_map("now"))
    shown = dt.datetime.fromisoformat(made["metadata"]["creationTimestamp"])
    assert abs((shown - before).total_seconds()) < 15


def test_workloads_run(k8s_api: Any) -> None:
    pod = {"containers": [{"name": "c", "image": "example.org/c:1"}]}
    spec = {
        "selector": {"matchLabels": {"app": "web"}},
        "template": {"metadata": {"labels": {"app": "web"}}, "spec": pod},
    }
    web = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}}
    assert k8s_api.apply([{**web, "spec": spec}]) == {"deployment.apps/web": "created"}
    k8s_api.wait_available("deployments.apps/web")
    k8s_api.delete([web])
    gone = refusal(k8s_api, "GET", "/apis/apps/v1/namespaces/default/deployments/web")
    assert gone["code"] == 404


def test_it_is_served_over_tls_to_those_who_know_its_authority(k8s_api: Any) -> None:
    assert k8s_api.url.startswith("https://")
    with pytest.raises(URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urlopen(f"{k8s_api.url}/version", timeout=30)  # noqa: S310 - of the fixture


def test_the_kubeconfig_is_in_a_file(k8s_api: Any) -> None:
    written = json.loads(k8s_api.kubeconfig_path.read_text())
    assert written == k8s_api.kubeconfig()
    assert written["clusters"][0]["cluster"]["server"] == k8s_api.url


def test_a_lost_answer_breaks_the_connection(k8s_api: Any) -> None:
    fault = k8s_api.lose_answer("create", "configmaps")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        ask(k8s_api, "POST", MAPS, config_map("a"))
    assert fault.hits == 1
    assert ask(k8s_api, "GET", f"{MAPS}/a")["metadata"]["name"] == "a"


def test_a_request_is_refused_as_ordered(k8s_api: Any) -> None:
    k8s_api.fail_next("get", "configmaps", code=500, message="out of order")
    status = refusal(k8s_api, "GET", f"{MAPS}/a")
    assert (status["code"], status["message"]) == (500, "out of order")
    with pytest.raises(ValueError, match="no resource is called 'podz'"):
        k8s_api.fail_next("get", "podz")


def test_a_refused_manifest_is_told(k8s_api: Any) -> None:
    with pytest.raises(K8sApiError, match="is invalid"):
        k8s_api.apply([{**config_map("Not_A_Name")}])


def test_a_process_that_died_is_replaced() -> None:
    process = ApiProcess()
    with process.cluster(ONE_NODE) as api:
        process._running().kill()
        with pytest.raises(K8sApiError, match="has ended with -9"):
            api.apply([config_map("a")])
    with process.cluster(ONE_NODE) as api:
        assert ask(api, "GET", MAPS)["kind"] == "ConfigMapList"
    process.stop()
