"""Requests that a client may send by mistake or on purpose, drawn from a seed.

Paths, parameters and the forms of bodies come from the OpenAPI document that is served, so that a
kind that is added is tried, too. Most values have the right form and arbitrary content: they reach
defaulting, admission and validation. Some are spoilt: by type, by nesting, or as bytes.
"""

from __future__ import annotations

import json
import re
import urllib.parse
from random import Random  # noqa: TID251 - seeded by the test
from typing import Any, NamedTuple

# Namespace of the objects that no request names, and that must stay.
KEPT = "kept"

WORDS = ("a", "web", "default", "kube-system", "x" * 70, "-", "A_b", "", "é", "a/b", "0", "..", "%")
NUMBERS = (0, 1, -1, 2, 80, 65_536, 2**31, 2**63 - 1, 2**63, -(2**70), 1.5, 1e308)
QUANTITIES = ("1", "100m", "1Gi", "0.1", "1e3", "-1", "1Zi", "", "9" * 400, "1e999999999", "٣")
TIMES = ("2025-01-01T00:00:00Z", "2025-01-01T00:00:00.123456Z", "yesterday", "0001-01-01T00:00:00Z")
SELECTORS = (
    "a=b",
    "a in (b,c)",
    "!a",
    "a!=b",
    "a in (",
    "(((",
    "=",
    "a=b,",
    "metadata.name=a",
    "status.phase=Running",
    "spec.nodeName!=x",
    "\x00",
    "a" * 5000,
    "a notin ()",
    "a==b",
)
OPTIONS: dict[str, tuple[str, ...]] = {
    "labelSelector": SELECTORS,
    "fieldSelector": SELECTORS,
    "limit": ("1", "0", "-1", "x", "9" * 30, ""),
    "continue": ("abc", "gpMAoA", "%00", "AAAA", "kgE=", "_" * 400),
    "resourceVersion": ("0", "1", "5", "99999999", "x", "-1", "9" * 40, ""),
    "resourceVersionMatch": ("Exact", "NotOlderThan", "x", ""),
    "timeoutSeconds": ("1", "0", "-5", "x", "9" * 30),
    "dryRun": ("All", "", "x"),
    "fieldValidation": ("Strict", "Warn", "Ignore", "x"),
    "fieldManager": ("me", "", "x" * 200, "\x07"),
    "force": ("true", "false", "x"),
    "pretty": ("true", "1", "x"),
    "gracePeriodSeconds": ("0", "1", "-1", "x", "9" * 30),
    "propagationPolicy": ("Background", "Foreground", "Orphan", "x"),
    "orphanDependents": ("true", "x"),
    "allowWatchBookmarks": ("true", "x"),
    "sendInitialEvents": ("true", "false", "x"),
    "ignoreStoreReadErrorWithClusterBreakingPotential": ("true", "x"),
    "includeObject": ("None", "Object", "Metadata", "x"),
    "unknown": ("x",),
}
ACCEPTS = (
    "application/json",
    "*/*",
    "application/vnd.kubernetes.protobuf",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
    "application/yaml",
    "application/cbor",
    "text/html",
    "application/json;as=Nothing;v=v9;g=x",
    ";;;,,,/;q=x",
    "application/json;q=0",
)
TOKENS = ("Bearer x", "Bearer ", "Basic YTpi", "Bearer a.b.c", "Bearer " + "x" * 4000, "\xff", "")
PATCHES = (
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
)
POINTERS = ("metadata", "spec", "labels", "data", "0", "-", "~", "~1", "name", "", "x")
BODY_TYPES = (
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "text/x",
)
SPOILT = (
    b"",
    b"{",
    b"null",
    b"[]",
    b"1",
    b'"x"',
    b"{}",
    b"\xff\xfe",
    b'{"a":1,"a":2}',
    b"[" * 20_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b"k8s\x00",
    b"k8s\x00\xff\xff\xff\xff\x0f",
    b"NaN",
    b'{"metadata":null}',
    b'{"metadata":{"name":null}}',
    b'{"metadata":[]}',
    b"a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]\n",
    b"--- \n...\n---\n",
    b"!!python/x y",
    b'{"kind":"Nothing","apiVersion":"v0"}',
    b'{"kind":1,"apiVersion":[]}',
    b"\x00",
    b'{"\xed\xa0\x80":1}',
)


