"""Finds the ConfigMaps and Secrets that pods need, asking for each only once in a while."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from k8sactors.api.errors import StatusError
from k8sactors.client import Client, is_not_found
from k8sactors.simulation import SECOND

_FRESH_NS = 60 * SECOND
Key = tuple[str, str, str]


class ObjectLookup:
    """Remembers which objects exist.

    What was found is remembered, and no absence: that is what a pod is waiting to see end.

    Args:
        client: the kubelet's client.
        now_ns: the kubelet's clock.
    """

    def __init__(self, client: Client, now_ns: Callable[[], int]) -> None:
        self._client = client
        self._now_ns = now_ns
        self._seen_ns: dict[Key, int] = {}
        self._data: dict[Key, dict[str, str]] = {}
        self._asking: dict[Key, list[Callable[[str], None]]] = {}

    def require(
        self,
        namespace: str,
        references: Iterable[tuple[str, str]],
        on_done: Callable[[str], None],
    ) -> None:
        """Look for all of them; the answer is "" or the first problem."""
        oldest_ns = self._now_ns() - _FRESH_NS
        missing = [
            key
            for resource, name in dict.fromkeys(references)
            if self._seen_ns.get(key := (resource, namespace, name), -1) < max(oldest_ns, 0)
        ]
        if not missing:
            on_done("")
            return
        problems: dict[Key, str] = {}

        def answered(key: Key, problem: str) -> None:
            problems[key] = problem
            if len(problems) == len(missing):
                on_done(next((problems[key] for key in missing if problems[key]), ""))

        for key in missing:
            self._ask(key, partial(answered, key))

    def data(self, namespace: str, resource: str, name: str) -> Mapping[str, str]:
        """The data of an object as it was last seen; empty if it never was."""
        return self._data.get((resource, namespace, name), {})

    def _ask(self, key: Key, on_answer: Callable[[str], None]) -> None:
        waiting = self._asking.get(key)
        if waiting is not None:
            waiting.append(on_answer)
            return
        self._asking[key] = [on_answer]
        resource, namespace, name = key

        def found(obj: Any) -> None:
            self._seen_ns[key] = self._now_ns()
            self._data[key] = _data_of(resource, obj)
            self._answer(key, "")

        def failed(error: StatusError) -> None:
            kind = "configmap" if resource == "configmaps" else "secret"
            text = f'{kind} "{name}" not found' if is_not_found(error) else f'{kind} "{name}"'
            self._answer(key, text if is_not_found(error) else f"failed to get {text}: {error}")

        self._client.submit(
            "get",
            resource,
            namespace=namespace,
            name=name,
            on_done=found,
            on_error=failed,
        )

    def _answer(self, key: Key, problem: str) -> None:
        for on_answer in self._asking.pop(key):
            on_answer(problem)


def _data_of(resource: str, obj: Any) -> dict[str, str]:
    """The data as text; that of a Secret is encoded in the object."""
    data: dict[str, str] = obj.get("data") or {}
    if resource != "secrets":
        return data
    return {key: base64.b64decode(text).decode(errors="replace") for key, text in data.items()}
