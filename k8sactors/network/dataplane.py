"""DataPlane: the kernel network of one node, and the packets that cross it.

A probe is one connection attempt, followed packet by packet: out of the source's namespace, through
this node's rules (kube-proxy's choice of an endpoint), over a route to the node that has the
endpoint, into the pod, and back with whatever the program there says. Between nodes it is a
message over the simulated network, so that a cut link, a dead host or a paused one stop it as they
would a real packet.

Service names are resolved from the node's own rules; that is said in the hop, because a cluster's
DNS is an add-on with replicas, caches and failures of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs

from k8sactors.actors import Actor, AskTimeoutError, Connection, Message
from k8sactors.actors.forwarding import Destination, forward
from k8sactors.api.streaming import DIAL, WINDOW_BYTES
from k8sactors.network import kernel_messages as kernel
from k8sactors.network import netns
from k8sactors.network.kernel_messages import Hop, Packet, ProbeRequest, ProbeResult, hop
from k8sactors.network.kernel_tables import RouteTable, RuleTable, is_address
from k8sactors.network.service_rules import ServicePort, nat_table
from k8sactors.simulation import SECOND

NO_NAME = "name not resolved"
NO_ENDPOINTS = "no endpoints"
REFUSED = "connection refused"
TIMEOUT = "timeout"
NO_ROUTE = "no route to host"
NO_SOURCE = "source not found"
_HOPS = 8
_DIAL_FAILED = 500
DIAL_TIMEOUT_NS = 20 * SECOND
_ERROR_OF_CODE = {"Refused": REFUSED, "NoRoute": NO_ROUTE}
_HEADLESS = "None"

Finish = Callable[[str, list[Any] | None, str], None]
"""Called with an error or "", the answer, and the client's address as the receiver saw it."""