class FuzzRequest(NamedTuple):
    """One request."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def __str__(self) -> str:
        return f"{self.method} {self.path}?{self.query}\n  {self.headers}\n  {self.body[:1500]!r}"


class Generator:
    """Draws requests."""

    def __init__(self, document: dict[str, Any], seed: int) -> None:
        self.random = Random(seed)
        self._definitions = document["definitions"]
        self._operations = [
            (path, method, [*item.get("parameters", ()), *operation.get("parameters", ())])
            for path, item in sorted(document["paths"].items())
            for method, operation in sorted(item.items())
            if method != "parameters"
        ]  # fmt: skip
        # Names of objects that were made, by the path of their collection.
        self.made: dict[str, list[str]] = {}

    def request(self) -> FuzzRequest:
        """The next one."""
        draw = self.random
        path, method, parameters = draw.choice(self._operations)
        method = method.upper()
        if draw.random() < 0.03:
            method = draw.choice(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "X"))
        path = self._path(path)
        headers = self._headers()
        if method == "PATCH":
            headers["content-type"] = draw.choice(PATCHES)
        elif method in {"POST", "PUT"} and draw.random() < 0.15:
            headers["content-type"] = draw.choice(BODY_TYPES)
        schema = next((each["schema"] for each in parameters if each["in"] == "body"), None)
        body = self._body(method, headers, schema, path)
        return FuzzRequest(method, path, self._query(parameters), headers, body)

    def _path(self, template: str) -> str:
        def value(match: re.Match[str]) -> str:
            if match[1] == "namespace":
                return self.random.choice(("default", "default", "default", "kube-system", "none"))
            made = self.made.get(template[: match.start() - 1].replace("{namespace}", "default"))
            if made and self.random.random() < 0.7:
                return self.random.choice(made)
            return urllib.parse.quote(self.random.choice(WORDS) or "w", safe="")

        path = re.sub(r"\{(\w+)\}", value, template)
        if self.random.random() < 0.02:
            path += self.random.choice(("/x", "//", "/%00", "/status/status", "?", "/%ff"))
        return path

    def _query(self, parameters: list[Any]) -> str:
        draw = self.random
        names = [each["name"] for each in parameters if each["in"] == "query"]
        chosen = draw.sample(names, min(len(names), draw.choice((0, 0, 0, 1, 1, 2, 3))))
        if draw.random() < 0.05:
            chosen.append(draw.choice(list(OPTIONS)))
        pairs = []
        for name in chosen:
            if name == "watch":
                pairs += [("watch", draw.choice(("1", "true", "x"))), ("timeoutSeconds", "1")]
            else:
                pairs.append((name, draw.choice(OPTIONS.get(name, WORDS))))
        return urllib.parse.urlencode(pairs, errors="surrogateescape")

    def _headers(self) -> dict[str, str]:
        draw = self.random
        headers = {"content-type": "application/json"}
        if draw.random() < 0.3:
            headers["accept"] = draw.choice(ACCEPTS)
        if draw.random() < 0.03:
            headers["authorization"] = draw.choice(TOKENS)
        if draw.random() < 0.02:
            headers["impersonate-user"] = draw.choice(WORDS)
        if draw.random() < 0.02:
            headers["impersonate-group"] = draw.choice(WORDS)
        if draw.random() < 0.02:
            headers["if-none-match"] = draw.choice(WORDS)
        if draw.random() < 0.02:
            headers["content-type"] = draw.choice((";", "x", "application/json;charset=\xff", ""))
        if draw.random() < 0.01:
            headers["content-encoding"] = "gzip"
        return {name: value.encode("utf-8").decode("latin-1") for name, value in headers.items()}

    def _body(self, method: str, headers: dict[str, str], schema: Any, path: str) -> bytes:
        draw = self.random
        if method == "GET":
            return b""
        if draw.random() < 0.08:
            return draw.choice(SPOILT)
        if headers["content-type"] == "application/json-patch+json":
            return json.dumps([self._operation() for _ in range(draw.randrange(4))]).encode()
        if schema is None:
            return b""
        if method == "DELETE" and draw.random() < 0.5:
            return b""
        value = self.value(schema, 0)
        if isinstance(value, dict) and method != "DELETE" and draw.random() < 0.95:
            self._name(value, path, method)
        data = json.dumps(value, ensure_ascii=draw.random() < 0.5).encode("utf-8", "surrogatepass")
        if draw.random() < 0.03 and data:
            place = draw.randrange(len(data))
            data = data[:place] + bytes([draw.randrange(256)]) + data[place + 1 :]
        return data

    def _name(self, value: dict[str, Any], path: str, method: str) -> None:
        draw = self.random
        metadata = value.get("metadata")
        if not isinstance(metadata, dict):
            metadata = value["metadata"] = {}
        if method == "POST":
            metadata["name"] = f"n{draw.randrange(10_000)}"
        else:
            parts = path.strip("/").split("/")
            metadata["name"] = urllib.parse.unquote(parts[-1])
        for field in ("namespace", "generateName", "resourceVersion", "uid", "deletionTimestamp"):
            if draw.random() < 0.95:
                metadata.pop(field, None)
        if draw.random() < 0.9:
            metadata.pop("ownerReferences", None)
            metadata.pop("finalizers", None)

    def _operation(self) -> Any:
        draw = self.random
        path = "".join("/" + draw.choice(POINTERS) for _ in range(draw.randrange(4)))
        operation = {
            "op": draw.choice(("add", "remove", "replace", "move", "copy", "test", "x", 1)),
            "path": path if draw.random() < 0.95 else draw.choice((1, None, "x")),
        }
        if draw.random() < 0.8:
            operation["value"] = self.junk(0)
        if draw.random() < 0.3:
            operation["from"] = path
        return operation

    # Values

    def value(self, schema: dict[str, Any], depth: int) -> Any:
        """A value of a form, mostly."""
        draw = self.random
        if draw.random() < 0.015:
            return self.junk(depth)
        name = ""
        while "$ref" in schema or "allOf" in schema:
            if "allOf" in schema:
                schema = schema["allOf"][0]
                continue
            name = schema["$ref"].rpartition("/")[2]
            schema = self._definitions[name]
        if name.endswith("Quantity"):
            return draw.choice(QUANTITIES)
        kind = schema.get("type")
        if kind == "array":
            return [
                self.value(schema["items"], depth + 1)
                for _ in range(draw.choice((0, 1, 1, 1, 2)) if depth < 8 else 0)
            ]
        if kind == "object" or "properties" in schema:
            return self._object(schema, depth)
        if kind in {"integer", "number"}:
            return draw.choice(NUMBERS)
        if kind == "boolean":
            return draw.random() < 0.5
        return self._text(schema)

    def _object(self, schema: dict[str, Any], depth: int) -> Any:
        draw = self.random
        properties = schema.get("properties", {})
        if not properties:
            inner = schema.get("additionalProperties")
            if not isinstance(inner, dict):
                inner = {"type": "string"}
            return {
                draw.choice(WORDS[:8]): self.value(inner, depth + 1)
                for _ in range(draw.choice((0, 1, 2)) if depth < 8 else 0)
            }
        required = schema.get("required", ())
        share = 0.5 if depth < 2 else 0.3 if depth < 5 else 0.1
        result = {}
        for field, inner in properties.items():
            if field in {"apiVersion", "kind"} and depth == 0:
                continue
            wanted = field in required or field in {"metadata", "spec"} or draw.random() < share
            if wanted and depth < 12:
                result[field] = self.value(inner, depth + 1)
        if draw.random() < 0.02:
            result["unknownField"] = self.junk(depth)
        return result

    def _text(self, schema: dict[str, Any]) -> str:
        draw = self.random
        if schema.get("format") == "date-time":
            return draw.choice(TIMES)
        if schema.get("format") == "byte":
            return draw.choice(("", "YQ==", "YQ", "!!!", "Y Q = ="))
        if "enum" in schema and draw.random() < 0.9:
            return str(draw.choice(schema["enum"]))
        listed = re.findall(r'"(\w+)"', schema.get("description", ""))
        if listed and draw.random() < 0.7:
            return str(draw.choice(listed))
        if draw.random() < 0.15:
            return draw.choice(("10.0.0.1", "::1", "1.2.3.4/33", "*/5 * * * *", "50%", "-1%", "{}"))
        return draw.choice(WORDS)

    def junk(self, depth: int) -> Any:
        """Any JSON value."""
        draw = self.random
        choice = draw.randrange(8 if depth < 4 else 6)
        if choice < 2:
            return draw.choice((None, True, False))
        if choice < 4:
            return draw.choice(NUMBERS)
        if choice < 6:
            return draw.choice(
                (*WORDS, "\x00", "\ud800", "x" * 300_000 if draw.random() < 0.02 else "y")
            )
        if choice == 6:
            return [self.junk(depth + 1) for _ in range(draw.randrange(3))]
        return {draw.choice(WORDS): self.junk(depth + 1) for _ in range(draw.randrange(3))}
