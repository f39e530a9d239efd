"""Which handler serves a verb on a resource or one of its subresources."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial

from k8sactors.api import errors
from k8sactors.api.protocol import READ_VERBS
from k8sactors.apiserver import request_body
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.collection_deletion import delete_collection
from k8sactors.apiserver.reads import Reads
from k8sactors.apiserver.registry import Registry
from k8sactors.apiserver.resource import Resource
from k8sactors.apiserver.subresource import PostedSubresource, Subresource

Handler = Callable[[Call], None]

_UNNAMED = frozenset({"list", "create", "deletecollection"})


class Routes:
    """The routing table of a server: it follows from the kinds and the subresources they name."""

    def __init__(
        self,
        registry: Registry,
        reads: Reads,
        subresources: Iterable[Subresource],
        reviews: Mapping[str, Handler],
        computed: Mapping[str, Mapping[str, Handler]],
    ) -> None:
        self._registry = registry
        self._reads = reads
        self._subresources = {part.name: part for part in subresources}
        self._collections = {
            part.collection: part
            for part in self._subresources.values()
            if isinstance(part, PostedSubresource) and part.collection
        }
        # What answers a question that is asked as an object, by the resource's name.
        self._reviews = reviews
        # What serves the verbs of a resource whose objects are made when they are read.
        self._computed = computed
        self._handlers: dict[tuple[str, str, str], Handler] = {}

    def add(self, resource: Resource, resources: Mapping[str, Resource]) -> None:
        """Serve a resource with its subresources; `resources` are all by their unique names."""
        registry, reads, name = self._registry, self._reads, resource.name
        collected = self._collections.get(name)
        if collected is not None:
            # Nothing is stored there: it is another way to the subresource.
            parent = resources[collected.collection_parent]
            self._handlers[name, "", "create"] = partial(_post_named, registry, collected, parent)
            return
        review = self._reviews.get(name)
        if review is not None:
            self._handlers[name, "", "create"] = review
            return
        whole: dict[str, Handler] = {
            "get": reads.get,
            "list": reads.list_objects,
            "create": registry.create,
            "update": registry.update,
            "patch": registry.patch,
            "delete": registry.delete,
            "deletecollection": partial(delete_collection, registry, reads),
            **self._computed.get(name, {}),
        }
        for verb, handler in whole.items():
            if verb in resource.info.verbs and (resource.info.stored or verb in READ_VERBS):
                self._handlers[name, "", verb] = handler
        for subresource in resource.info.subresources:
            part = self._subresources.get(subresource)
            if part is not None:
                for verb in part.verbs:
                    self._handlers[name, subresource, verb] = self._handler(part, verb)

    def remove(self, name: str) -> None:
        """Serve a resource no longer."""
        for key in [key for key in self._handlers if key[0] == name]:
            del self._handlers[key]

    def _handler(self, part: Subresource, verb: str) -> Handler:
        registry = self._registry
        if isinstance(part, PostedSubresource):
            return partial(registry.post, part=part)
        if verb == "get":
            if type(part).show is Subresource.show:
                return self._reads.get
            return partial(registry.show, part=part)
        return partial(registry.update if verb == "update" else registry.patch, part=part)

    def find(self, call: Call) -> Handler:
        """The handler of a call.

        Raises:
            StatusError: 404 or 405.
        """
        info = call.resource.info
        handler = self._handlers.get((call.resource.name, call.subresource, call.verb))
        if handler is None:
            if call.subresource and call.subresource not in info.subresources:
                raise errors.path_not_found()
            raise errors.method_not_allowed()
        if not call.name and (call.subresource or call.verb not in _UNNAMED):
            raise errors.method_not_allowed()
        if info.namespaced and not call.namespace and call.verb != "list":
            raise errors.path_not_found()
        if call.options and not call.readonly:
            request_body.check_options(call)
        return handler


def _post_named(registry: Registry, part: PostedSubresource, parent: Resource, call: Call) -> None:
    """Serve what was posted to a collection: the name in its body is the parent's."""
    body = request_body.decode_object(call, part.kind)
    name = request_body.metadata_of(body).get("name")
    if not name:
        raise errors.bad_request(f"name in URL does not match name in {part.kind} object")
    call.resource, call.name, call.subresource = parent, name, part.name
    registry.post(call, part)