class DataPlane(Actor):
    """The kernel network of one host.

    Args:
        node_name: name of the node, which is its host's.
        node_ip: the node's address.
        runtime: address of the container runtime, "" on a host without pods.
        cluster_domain: suffix of Services' full names.
    """

    def __init__(
        self, node_name: str, node_ip: str, runtime: str = "", cluster_domain: str = "cluster.local"
    ) -> None:
        self._node_name = node_name
        self._node_ip = node_ip
        self._runtime = runtime
        self._cluster_domain = cluster_domain
        self._peers: dict[str, Connection] = {}
        self._agent: Connection | None = None
        self._parked: list[Callable[[], None]] = []
        self.rules = RuleTable()
        self.routes = RouteTable()

    def on_message(self, message: Message) -> None:
        """Rules and routes from the agents, probes from users, packets from other nodes."""
        if message.kind == kernel.PACKET:
            self._arrived(message)
        elif message.kind == kernel.PROBE:
            self._probe(message)
        elif message.kind == DIAL:
            self._dial(message)
        elif message.kind == kernel.REPLACE_RULES:
            full, removed, changed = message.payload
            self.rules.replace(full=full, removed=removed, changed=changed)
        elif message.kind == kernel.FOLLOW_MISSES:
            self._agent = message.connection
        elif message.kind == kernel.REPLACE_ROUTES:
            self.routes.replace(message.payload)
            parked, self._parked = self._parked, []
            for resume in parked:
                resume()
        elif message.kind == kernel.LIST_RULES:
            message.reply(kernel.RULES, nat_table(self.rules.rules(), self._node_name))

    # A probe's start

    def _probe(self, message: Message) -> None:
        request = ProbeRequest.from_wire(message.payload)
        hops: list[Hop] = []

        def finish(error: str, answer: list[Any] | None, source_ip: str) -> None:
            result = ProbeResult(not error, error, hops, answer, source_ip)
            message.reply(kernel.RESULT, result.to_wire())

        if not request.source:
            hops.append(hop("host", self._node_name, self._node_ip, "source"))
            self._resolve(request, self._node_ip, hops, finish)
            return
        namespace, _, pod = request.source.partition("/")

        def found(ip: str) -> None:
            hops.append(hop("pod", self._node_name, ip, f"source {request.source}"))
            scoped = attrs.evolve(request, namespace=request.namespace or namespace)
            self._resolve(scoped, ip, hops, finish)

        def missing(code: str) -> None:
            finish(NO_SOURCE if code == "NotFound" else TIMEOUT, None, "")

        self._ask_runtime(netns.NETNS_LOOKUP, [namespace, pod], request.timeout_ns, found, missing)

    def _resolve(
        self, request: ProbeRequest, source_ip: str, hops: list[Hop], finish: Finish
    ) -> None:
        """Turn the target into an address and a port, then send the packet off."""
        target, port = request.target, request.port
        if not is_address(target):
            rules = self._service_named(target, request.namespace or "default")
            if rules is None:
                self._to_node(request, source_ip, hops, finish)
                return
            chosen = next((r for r in rules if r.port == port), rules[0]) if rules else None
            port = port or (chosen.port if chosen is not None else 0)
            target, port = self._address_of(chosen, port, source_ip)
            if not target:
                hops.append(hop("dns", self._node_name, "", f"{request.target}: no address"))
                finish(NO_NAME, None, source_ip)
                return
            text = f"{request.target} resolved from this node's rules; cluster DNS is an add-on"
            hops.append(hop("dns", self._node_name, target, text))
        packet = Packet(source_ip, target, port, request.protocol, _HOPS, request.timeout_ns)
        self._forward(packet, hops, finish)

    def _service_named(self, name: str, namespace: str) -> list[ServicePort] | None:
        labels = name.removesuffix(".").removesuffix("." + self._cluster_domain).split(".")
        match labels:
            case [service]:
                return self.rules.service(namespace, service)
            case [service, its_namespace] | [service, its_namespace, "svc"]:
                return self.rules.service(its_namespace, service)
        return None

    def _address_of(self, rule: ServicePort | None, port: int, source_ip: str) -> tuple[str, int]:
        """What the name of a Service stands for: its cluster IP, or one of its pods if headless."""
        if rule is None or rule.external_name:
            return "", port
        if rule.cluster_ip != _HEADLESS:
            return rule.cluster_ip, port
        candidates = rule.eligible(self._node_name, external=False)
        if not candidates:
            return "", port
        now_ns = self.ctx.now_ns()
        endpoint = self.rules.choose(rule, candidates, source_ip, now_ns, self.ctx.random)
        return endpoint.ip, endpoint.port

    def _to_node(
        self, request: ProbeRequest, source_ip: str, hops: list[Hop], finish: Finish
    ) -> None:
        """The target is a node's name, if it is anything."""
        name = request.target
        known = name == self._node_name or self.routes.address_of(name)
        if not known and self._miss():
            self._park(
                lambda: self._to_resolved_node(request, source_ip, hops, finish),
                request.timeout_ns // 2,
            )
            return
        self._to_resolved_node(request, source_ip, hops, finish)

    def _to_resolved_node(
        self, request: ProbeRequest, source_ip: str, hops: list[Hop], finish: Finish
    ) -> None:
        name = request.target
        ip = self._node_ip if name == self._node_name else self.routes.address_of(name)
        packet = Packet(source_ip, ip, request.port, request.protocol, _HOPS, request.timeout_ns)
        if name == self._node_name:
            self._forward(packet, hops, finish)
        elif ip or not self._runtime:
            self._send_to(name, packet, hops, finish)
        else:
            hops.append(hop("dns", self._node_name, "", f"{name}: no such host"))
            finish(NO_NAME, None, source_ip)

    # The way of a packet

    def _arrived(self, message: Message) -> None:
        packet = Packet.from_wire(message.payload)
        hops = [hop("node", self._node_name, self._node_ip, f"packet from {packet.source_ip}")]

        def finish(error: str, answer: list[Any] | None, source_ip: str) -> None:
            message.reply(kernel.VERDICT, [error, hops, answer, source_ip])

        if packet.hops_left <= 0:
            finish(TIMEOUT, None, packet.source_ip)
            return
        # A sender without routes knows this node by name only.
        self._forward(attrs.evolve(packet, ip=packet.ip or self._node_ip), hops, finish)

    def _forward(self, packet: Packet, hops: list[Hop], finish: Finish) -> None:
        """Through the rules, then to wherever the address lives."""
        rule = self.rules.at_address(packet.ip, packet.port, packet.protocol)
        if rule is None and packet.ip == self._node_ip:
            rule = self.rules.at_node_port(packet.port, packet.protocol)
        if rule is not None:
            external = packet.ip == self._node_ip
            redirected = self._redirect(rule, packet, hops, finish, external=external)
            if redirected is None:
                return
            packet = redirected
        node = self.routes.node_at(packet.ip)
        if not node and packet.ip != self._node_ip and self._miss():
            self._park(lambda: self._route(packet, hops, finish), packet.timeout_ns // 2)
            return
        self._route(packet, hops, finish)

    def _park(self, resume: Callable[[], None], limit_ns: int) -> None:
        """Let a packet wait for the agent's answer, as for that of a neighbour."""
        waiting = [resume]

        def once() -> None:
            if waiting:
                waiting.pop()()

        self._parked.append(once)
        self.ctx.after(limit_ns, once)

    def _miss(self) -> bool:
        """Ask the network agent to look again; False if there is none."""
        if self._agent is None or self._agent.closed:
            return False
        self._agent.send(kernel.ROUTE_MISS, [])
        return True

    def _route(self, packet: Packet, hops: list[Hop], finish: Finish) -> None:
        node = self.routes.node_at(packet.ip)
        if packet.ip == self._node_ip or node == self._node_name:
            self._deliver(packet, hops, finish)
        elif node:
            cidr = self.routes.range_of(node) or packet.ip
            via = f"{cidr} via {node} {self.routes.address_of(node)}"
            hops.append(hop("route", self._node_name, packet.ip, via))
            self._send_to(node, packet, hops, finish)
        else:
            hops.append(hop("route", self._node_name, packet.ip, "no route"))
            finish(NO_ROUTE, None, packet.source_ip)

    def _redirect(
        self, rule: ServicePort, packet: Packet, hops: list[Hop], finish: Finish, *, external: bool
    ) -> Packet | None:
        """What kube-proxy's chain does to the packet; None if that was its end."""
        address = f"{packet.ip}:{packet.port}"
        candidates = rule.eligible(self._node_name, external=external)
        if not candidates:
            # A rule without any endpoint rejects; one without a local endpoint drops.
            error = TIMEOUT if any(endpoint.ready for endpoint in rule.endpoints) else NO_ENDPOINTS
            text = f"{rule.key} has no {'local ' if error == TIMEOUT else ''}endpoints"
            hops.append(hop("kube-proxy", self._node_name, address, text))
            finish(error, None, packet.source_ip)
            return None
        now_ns = self.ctx.now_ns()
        endpoint = self.rules.choose(rule, candidates, packet.source_ip, now_ns, self.ctx.random)
        chain = f"{rule.chain} -> {rule.endpoint_chain(endpoint)}"
        text = f"{rule.key} {chain}: DNAT to {endpoint.address}, one of {len(candidates)}"
        source_ip = packet.source_ip
        if external and not rule.external_local:
            source_ip = self._node_ip
            text += f", source {packet.source_ip} masqueraded"
        hops.append(hop("kube-proxy", self._node_name, address, text))
        return attrs.evolve(packet, ip=endpoint.ip, port=endpoint.port, source_ip=source_ip)

    def _deliver(self, packet: Packet, hops: list[Hop], finish: Finish) -> None:
        """Into the network namespace that has the address."""
        address = f"{packet.ip}:{packet.port}"

        def answered(body: list[Any]) -> None:
            answer = netns.Answer.from_wire(body)
            text = f"{answer.namespace}/{answer.pod} container {answer.container} answers"
            hops.append(hop("pod", self._node_name, address, text))
            finish("", body, packet.source_ip)

        def failed(code: str) -> None:
            error = _ERROR_OF_CODE.get(code, TIMEOUT)
            if error == NO_ROUTE and packet.ip == self._node_ip:
                error = REFUSED  # the host itself is there, without a listener
            hops.append(hop("pod", self._node_name, address, error))
            finish(error, None, packet.source_ip)

        fields = [packet.ip, packet.port, packet.protocol]
        self._ask_runtime(netns.NETNS_CONNECT, fields, packet.timeout_ns, answered, failed)

    def _send_to(
        self, node: str, packet: Packet, hops: list[Hop], finish: Finish, *, again: bool = True
    ) -> None:
        """Over the wire to another node; an old connection that turns out dead is made again."""
        fresh = node not in self._peers
        # The receiver gives up first, so that what it knows still arrives.
        onward = attrs.evolve(
            packet, hops_left=packet.hops_left - 1, timeout_ns=packet.timeout_ns * 3 // 4
        )

        def replied(message: Message) -> None:
            error, more_hops, answer, source_ip = message.payload
            hops.extend(more_hops)
            finish(error, answer, source_ip)

        def failed(error: Exception) -> None:
            self._miss()  # the range may have another owner by now
            if isinstance(error, AskTimeoutError):
                hops.append(hop("link", self._node_name, node, "no answer"))
                finish(TIMEOUT, None, packet.source_ip)
            elif again and not fresh:
                self._send_to(node, packet, hops, finish, again=False)
            else:
                hops.append(hop("link", self._node_name, node, str(error)))
                finish(NO_ROUTE, None, packet.source_ip)

        self._request(
            f"{node}/dataplane",
            node,
            kernel.PACKET,
            onward.to_wire(),
            packet.timeout_ns,
            replied,
            failed,
        )

    # Connections

    def _dial(self, message: Message) -> None:
        """A connection from the API server to an address of this node: into the pod."""
        outer = message.accept_stream(window=WINDOW_BYTES, manual_credit=True)
        if outer is None:
            return

        def failed(reason: str, trailer: Any) -> None:
            outer.close(reason, trailer if trailer is not None else [_DIAL_FAILED, reason])

        if not self._runtime:
            failed(REFUSED, None)
            return
        destination = Destination(self._runtime, DIAL, message.payload)
        forward(
            self.ctx, outer, destination, failed, window=WINDOW_BYTES, timeout_ns=DIAL_TIMEOUT_NS
        )

    def _request(
        self,
        address: str,
        name: str,
        kind: str,
        payload: list[Any],
        timeout_ns: int,
        on_reply: Callable[[Message], None],
        on_fail: Callable[[Exception], None],
    ) -> None:
        connection = self._peers.get(name)
        if connection is None or connection.closed:

            def closed(reason: str) -> None:
                del reason
                self._peers.pop(name, None)

            connection = self._peers[name] = self.ctx.connect(address, closed)
        connection.request(kind, payload, on_reply, timeout_ns=timeout_ns, on_fail=on_fail)

    def _ask_runtime(
        self,
        method: str,
        fields: list[Any],
        timeout_ns: int,
        on_done: Callable[[Any], None],
        on_code: Callable[[str], None],
    ) -> None:
        """A question about a namespace of this node; a failure comes as its code."""
        if not self._runtime:
            self.ctx.after(0, lambda: on_code("Refused"))
            return

        def replied(message: Message) -> None:
            code, body = message.payload
            if code:
                on_code(code)
            else:
                on_done(body)

        def failed(error: Exception) -> None:
            del error
            on_code("Unavailable")

        self._request(self._runtime, "", method, fields, timeout_ns, replied, failed)
