"""Node lifecycle controller: notices nodes that fall silent, and taints what is not well.

Every 5 s it looks at all heartbeats. A node that was silent for the grace period gets its
conditions set to Unknown; its pods are marked not ready, so that Services leave them; and it is
queued for the NoExecute taint, which the taint eviction controller acts upon. Conditions are
mirrored as NoSchedule taints at once.
"""

from __future__ import annotations

import attrs

from k8sactors.api.errors import StatusError
from k8sactors.api.meta import condition_is, format_time, get_condition
from k8sactors.client import is_not_found
from k8sactors.controllers.machinery.controller import Controller, ManagerContext, Object
from k8sactors.controllers.machinery.controller_ref_manager import labels_of
from k8sactors.controllers.machinery.options import ControllerOptions
from k8sactors.controllers.machinery.taints import (
    MANAGED_NO_SCHEDULE,
    NO_EXECUTE,
    NO_SCHEDULE,
    NOT_READY,
    UNREACHABLE,
    has_taint,
    no_schedule_is_current,
    no_schedule_keys,
    set_taints,
    taints_of,
)
from k8sactors.controllers.node_lifecycle.health import NodeHealth, unknown_status
from k8sactors.controllers.node_lifecycle.zones import (
    RateLimitedNodes,
    Zone,
    ZoneState,
    all_full,
    rate_for,
    zone_state,
)
from k8sactors.simulation import SECOND

NODE_INDEX = "node"
LEASE_NAMESPACE = "kube-node-lease"
EXCLUDE_LABEL = "node.kubernetes.io/exclude-disruption"
NO_EXECUTE_KEYS = frozenset({NOT_READY, UNREACHABLE})
TAINT_OF_STATUS = {"False": NOT_READY, "Unknown": UNREACHABLE}


def zone_of(node: Object) -> Zone:
    """Region and zone of a node."""
    labels = labels_of(node)
    return (
        labels.get("topology.kubernetes.io/region", ""),
        labels.get("topology.kubernetes.io/zone", ""),
    )


def ready_status(node: Object) -> str | None:
    """Status of the Ready condition, None before the first report."""
    ready = get_condition(node, "Ready")
    return ready["status"] if ready else None


def has_no_execute_taint(node: Object) -> bool:
    """Whether the node has a taint by which this controller evicts."""
    return any(
        taint["effect"] == NO_EXECUTE and taint["key"] in NO_EXECUTE_KEYS
        for taint in taints_of(node)
    )


@attrs.frozen
class NodeLifecycleOptions(ControllerOptions):
    """How long a node may be silent, and how fast its pods leave."""

    node_monitor_period_ns: int = 5 * SECOND
    node_monitor_grace_period_ns: int = 50 * SECOND
    node_startup_grace_period_ns: int = 60 * SECOND
    # Nodes per second that are tainted for eviction, in a healthy zone and in a disrupted one.
    node_eviction_rate: float = 0.1
    secondary_node_eviction_rate: float = 0.01
    # The share of unready nodes from which a zone counts as disrupted.
    unhealthy_zone_threshold: float = 0.55
    # A disrupted zone with more nodes than this is evicted slowly, a smaller one not at all.
    large_cluster_size_threshold: int = 50


