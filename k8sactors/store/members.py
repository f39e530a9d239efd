"""The machines of a store, and which member runs on which.

Members come and go; machines stay. One that is free can take a new member, and the member that was
there before must not be missed: a new one has another id, and nothing on its disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import attrs

from k8sactors.fabric import Network
from k8sactors.faults.fault import STORE_ACTOR
from k8sactors.simulation import Random
from k8sactors.store.member import OpenDisk, StoreHost, open_disk
from raftstore.raft import RaftMonitor
from raftstore.server import MemberConfig, Peer

PEER_PORT = 2380


def no_more_hosts() -> str | None:
    """There are no machines but those that are there."""
    return None


class StoreMembers:
    """All machines, and the members that the operator of the store means to have."""

    def __init__(
        self,
        network: Network,
        hosts: Sequence[str],
        settings: MemberConfig,
        sync_latency_ns: int,
        monitor: RaftMonitor,
        *,
        on_revision: Callable[[int], None] | None = None,
        new_host: Callable[[], str | None] = no_more_hosts,
        open_disk: OpenDisk | None = None,
    ) -> None:
        """No member runs yet.

        Args:
            network: has, or will have, the machines.
            hosts: names of the machines that may carry a member.
            settings: of every member; the id and the peers are replaced.
            sync_latency_ns: how long a sync of a disk takes.
            monitor: of Raft's invariants.
            on_revision: told of each revision that a member has applied.
            new_host: sets up one more machine and returns its name; None: it cannot.
            open_disk: opens a disk of the real machine; None: members have simulated ones.
        """
        self.hosts = list(hosts)
        """Names of the machines."""
        self.places: dict[int, str] = {}
        """The members that there should be, by id: the machine of each."""
        self.addresses: dict[int, str] = {}
        """What members find each other by: addresses of all members that ever were."""
        self.changes = {"added": 0, "removed": 0, "leaders": 0, "dead": 0, "promoted": 0}
        """How many members were added, removed (leaders and dead ones among them) and promoted."""
        self.rot_accepted: list[int] = []
        """Members that started on a disk with a flipped bit."""
        self._configs: dict[int, MemberConfig] = {}
        self._network = network
        self._settings = settings
        self._sync_latency_ns = sync_latency_ns
        self._monitor = monitor
        self._on_revision = on_revision
        self._new_host = new_host
        self._open_disk = open_disk
        self._last_port = PEER_PORT

    def found(self, founders: Sequence[str]) -> None:
        """The members that found the store, one on each of these machines; `start` starts them."""
        peers = tuple(
            self._peer(number, name, self.new_url(name))
            for number, name in enumerate(founders, start=1)
        )
        for peer, name in zip(peers, founders, strict=True):
            self._place(name, attrs.evolve(self._settings, id=peer.id, peers=peers))

    def start(self, name: str) -> None:
        """Start the member that should be on a machine."""
        number = self.member_on(name)
        assert number is not None
        member = partial(
            StoreHost,
            self._configs[number],
            self.addresses,
            self._sync_latency_ns,
            self._monitor,
            self._on_revision,
            self._open_disk,
        )
        self._network.host(name).spawn(STORE_ACTOR, member)

    def install(self, number: int, name: str, url: str) -> None:
        """A member that was added to the cluster starts on a machine, with an empty disk."""
        self.take_down(name)
        open_disk(self._network.host(name)).erase()
        self.changes["added"] += 1
        others = [self._configs[known].peers for known in self.places]
        known = {peer.id: peer for peers in others for peer in peers if peer.id in self.places}
        peers = (self._peer(number, name, url), *known.values())
        self._place(name, attrs.evolve(self._settings, id=number, peers=peers, joins=True))
        self.start(name)

    def take_down(self, name: str) -> None:
        """Stop the member on a machine, if there is one; it is not started again."""
        host = self._network.host(name)
        if STORE_ACTOR in host.slots:
            host.kill_actor(STORE_ACTOR)
            host.remove(STORE_ACTOR)

    def bring_back(self, number: int) -> None:
        """Start a member that was taken down on what its disk has."""
        self.start(self.places[number])

    def can_lose(self, number: int) -> bool:
        """Whether all others would do without this member whatever they forget in a power cut.

        A change of members holds for a member when it has applied it, as in etcd: so a member
        that does not know for good that the newest one is committed might still wait for the vote
        of the lost one.
        """
        newest = max(self._monitor.configurations, default=0)
        others = [open_disk(self._network.host(self.places[n])) for n in self.places if n != number]
        return all(disk.durable_commit >= newest for disk in others)

    def rot(self, name: str, seed: int) -> bool:
        """Flip a bit of what a machine's disk holds, and start its member again; False: no bit."""
        host = self._network.host(name)
        host.kill_actor(STORE_ACTOR)
        rotten = open_disk(host).rot(Random(seed))
        host.restart_actor(STORE_ACTOR)
        return rotten

    def note_rot_accepted(self, name: str) -> None:
        """A member that runs on a rotten disk has not looked at it."""
        actor = self._network.host(name).actor(STORE_ACTOR)
        if isinstance(actor, StoreHost) and actor.started:
            self.rot_accepted.append(actor.member.id)

    def state_of(self, number: int) -> str:
        """Whether a member is one of the "leaders" or the "dead"; empty: it is neither."""
        carrier = [host for host in self.carriers if host.member.id == number]
        if not carrier:
            return "dead"
        return "leaders" if carrier[0].member.is_leader else ""

    def forget(self, number: int, state: str = "") -> None:
        """A member was removed from the cluster, in a state: it should stop by itself."""
        if self.places.pop(number, None) is not None:
            self.changes["removed"] += 1
            if state:
                self.changes[state] += 1

    def new_url(self, name: str) -> str:
        """A peer URL that none has had: so a member can be told by it before its id is known."""
        self._last_port += 1
        return f"http://{name}:{self._last_port}"

    def member_on(self, name: str) -> int | None:
        """The id of the member that should be on a machine."""
        return next((number for number, place in self.places.items() if place == name), None)

    @property
    def quota_bytes(self) -> int:
        """How much room the store may take; 0: as much as it wants."""
        return self._settings.quota_bytes

    @property
    def has_quota(self) -> bool:
        """Whether the store may run out of room."""
        return self.quota_bytes > 0

    @property
    def free_hosts(self) -> list[str]:
        """Machines without a member that should be there."""
        taken = frozenset(self.places.values())
        return [name for name in self.hosts if name not in taken]

    def free_host(self) -> str | None:
        """A machine for one more member, set up if it must be; None: there is none."""
        free = self.free_hosts
        if free:
            return free[0]
        name = self._new_host()
        if name is not None:
            self.hosts.append(name)
        return name

    @property
    def endpoints(self) -> list[str]:
        """Where clients find the members that there should be."""
        return [self.addresses[number] for number in self.places]

    @property
    def carriers(self) -> list[StoreHost]:
        """The members that there should be, as far as they run."""
        return [host for host in self.running if host.member.id in self.places]

    @property
    def running(self) -> list[StoreHost]:
        """All members that run, former ones too."""
        hosts = [self._network.hosts[name] for name in self.hosts if name in self._network.hosts]
        found = [host.actor(STORE_ACTOR) for host in hosts]
        return [actor for actor in found if isinstance(actor, StoreHost) and actor.started]

    def _place(self, name: str, config: MemberConfig) -> None:
        address = f"{name}/{STORE_ACTOR}"
        self.places[config.id] = name
        self.addresses[config.id] = address
        self._configs[config.id] = config

    @staticmethod
    def _peer(number: int, name: str, url: str) -> Peer:
        return Peer(number, name, (url,), (f"{name}/{STORE_ACTOR}",))
