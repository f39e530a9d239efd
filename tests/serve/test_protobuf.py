"""Bodies, answers and watches in protobuf, as Go's clients ask for them."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import attrs
import pytest
import trio

from k8sactors import simulation
from k8sactors.api import protobuf
from k8sactors.api.errors import UnknownKindError
from k8sactors.api.kind import Kind, Served
from k8sactors.api.schema import Schema
from k8sactors.api.scheme import builtin
from k8sactors.cluster import Cluster, ClusterSpec
from k8sactors.simulation import Random, RealClock
from tests.api.protobuf.test_facts import SERIALIZED, needs_facts
from tests.serve.test_serve import ASK_TIMEOUT_S, CONFIG_MAPS, DEPLOYMENTS, JSON, WEB, Api, serving

PROTOBUF = "application/vnd.kubernetes.protobuf"
YAML = "application/yaml"
ANY_FORM = f"{JSON}, {YAML}, {PROTOBUF}"
UNKNOWN_FORMAT = "the body of the request was in an unknown format - accepted media types include: "
SCHEME = builtin()
PODS = "/api/v1/namespaces/default/pods"
METADATA = "as=PartialObjectMetadata;g=meta.k8s.io;v="


@attrs.frozen
class Answer:
    code: int
    content_type: str
    body: Any


def ask(
    url: str,
    method: str,
    path: str,
    body: bytes | None = None,
    accept: str = PROTOBUF,
    content_type: str = PROTOBUF,
) -> Answer:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=ASK_TIMEOUT_S)
    try:
        headers = {"accept": accept, "content-type": content_type}
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        data = response.read()
        form = response.getheader("content-type") or ""
        decoded: Any = data
        if form == PROTOBUF:
            decoded = protobuf.decode(data)
        elif form == JSON:
            decoded = json.loads(data)
        return Answer(response.status, form, decoded)
    finally:
        connection.close()


def config_map(name: str, **fields: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **fields}


def frames(data: bytes) -> list[tuple[str, dict[str, Any]]]:
    """The events of a watch."""
    found: list[tuple[str, dict[str, Any]]] = []
    while data:
        size = int.from_bytes(data[:4], "big")
        frame, data = data[4 : 4 + size], data[4 + size :]
        assert len(frame) == size
        # The type, and an object that is an envelope within a message.
        name_end = 2 + frame[1]
        inner = frame[frame.index(b"k8s\x00") :]
        found.append((frame[2:name_end].decode(), protobuf.decode(inner)))
    return found


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    with serving() as served:
        yield served


def test_an_object_is_created_read_changed_and_deleted(api: Api) -> None:
    sent = config_map("one", data={"b": "2", "a": "1"}, binaryData={"c": "/w=="})
    created = ask(api.url, "POST", CONFIG_MAPS, protobuf.encode(sent))
    assert (created.code, created.content_type) == (201, PROTOBUF)
    assert created.body["data"] == sent["data"]
    assert created.body["binaryData"] == sent["binaryData"]
    path = f"{CONFIG_MAPS}/one"
    assert ask(api.url, "GET", path).body == created.body == api.ask("GET", path).body
    changed = {**created.body, "data": {"a": "3"}}
    updated = ask(api.url, "PUT", path, protobuf.encode(changed))
    assert (updated.code, updated.body["data"]) == (200, {"a": "3"})
    stale = ask(api.url, "PUT", path, protobuf.encode(changed))
    assert (stale.code, stale.content_type) == (409, PROTOBUF)
    assert stale.body["reason"] == "Conflict"
    options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": "another"}}
    refused = ask(api.url, "DELETE", path, protobuf.encode(options))
    assert refused.code == 409
    options["preconditions"] = {"uid": created.body["metadata"]["uid"]}
    assert ask(api.url, "DELETE", path, protobuf.encode(options)).body["status"] == "Success"
    assert ask(api.url, "GET", path).code == 404


def test_what_defaults_fill_in_and_controllers_do_is_the_same(api: Api) -> None:
    sent = {**WEB, "metadata": {"name": "by-protobuf"}}
    created = ask(api.url, "POST", DEPLOYMENTS, protobuf.encode(sent))
    assert created.code == 201
    sent = {**WEB, "metadata": {"name": "by-json"}}
    by_json = api.ask("POST", DEPLOYMENTS, sent).body
    assert created.body["spec"] == by_json["spec"]
    path = f"{DEPLOYMENTS}/by-protobuf"
    api.until(path, lambda obj: obj.get("status", {}).get("readyReplicas") == 2)
    assert ask(api.url, "GET", path).body == api.ask("GET", path).body
    pods = f"{PODS}?labelSelector=app%3Dweb"
    listed = ask(api.url, "GET", pods)
    assert (listed.body["kind"], listed.body["apiVersion"]) == ("PodList", "v1")
    names = {pod["metadata"]["name"] for pod in listed.body["items"]}
    assert {pod["metadata"]["name"] for pod in api.ask("GET", pods).body["items"]} == names
    scale = ask(api.url, "GET", f"{path}/scale")
    assert (scale.body["kind"], scale.body["spec"]) == ("Scale", {"replicas": 2})
    scaled = {**scale.body, "spec": {"replicas": 1}}
    assert ask(api.url, "PUT", f"{path}/scale", protobuf.encode(scaled)).code == 200
    assert api.ask("GET", path).body["spec"]["replicas"] == 1
    for name in ("by-protobuf", "by-json"):
        assert ask(api.url, "DELETE", f"{DEPLOYMENTS}/{name}").code == 200


def test_a_watch_is_a_frame_for_each_event(api: Api) -> None:
    created = ask(api.url, "POST", CONFIG_MAPS, protobuf.encode(config_map("watched")))
    version = created.body["metadata"]["resourceVersion"]
    path = f"{CONFIG_MAPS}/watched"
    changed = {**created.body, "data": {"a": "1"}}
    ask(api.url, "PUT", path, protobuf.encode(changed))
    ask(api.url, "DELETE", path)
    query = f"watch=1&resourceVersion={int(version) - 1}&timeoutSeconds=1"
    query += "&fieldSelector=metadata.name%3Dwatched"
    for accept in (PROTOBUF, f"{PROTOBUF};stream=watch", f"{PROTOBUF},{JSON}"):
        answer = ask(api.url, "GET", f"{CONFIG_MAPS}?{query}", accept=accept)
        assert (answer.code, answer.content_type) == (200, f"{PROTOBUF};stream=watch")
        events = frames(answer.body)
        assert [kind for kind, _ in events] == ["ADDED", "MODIFIED", "DELETED"]
        assert events[0][1] == created.body
        assert events[1][1]["data"] == {"a": "1"}
    metadata = f"{PROTOBUF};{METADATA}v1"
    events = frames(ask(api.url, "GET", f"{CONFIG_MAPS}?{query}", accept=metadata).body)
    assert [obj["kind"] for _, obj in events] == ["PartialObjectMetadata"] * 3


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        (f"{PROTOBUF}, {JSON}", PROTOBUF),
        (f"{PROTOBUF};q=0.5, {JSON}", JSON),
        (f"{PROTOBUF},*/*;q=0.1", PROTOBUF),
        ("*/*", JSON),
        (f"text/html, {PROTOBUF}", PROTOBUF),
        (f"{PROTOBUF};{METADATA}v1", PROTOBUF),
        (f"{PROTOBUF};{METADATA}v1beta1", PROTOBUF),
        # Tables have no protobuf form.
        (f"{PROTOBUF};as=Table;g=meta.k8s.io;v=v1,{JSON};as=Table;g=meta.k8s.io;v=v1", JSON),
    ],
)
def test_the_form_of_an_answer_is_what_is_asked_for(
    api: Api, accept: str, content_type: str
) -> None:
    answer = ask(api.url, "GET", "/api/v1/namespaces/default", accept=accept)
    assert (answer.code, answer.content_type) == (200, content_type)
    if METADATA in accept:
        assert answer.body["kind"] == "PartialObjectMetadata"
        assert answer.body["metadata"]["name"] == "default"


def test_discovery_is_protobuf_too_but_pages_without_a_kind_are_json(api: Api) -> None:
    groups = ask(api.url, "GET", "/apis")
    assert (groups.content_type, groups.body["kind"]) == (PROTOBUF, "APIGroupList")
    assert groups.body["groups"] == api.ask("GET", "/apis").body["groups"]
    resources = ask(api.url, "GET", "/api/v1")
    assert {"pods", "pods/status"} <= {each["name"] for each in resources.body["resources"]}
    assert ask(api.url, "GET", "/version").content_type == JSON


ENVELOPE = protobuf.encode(config_map("bad"))


UNRECOGNIZED = "the object provided is unrecognized (must be of type ConfigMap): "
NO_PREFIX = "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
CUT = ENVELOPE[:25] + b"\xff\xff\xff"
MISNAMED = 'ConfigMop in version "v1" cannot be handled as a ConfigMop: no kind "ConfigMop" is '
MISTYPED = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: proto: wrong wireType = 0 '


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", f"{UNRECOGNIZED}empty data (<empty>)"),
        (b"{}" * 20, f"{UNRECOGNIZED}{NO_PREFIX} ({'7b7d' * 15} ...)"),
        (CUT, f"{UNRECOGNIZED}unexpected EOF ({CUT.hex()})"),
        (
            ENVELOPE.replace(b"\x12\x00\x1a", b"\x10\x00\x1a"),
            f"{MISTYPED}for field GenerateName",
        ),
        (ENVELOPE.replace(b"ConfigMap", b"ConfigMop"), f'{MISNAMED}registered for version "v1"'),
        (
            protobuf.encode({"apiVersion": "v1", "kind": "Secret"}),
            'Secret in version "v1" cannot be handled as a ConfigMap',
        ),
    ],
)
def test_malformed_bodies_are_400(api: Api, data: bytes, text: str) -> None:
    answer = ask(api.url, "POST", CONFIG_MAPS, data, accept=JSON)
    assert (answer.code, answer.body["reason"]) == (400, "BadRequest")
    assert answer.body["message"].startswith(text)


def test_half_a_surrogate_pair_is_no_fault_of_the_server(api: Api) -> None:
    sent = json.dumps(config_map("halves", data={"a": "\ud800"})).encode()
    created = ask(api.url, "POST", CONFIG_MAPS, sent, content_type=JSON)
    assert (created.code, created.body["data"]) == (201, {"a": "\ufffd"})
    revision = {"apiVersion": "apps/v1", "kind": "ControllerRevision", "metadata": {"name": "r"}}
    data = protobuf.encode({**revision, "revision": 1, "data": {"a": "XXXXXX"}})
    path = "/apis/apps/v1/namespaces/default/controllerrevisions"
    created = ask(api.url, "POST", path, data.replace(b"XXXXXX", b"\\ud800"))
    assert (created.code, created.body["data"]) == (201, {"a": "\ufffd"})


def test_an_eviction_is_taken(api: Api) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "evicted"},
        "spec": {"containers": [{"name": "a", "image": "b"}]},
    }
    assert ask(api.url, "POST", PODS, protobuf.encode(pod)).code == 201
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "evicted"}}
    path = f"{PODS}/evicted/eviction"
    answer = ask(api.url, "POST", path, protobuf.encode(eviction))
    assert (answer.code, answer.body["status"]) == (201, "Success")
    nameless = ask(api.url, "POST", path, b"k8s\x00\x12\x00", accept=JSON)
    assert nameless.code == 400
    assert "Object 'Kind' is missing" in nameless.body["message"]


def path_of(obj: dict[str, Any]) -> str | None:
    """Where an object is created; None: its kind is not served."""
    try:
        info = SCHEME.kind(obj["apiVersion"], obj["kind"])
    except UnknownKindError:
        return None
    root = "apis" if info.group else "api"
    within = "namespaces/default/" if info.namespaced else ""
    return f"/{root}/{info.api_version}/{within}{info.plural}"


def complaints(answer: Answer) -> tuple[int, Any, list[tuple[str, str]]]:
    """What is refused, whatever the order of the fields in the body."""
    causes = (answer.body.get("details") or {}).get("causes") or []
    stated = sorted((cause.get("field", ""), cause["reason"]) for cause in causes)
    return answer.code, answer.body.get("reason"), stated


@needs_facts
def test_filled_kinds_are_answered_as_in_json(api: Api) -> None:
    compared = 0
    for file in SERIALIZED:
        obj = json.loads(file.read_text())
        path = path_of(obj) if "metadata" in obj else None
        if path is None:
            continue
        obj["metadata"] |= {"name": "filled", "namespace": "default"}
        del obj["metadata"]["resourceVersion"]
        sent = json.dumps(obj).encode()
        by_json = ask(api.url, "POST", path, sent, accept=JSON, content_type=JSON)
        by_protobuf = ask(api.url, "POST", path, protobuf.encode(obj), accept=JSON)
        assert complaints(by_protobuf) == complaints(by_json), path
        assert by_json.code < 500, path
        compared += 1
    assert compared > 40


def test_changed_bytes_are_never_a_fault_of_the_server(api: Api) -> None:
    random = Random(9)
    bodies = [
        (CONFIG_MAPS, protobuf.encode(config_map("changed", data={"a": "b"}))),
        (DEPLOYMENTS, protobuf.encode({**WEB, "metadata": {"name": "changed"}})),
    ]
    codes: set[int] = set()
    connection = api.connect()
    try:
        for number in range(300):
            path, data = bodies[number % len(bodies)]
            changed = bytearray(data)
            for _ in range(1 + number % 3):
                changed[random.randrange(4, len(changed))] = random.randrange(256)
            connection.request("POST", path, bytes(changed), {"content-type": PROTOBUF})
            response = connection.getresponse()
            response.read()
            codes.add(response.status)
    finally:
        connection.close()
    assert codes <= {201, 400, 404, 409, 422}
    assert {400, 422} <= codes


def test_an_invalid_selector_of_a_job_is_refused(api: Api) -> None:
    selector = {"matchExpressions": [{"key": "a", "operator": "Near", "values": ["b"]}]}
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b"}]}}
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "near"},
        "spec": {"manualSelector": True, "selector": selector, "template": template},
    }
    path = "/apis/batch/v1/namespaces/default/jobs"
    answer = ask(api.url, "POST", path, protobuf.encode(job))
    assert (answer.code, answer.body["reason"]) == (422, "Invalid")
    [cause] = answer.body["details"]["causes"]
    assert cause["field"] == "spec.selector.matchExpressions[0].operator"


def test_a_patch_is_never_protobuf(api: Api) -> None:
    answer = ask(api.url, "PATCH", f"{CONFIG_MAPS}/a", b"k8s\x00", accept=JSON)
    assert (answer.code, answer.body["reason"]) == (415, "UnsupportedMediaType")
    assert PROTOBUF not in answer.body["message"]
    other = ask(api.url, "POST", CONFIG_MAPS, b"x", accept=JSON, content_type="text/html")
    assert (other.code, other.body["message"]) == (415, UNKNOWN_FORMAT + ANY_FORM)


WIDGET = Kind(
    kind="Widget",
    plural="widgets",
    served=(Served("example.com", "v1"),),
    schema=Schema({"properties": {"size": {"type": "integer"}}}),
)
WIDGETS = "/apis/example.com/v1/namespaces/default/widgets"


def check_widgets(url: str) -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}}
    refused = ask(url, "POST", WIDGETS, b"k8s\x00", accept=JSON)
    assert (refused.code, refused.body["reason"]) == (415, "UnsupportedMediaType")
    assert refused.body["message"] == f"{UNKNOWN_FORMAT}{JSON}, {YAML}"
    data = json.dumps({**widget, "size": 3}).encode()
    both = f"{PROTOBUF}, {JSON}"
    created = ask(url, "POST", WIDGETS, data, accept=both, content_type=JSON)
    assert (created.code, created.content_type, created.body["size"]) == (201, JSON, 3)
    for path in (f"{WIDGETS}/a", WIDGETS, f"{WIDGETS}?watch=1"):
        answer = ask(url, "GET", path)
        assert (answer.code, answer.body["reason"]) == (406, "NotAcceptable")
    assert answer.body["message"] == (
        f"only the following media types are accepted: {JSON};stream=watch"
    )
    # What every object has can be had of these too, and options are known.
    metadata = ask(url, "GET", f"{WIDGETS}/a", accept=f"{PROTOBUF};{METADATA}v1")
    assert (metadata.content_type, metadata.body["metadata"]["name"]) == (PROTOBUF, "a")
    options = protobuf.encode({"apiVersion": "example.com/v1", "kind": "DeleteOptions"})
    deleted = ask(url, "DELETE", f"{WIDGETS}/a", options, accept=both)
    assert (deleted.code, deleted.body["kind"]) == (200, "Status")


def test_custom_resources_have_no_protobuf_form() -> None:
    async def main() -> None:
        cluster = Cluster(ClusterSpec(topology="single", workers=1))
        cluster.scheme.add(WIDGET)
        async with cluster, cluster.serve(port=0) as endpoint:
            await trio.to_thread.run_sync(check_widgets, endpoint.url)

    simulation.run(main, clock=RealClock.of_today())