class NodeLifecycleController(Controller):
    """Watches over the heartbeats of all nodes."""

    name = "node-lifecycle-controller"
    aliases = ("nodelifecycle",)
    service_account = "node-controller"
    component = "node-controller"
    options_type = NodeLifecycleOptions
    options: NodeLifecycleOptions

    def __init__(self, manager: ManagerContext) -> None:
        super().__init__(manager)
        self._nodes = self.watch_own("nodes")
        # All leases, like the garbage collector: one informer serves both.
        self._leases = self.informer("leases.coordination.k8s.io")
        self._pods = self.informer("pods")
        self._pods.add_index(NODE_INDEX, lambda pod: pod["spec"].get("nodeName"))
        self._pods.add_handler(on_add=self._pod_seen, on_update=self._pod_changed)
        self._health: dict[str, NodeHealth] = {}
        self._known: dict[str, Object] = {}
        # Nodes whose pods could not all be marked not ready yet.
        self._unmarked: dict[str, None] = {}
        self._zone_states: dict[Zone, ZoneState] = {}
        self._queues: dict[Zone, RateLimitedNodes] = {}
        self._rates = {
            "primary": self.options.node_eviction_rate,
            "secondary": self.options.secondary_node_eviction_rate,
        }
        self._tainting = False

    def start(self) -> None:
        """Start the workers and the monitor."""
        super().start()
        for pod in self._pods.lister.list():
            self._pod_seen(pod)
        self.run_every(self.options.node_monitor_period_ns, self._monitor)

    # --- one node's taints and the pods that come to it, event by event

    def _pod_changed(self, old: Object, new: Object) -> None:
        """Only the assignment counts: a kubelet that says ready again is not contradicted.

        Its node may be not ready for another reason than silence (a runtime that is down), and
        the two would overwrite each other forever.
        """
        if old["spec"].get("nodeName") != new["spec"].get("nodeName"):
            self._pod_seen(new)

    def _pod_seen(self, pod: Object) -> None:
        """A pod that reports ready from a node that does not: a restarted manager, or a race."""
        node_name = pod["spec"].get("nodeName")
        if not node_name:
            return
        node = self._nodes.lister.get(None, node_name)
        if node is None or ready_status(node) in {"True", None}:
            return
        if condition_is(pod, "Ready"):
            self._unmarked[node_name] = None
            self.queue.add(node_name)

    async def reconcile(self, key: str) -> None:
        """Bring the NoSchedule taints of a node in line with its conditions."""
        node = self._nodes.lister.get(None, key)
        if node is None:
            return
        if not no_schedule_is_current(node):
            await self._taint(node, NO_SCHEDULE, MANAGED_NO_SCHEDULE, no_schedule_keys(node))
        if key in self._unmarked and ready_status(node) != "True":
            await self._mark_pods_not_ready(key)

    async def _taint(
        self, node: Object, effect: str, managed: frozenset[str], keys: list[str]
    ) -> None:
        try:
            await set_taints(self.client, node, effect, managed, lambda _node: keys)
        except StatusError as error:
            if not is_not_found(error):
                raise

    # --- the monitor

    async def _monitor(self) -> None:
        nodes = {node["metadata"]["name"]: node for node in self._nodes.lister.list()}
        self._register_nodes(nodes)
        ready_by_zone: dict[Zone, list[bool]] = {}
        for name, node in nodes.items():
            health = self._unchanged_health(name, node)
            if health is None:
                await self._check_node(name, node, ready_by_zone)
            elif health.zone is not None:
                ready_by_zone.setdefault(health.zone, []).append(True)
        await self._judge_zones(ready_by_zone, nodes)
        self._start_tainting()

    def _unchanged_health(self, name: str, node: Object) -> NodeHealth | None:
        """The health of a node of which nothing has changed since it was well but its lease."""
        health = self._health.get(name)
        if health is None or name in self._unmarked:
            return None
        now_ns = self.ctx.now_ns()
        health.observe(node, self._leases.lister.get(LEASE_NAMESPACE, name), now_ns)
        silent_ns = now_ns - health.seen_at_ns
        if health.settled and silent_ns <= self.options.node_monitor_grace_period_ns:
            return health
        return None

    async def _check_node(
        self, name: str, node: Object, ready_by_zone: dict[Zone, list[bool]]
    ) -> None:
        """Judge one node by its heartbeats, and do what follows."""
        observed, current = await self._check(name, node)
        if current is None:
            return
        zone = zone_of(node) if EXCLUDE_LABEL not in labels_of(node) else None
        if zone is not None:
            ready_by_zone.setdefault(zone, []).append(current == "True")
        settled = observed == current == "True" and not has_no_execute_taint(node)
        self._health[name].settle(zone, settled=settled)
        try:
            await self._prepare_eviction(node, observed)
        except StatusError as error:
            self.log.debug("cannot change taints", node=name, error=error.message)
        if current != "True" and observed == "True":
            message = f"Node {name} status is now: NodeNotReady"
            self.recorder.event(node, "Normal", "NodeNotReady", message)
            self._unmarked[name] = None
        if name in self._unmarked and current != "True":
            await self._mark_pods_not_ready(name)
        elif current == "True":
            self._unmarked.pop(name, None)

    def _register_nodes(self, nodes: dict[str, Object]) -> None:
        for name, node in nodes.items():
            if name not in self._known:
                message = f"Node {name} event: Registered Node {name} in Controller"
                self.recorder.event(node, "Normal", "RegisteredNode", message)
            if self._known.get(name) is not node:
                self._queue_of(zone_of(node))
        for name, node in list(self._known.items()):
            if name not in nodes:
                message = f"Node {name} event: Removing Node {name} from Controller"
                self.recorder.event(node, "Normal", "RemovingNode", message)
                self._health.pop(name, None)
                self._unmarked.pop(name, None)
        self._known = nodes

    async def _check(self, name: str, node: Object) -> tuple[str, str | None]:
        """Status of Ready before and after; sets Unknown when the node was silent too long."""
        now_ns = self.ctx.now_ns()
        lease = self._leases.lister.get(LEASE_NAMESPACE, name)
        health = self._health.get(name)
        if health is None:
            health = self._health[name] = NodeHealth.first_seen(node, lease, now_ns)
        else:
            health.observe(node, lease, now_ns)
        observed = ready_status(node)
        grace_ns = self.options.node_monitor_grace_period_ns
        if observed is None:
            grace_ns = self.options.node_startup_grace_period_ns
        if now_ns - health.seen_at_ns <= grace_ns:
            return observed or "Unknown", observed
        status = unknown_status(node, self.ctx.wall_ns())
        if status is not None:
            try:
                await self.client.update_status("nodes", {**node, "status": status})
            except StatusError as error:
                self.log.debug("cannot set a node's status", node=name, error=error.message)
                return observed or "Unknown", observed
        return observed or "Unknown", "Unknown"

    async def _prepare_eviction(self, node: Object, observed: str) -> None:
        """Queue a node that is not ready for its NoExecute taint; clear that of a ready one."""
        name = node["metadata"]["name"]
        queue = self._queue_of(zone_of(node))
        if observed == "True":
            await self._mark_reachable(node)
            return
        wanted = TAINT_OF_STATUS.get(observed, UNREACHABLE)
        opposite = NOT_READY if wanted == UNREACHABLE else UNREACHABLE
        if has_taint(node, opposite, NO_EXECUTE):
            await self._taint(node, NO_EXECUTE, NO_EXECUTE_KEYS, [wanted])
        elif not has_taint(node, wanted, NO_EXECUTE):
            queue.waiting[name] = None

    async def _mark_reachable(self, node: Object) -> None:
        self._queue_of(zone_of(node)).waiting.pop(node["metadata"]["name"], None)
        if has_no_execute_taint(node):
            await self._taint(node, NO_EXECUTE, NO_EXECUTE_KEYS, [])

    async def _mark_pods_not_ready(self, node_name: str) -> None:
        now = format_time(self.ctx.wall_ns())
        self._unmarked.pop(node_name, None)
        for pod in self._pods.by_index(NODE_INDEX, node_name):
            ready = get_condition(pod, "Ready")
            if ready is None or ready["status"] != "True":
                continue
            self.recorder.event(pod, "Warning", "NodeNotReady", "Node is not ready")
            down = {**ready, "status": "False", "lastTransitionTime": now}
            conditions = [
                down if each["type"] == "Ready" else each for each in pod["status"]["conditions"]
            ]
            changed = {**pod, "status": {**pod["status"], "conditions": conditions}}
            try:
                await self.client.update_status("pods", changed)
            except StatusError as error:
                if not is_not_found(error):
                    self._unmarked[node_name] = None

    # --- zones

    def _queue_of(self, zone: Zone) -> RateLimitedNodes:
        queue = self._queues.get(zone)
        if queue is None:
            queue = RateLimitedNodes(self._rates["primary"], self.ctx.now_ns())
            self._queues[zone] = queue
            self._zone_states[zone] = ZoneState.INITIAL
        return queue

    async def _judge_zones(
        self, ready_by_zone: dict[Zone, list[bool]], nodes: dict[str, Object]
    ) -> None:
        threshold = self.options.unhealthy_zone_threshold
        states = {
            zone: zone_state(sum(ready), len(ready) - sum(ready), threshold)
            for zone, ready in ready_by_zone.items()
        }
        for zone in list(self._zone_states):
            if zone not in states:
                del self._zone_states[zone]
                del self._queues[zone]
        all_are, all_were = all_full(states.values()), all_full(self._zone_states.values())
        now_ns = self.ctx.now_ns()
        if all_are and not all_were:
            # All are silent: rather this controller is cut off. Evict no pod, take taints back.
            for node in nodes.values():
                try:
                    await self._mark_reachable(node)
                except StatusError as error:
                    self.log.debug("cannot take a taint back", error=error.message)
            for queue in self._queues.values():
                queue.set_rate(0.0, now_ns)
        elif all_were and not all_are:
            # A node is back: every node gets a full grace period again.
            for health in self._health.values():
                health.seen_at_ns = now_ns
        if not all_are:
            for zone, state in states.items():
                rate = rate_for(
                    state,
                    len(ready_by_zone[zone]),
                    self._rates,
                    self.options.large_cluster_size_threshold,
                )
                self._queues[zone].set_rate(rate, now_ns)
        self._zone_states = states

    def _start_tainting(self) -> None:
        if not self._tainting and any(queue.waiting for queue in self._queues.values()):
            self._tainting = True
            self.manager.spawn(self._taint_waiting)

    async def _taint_waiting(self) -> None:
        """Taint the nodes whose turn it is; comes back when the rate allows the next one."""
        try:
            for queue in list(self._queues.values()):
                while (name := queue.take(self.ctx.now_ns())) is not None:
                    await self._taint_for_eviction(queue, name)
        finally:
            self._tainting = False
        waits = [queue.next_token_ns() for queue in self._queues.values()]
        pending = [wait_ns for wait_ns in waits if wait_ns is not None]
        if pending and not self.queue.shutting_down:
            self.ctx.after(min(pending), self._continue_tainting)

    def _continue_tainting(self) -> None:
        if not self.queue.shutting_down:
            self._start_tainting()

    async def _taint_for_eviction(self, queue: RateLimitedNodes, name: str) -> None:
        node = self._nodes.lister.get(None, name)
        if node is None:
            return
        key = TAINT_OF_STATUS.get(ready_status(node) or "Unknown")
        if key is None:
            return
        try:
            await self._taint(node, NO_EXECUTE, NO_EXECUTE_KEYS, [key])
        except StatusError as error:
            self.log.debug("cannot taint a node", node=name, error=error.message)
            queue.waiting[name] = None
