"""The machines of a run, and which member of the store runs on which.

Members come and go; machines stay. One that is free can take a new member, and the member that was
there before must not be missed: a new one has another id, and nothing on its disk.
"""

from functools import partial

from k8sactors.chaos.store_options import StoreChaos
from k8sactors.fabric import Network
from k8sactors.faults.fault import STORE_ACTOR
from k8sactors.simulation import MICROSECOND, Random
from k8sactors.storehost import StoreHost, open_disk
from raftstore.raft import RaftMonitor
from raftstore.server import MemberConfig, Peer, SimulatedDisk

PEER_PORT = 2380


class StoreCluster:
    """All machines, and the members that the operator of the cluster means to have."""

    def __init__(self, network: Network, options: StoreChaos, monitor: RaftMonitor) -> None:
        self.hosts = options.hosts
        """Names of the machines; the founding members run on the first of them."""
        self.places: dict[int, str] = {}
        """The members that there should be, by id: the machine of each."""
        self.addresses: dict[int, str] = {}
        """What members find each other by: addresses of all members that ever were."""
        self.disks: list[SimulatedDisk] = []
        self.changes = {"added": 0, "removed": 0, "leaders": 0, "dead": 0, "promoted": 0}
        """How many members were added, removed (leaders and dead ones among them) and promoted."""
        self.rot_accepted: list[int] = []
        """Members that started on a disk with a flipped bit."""
        self._configs: dict[int, MemberConfig] = {}
        self._network = network
        self._options = options
        self._monitor = monitor
        self._last_port = PEER_PORT
        for name in self.hosts:
            self.disks.append(open_disk(network.add_host(name)))

    def found(self) -> None:
        """Start the founding members."""
        founders = self.hosts[: self._options.members]
        peers = tuple(
            self._peer(number, name, self.new_url(name))
            for number, name in enumerate(founders, start=1)
        )
        for peer, name in zip(peers, founders, strict=True):
            self._place(name, self._config(peer.id, peers))

    def install(self, number: int, name: str, url: str) -> None:
        """A member that was added to the cluster starts on a machine, with an empty disk."""
        self.take_down(name)
        open_disk(self._network.host(name)).erase()
        self.changes["added"] += 1
        others = [self._configs[known].peers for known in self.places]
        known = {peer.id: peer for peers in others for peer in peers if peer.id in self.places}
        peers = (self._peer(number, name, url), *known.values())
        self._place(name, self._config(number, peers, joins=True))

    def take_down(self, name: str) -> None:
        """Stop whatever member is on a machine; nobody starts it again."""
        host = self._network.host(name)
        if STORE_ACTOR in host.slots:
            host.kill_actor(STORE_ACTOR)
            host.remove(STORE_ACTOR)

    def bring_back(self, number: int) -> None:
        """Start a member that was taken down on what its disk has."""
        self._place(self.places[number], self._configs[number])

    def can_lose(self, number: int) -> bool:
        """Whether all others would do without this member whatever they forget in a power cut.

        A change of members holds for a member when it has applied it, as in etcd: so whoever does
        not know for good that the newest one is committed might still wait for the lost one's vote.
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
    def has_quota(self) -> bool:
        """Whether the store may run out of room."""
        return bool(self._options.quota_bytes)

    @property
    def free_hosts(self) -> list[str]:
        """Machines without a member that should be there."""
        taken = frozenset(self.places.values())
        return [name for name in self.hosts if name not in taken]

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
        found = [self._network.hosts[name].actor(STORE_ACTOR) for name in self.hosts]
        return [actor for actor in found if isinstance(actor, StoreHost) and actor.started]

    def _place(self, name: str, config: MemberConfig) -> None:
        address = f"{name}/{STORE_ACTOR}"
        self.places[config.id] = name
        self.addresses[config.id] = address
        self._configs[config.id] = config
        sync_ns = self._options.sync_latency_us * MICROSECOND
        member = partial(StoreHost, config, self.addresses, sync_ns, self._monitor)
        self._network.host(name).spawn(STORE_ACTOR, member)

    def _config(self, number: int, peers: tuple[Peer, ...], *, joins: bool = False) -> MemberConfig:
        options = self._options
        return MemberConfig(
            id=number,
            peers=peers,
            joins=joins,
            snapshot_entries=options.snapshot_entries,
            catch_up_entries=options.snapshot_entries // 4,
            max_entries_per_message=options.entries_per_message,
            election_ticks=options.election_ticks,
            quota_bytes=options.quota_bytes,
            lease_reads=options.lease_reads,
            max_clock_drift_percent=options.max_clock_drift_percent,
        )

    @staticmethod
    def _peer(number: int, name: str, url: str) -> Peer:
        return Peer(number, name, (url,), (f"{name}/{STORE_ACTOR}",))
