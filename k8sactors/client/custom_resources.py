"""Keeps a client's scheme in step with the definitions of custom resources.

A scheme starts with the built-in kinds; what follows the definitions adds the others, as discovery
does for a real client.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from k8sactors.api.kind import Kind
from k8sactors.api.scheme import Scheme
from k8sactors.apiextensions.kinds import kind_of
from k8sactors.apiextensions.names import is_served
from k8sactors.client.informer import SharedInformer

Object = dict[str, Any]


def _ignore(_kind: Kind) -> None:
    """A callback that was not given."""


class CustomResourceKinds:
    """Adds to `scheme` the kinds that an informer of definitions shows.

    The callbacks are told of kinds that have come, changed their form or gone.
    """

    def __init__(
        self,
        informer: SharedInformer,
        scheme: Scheme,
        *,
        on_added: Callable[[Kind], None] = _ignore,
        on_replaced: Callable[[Kind, Kind], None] | None = None,
        on_removed: Callable[[Kind], None] = _ignore,
    ) -> None:
        self._scheme = scheme
        self._on_added = on_added
        self._on_replaced = on_replaced
        self._on_removed = on_removed
        # By name of the definition: what the kind was made of, and the kind.
        self._kinds: dict[str, tuple[Any, Kind]] = {}
        informer.add_handler(
            on_add=self._put, on_update=lambda _old, new: self._put(new), on_delete=self._drop
        )

    def _put(self, definition: Object) -> None:
        name = definition["metadata"]["name"]
        if not is_served(definition):
            self._drop(definition)
            return
        names = definition["status"].get("acceptedNames")
        made_of = (definition["metadata"]["uid"], definition["spec"], names)
        old = self._kinds.get(name)
        if old is not None and old[0] == made_of:
            return
        kind = kind_of(definition)
        self._kinds[name] = (made_of, kind)
        if old is not None:
            self._scheme.remove(old[1])
        self._scheme.add(kind)
        if old is not None and self._on_replaced is not None:
            self._on_replaced(old[1], kind)
        elif old is None:
            self._on_added(kind)

    def _drop(self, definition: Object) -> None:
        found = self._kinds.pop(definition["metadata"]["name"], None)
        if found is not None:
            self._scheme.remove(found[1])
            self._on_removed(found[1])
