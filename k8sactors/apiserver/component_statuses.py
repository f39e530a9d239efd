"""ComponentStatuses: how the scheduler, the controller manager and the store are at this moment.

Nothing is stored: each read asks the components, those of the server's own host and the members of
the store that it is configured with. Deprecated in Kubernetes 1.19, and still what `kubectl get cs`
shows. Source: reference of ComponentStatus v1; texts and ports are the real server's.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Final, NamedTuple

from k8sactors.actors import AskTimeoutError, Message
from k8sactors.api import codec, errors, selectors
from k8sactors.api.errors import SelectorError
from k8sactors.api.protocol import HEALTH
from k8sactors.apiserver.call import Call
from k8sactors.apiserver.environment import Environment
from k8sactors.simulation import SECOND
from raftstore.wire import REQUEST, RangeRequest

Object = dict[str, Any]
# What answers a question: whether it is healthy, and a text.
Answered = Callable[[bool, str], None]

RESOURCE: Final = "componentstatuses"
TIMEOUT_NS: Final = 20 * SECOND
_OK_CODE: Final = 200
_SCHEDULER_PORT: Final = 10259
_MANAGER_PORT: Final = 10257
# A read of a key that nothing has, which needs a majority: as etcd's own health check.
_STORE_KEY: Final = b"health"


class _Component(NamedTuple):
    name: str
    address: str
    # What the text of a failure names; None: a member of the store.
    url: str | None = None


class ComponentStatuses:
    """Answers reads of one server."""

    def __init__(self, environment: Environment) -> None:
        self._context = environment.context
        self._endpoints = environment.settings.store_endpoints

    @cached_property
    def _components(self) -> list[_Component]:
        """Whom to ask, by name; most servers are never asked."""
        host = self._context.address.partition("/")[0]
        url = "https://127.0.0.1:{}/healthz".format
        # Each server begins with another member; all give them the same names.
        endpoints = sorted(self._endpoints)
        found = [
            _Component("controller-manager", f"{host}/kube-controller-manager", url(_MANAGER_PORT)),
            _Component("scheduler", f"{host}/kube-scheduler", url(_SCHEDULER_PORT)),
            *(_Component(f"etcd-{number}", each) for number, each in enumerate(endpoints)),
        ]
        return sorted(found)

    def handlers(self) -> dict[str, Callable[[Call], None]]:
        """What serves each verb."""
        return {"get": self.get, "list": self.list_all}

    def get(self, call: Call) -> None:
        """The status of one component."""
        for component in self._components:
            if component.name == call.name:
                self._ask(component, partial(_answer_one, call, component.name))
                return
        call.fail(errors.not_found(call.resource.info, call.name))

    def list_all(self, call: Call) -> None:
        """The status of all components, or of those that selectors mean."""
        try:
            fields = selectors.parse_field_selector(call.options.get("fieldSelector") or "")
            labels = selectors.parse_label_selector(call.options.get("labelSelector") or "")
        except SelectorError as error:
            raise errors.bad_request(str(error)) from error
        wanted = [
            each
            for each in self._components
            if fields.matches({"metadata": {"name": each.name}}) and labels.matches({})
        ]
        known: dict[str, Object] = {}

        def answered(name: str, healthy: bool, text: str) -> None:
            known[name] = _status(name, healthy, text)
            if len(known) == len(wanted):
                items = [[0, codec.encode(known[each.name])] for each in wanted]
                call.succeed_list(0, items, None, None)

        if not wanted:
            call.succeed_list(0, [], None, None)
        for component in wanted:
            self._ask(component, partial(answered, component.name))

    def _ask(self, component: _Component, answered: Answered) -> None:
        connection = self._context.connect(component.address)

        def replied(message: Message) -> None:
            connection.close("answered")
            if component.url is None:
                code, *rest = message.payload
                answered(code == 0, str(rest[-1]) if code else "ok")
            else:
                answered(*message.payload)

        def failed(error: Exception) -> None:
            connection.close("failed")
            late = isinstance(error, AskTimeoutError)
            if component.url is None:
                answered(False, "context deadline exceeded" if late else str(error))
                return
            reason = "context deadline exceeded"
            if not late:
                address = component.url.split("/")[2]
                reason = f"dial tcp {address}: connect: connection refused"
            answered(False, f'Get "{component.url}": {reason}')

        kind, asked = HEALTH, None
        if component.url is None:
            request = RangeRequest(_STORE_KEY)
            kind, asked = REQUEST, [request.op, request.to_wire()]
        connection.request(kind, asked, replied, timeout_ns=TIMEOUT_NS, on_fail=failed)


def _answer_one(call: Call, name: str, healthy: bool, text: str) -> None:
    call.succeed(_OK_CODE, 0, codec.encode(_status(name, healthy, text)))


def _status(name: str, healthy: bool, text: str) -> Object:
    condition = {"type": "Healthy", "status": "True" if healthy else "False", "message": text}
    return {
        "kind": "ComponentStatus",
        "apiVersion": "v1",
        "metadata": {"name": name, "creationTimestamp": None},
        "conditions": [condition],
    }
