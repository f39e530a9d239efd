"""What a member with an empty directory asks those that run before it takes part.

One that joins learns from them which cluster it is and who it is itself; they must have been told
of it before (``member add``). One that founds a cluster with the others must be sure that it has
not done so before: a member that begins again with an empty log has forgotten its votes and what it
acknowledged, and could elect a second leader.
"""

from __future__ import annotations

import ssl
from typing import Any, Final

import attrs
import trio

from raftstore.errors import ConfigurationError, StoreError
from raftstore.server.initial_cluster import Address, InitialCluster, join_address
from raftstore.server.membership import MemberRecord
from raftstore.server.peers.host import addresses_of
from raftstore.server.peers.link import check_answer, dial, reason_of
from raftstore.server.peers.protocol import (
    MAX_LIST_BYTES,
    FrameReader,
    PeerProtocolError,
    ask_members,
    pack_frame,
)

ASK_TIMEOUT_S: Final = 2.0
# How long one that joins waits for a member that has heard of it.
JOIN_TIMEOUT_S: Final = 2.0
PAUSE_S: Final = 0.1

Tls = ssl.SSLContext | None


@attrs.frozen
class RunningCluster:
    """A cluster as one of its members tells of it."""

    teller: Address
    cluster_id: int
    members: dict[int, MemberRecord]
    # Where the members are, in numbers.
    addresses: dict[int, Address]

    def at(self, address: Address) -> MemberRecord | None:
        """The member with this peer address, which is in numbers."""
        for number, known in self.addresses.items():
            if known == address:
                return self.members[number]
        return None


async def in_numbers(address: Address) -> Address:
    """The address of a host's name, so that two names of one host are the same; else as it is."""
    host, port = address
    try:
        found = await trio.socket.getaddrinfo(host, port, type=trio.socket.SOCK_STREAM)
    except OSError:
        return address
    # Of several the same one for all members.
    return min(str(place[0]) for *_, place in found), port


async def ask(address: Address, tls: Tls) -> RunningCluster:
    """Ask one member who belongs to its cluster.

    Raises:
        OSError, trio.BrokenResourceError: there is no connection.
        PeerProtocolError, StoreError: no member answers, or it refuses.
        trio.TooSlowError: no member answers in time.
    """
    with trio.fail_after(ASK_TIMEOUT_S):
        stream = await dial(address, tls)
        async with stream:
            await stream.send_all(pack_frame(ask_members()))
            answer = check_answer(await FrameReader(stream).read(MAX_LIST_BYTES))
        try:
            cluster_id, members = answer
            records = _records(members)
        except (TypeError, ValueError) as error:
            raise PeerProtocolError("the answer is no list of members") from error
        places = {number: await in_numbers(at) for number, at in addresses_of(records).items()}
        return RunningCluster(address, cluster_id, records, places)


def _records(members: Any) -> dict[int, MemberRecord]:
    """The members of a list, by id; TypeError or ValueError if it is none."""
    found: dict[int, MemberRecord] = {}
    for fields in members:
        number, name, peer_urls, client_urls, _ = fields
        texts = [name, *peer_urls, *client_urls]
        if not isinstance(number, int) or not all(isinstance(text, str) for text in texts):
            raise TypeError("fields of other types")
        found[number] = MemberRecord.from_wire(fields)
    return found


async def ask_all(
    addresses: list[Address], tls: Tls
) -> tuple[list[RunningCluster], dict[Address, str]]:
    """Ask all at once: what those who answer tell, and what is wrong with the others."""
    found: list[RunningCluster] = []
    problems: dict[Address, str] = {}

    async def ask_one(address: Address) -> None:
        try:
            found.append(await ask(address, tls))
        except trio.TooSlowError:
            problems[address] = "no answer"
        except StoreError as refusal:
            problems[address] = refusal.message
        except PeerProtocolError as error:
            problems[address] = str(error)
        except (OSError, trio.BrokenResourceError) as error:
            problems[address] = reason_of(error)

    async with trio.open_nursery() as nursery:
        for address in addresses:
            nursery.start_soon(ask_one, address)
    return found, problems


async def find_place(
    name: str, cluster: InitialCluster, tls: Tls
) -> tuple[RunningCluster, MemberRecord]:
    """The running cluster, and this member in it.

    Raises:
        ConfigurationError: no member answers, or the member has no place there.
    """
    own = cluster.address(name)
    others = [address for address in cluster.addresses.values() if address != own]
    if not others:
        raise ConfigurationError(
            "--initial-cluster names only this member: to join a cluster, name its members too"
        )
    places = {at: await in_numbers(at) for at in cluster.addresses.values()}
    deadline = trio.current_time() + JOIN_TIMEOUT_S
    while True:
        found, problems = await ask_all(others, tls)
        _check_one_cluster(found)
        for running in found:
            record = running.at(places[own])
            if record is not None:
                _check_place(name, places, own, running, record)
                return running, record
        if trio.current_time() >= deadline:
            raise ConfigurationError(_why_no_place(own, found, problems))
        # One that has not heard of the newest changes yet will in a moment.
        await trio.sleep(PAUSE_S)


async def check_new(name: str, cluster: InitialCluster, tls: Tls) -> None:
    """Return if the member may found the cluster with the others, as far as those who run know.

    Raises:
        ConfigurationError: it took part before, or others run another cluster there.
    """
    own = cluster.address(name)
    others = [address for address in cluster.addresses.values() if address != own]
    found, _ = await ask_all(others, tls)
    number = cluster.member_id(name)
    for running in found:
        where = join_address(running.teller)
        if running.cluster_id != cluster.cluster_id:
            raise ConfigurationError(
                f"cluster ID mismatch: the member at {where} belongs to cluster "
                f"{running.cluster_id:x}, not to {cluster.cluster_id:x}. To join that one, add "
                "this member with etcdctl member add and give --initial-cluster-state existing; "
                "for a new one all members need the same --initial-cluster and token"
            )
        record = running.members.get(number)
        if record is None:
            raise ConfigurationError(
                f"member {name} is no member of the cluster any more, says the one at {where}: "
                "add it again with etcdctl member add and give --initial-cluster-state existing"
            )
        if record.client_urls:
            raise ConfigurationError(_begun_before(record))


def _check_one_cluster(found: list[RunningCluster]) -> None:
    for running in found[1:]:
        if running.cluster_id != found[0].cluster_id:
            first, second = (join_address(one.teller) for one in (found[0], running))
            raise ConfigurationError(
                f"cluster ID mismatch: {first} belongs to cluster {found[0].cluster_id:x}, "
                f"{second} to {running.cluster_id:x}; --initial-cluster must name members of one"
            )


def _check_place(
    name: str,
    places: dict[Address, Address],
    own: Address,
    running: RunningCluster,
    record: MemberRecord,
) -> None:
    if record.is_started:
        if record.name != name:
            raise ConfigurationError(
                f"{join_address(own)} is the peer address of member {record.name}, not of {name}"
            )
        raise ConfigurationError(_begun_before(record))
    members = set(running.addresses.values())
    missing = sorted(members - set(places.values()))
    surplus = sorted(at for at, place in places.items() if place not in members)
    if missing or surplus:
        complaints = [f"{join_address(address)} is a member's" for address in missing]
        complaints += [f"{join_address(address)} is no member's" for address in surplus]
        raise ConfigurationError(
            "--initial-cluster does not name the members of the running cluster: "
            f"{', '.join(complaints)}; etcdctl member list tells who they are"
        )


def _begun_before(record: MemberRecord) -> str:
    return (
        f"member {record.name} ({record.id:x}) has already been bootstrapped, and an empty "
        "directory would let it forget its votes: give the --data-dir that it had, or remove it "
        "with etcdctl member remove, add it again, and give --initial-cluster-state existing"
    )


def _why_no_place(own: Address, found: list[RunningCluster], problems: dict[Address, str]) -> str:
    if not found:
        said = "; ".join(f"{join_address(at)}: {text}" for at, text in sorted(problems.items()))
        return f"cannot ask any member of --initial-cluster for the running cluster: {said}"
    return (
        f"the cluster {found[0].cluster_id:x} has no member with the peer address "
        f"{join_address(own)}: add it first, with etcdctl member add and "
        f"--peer-urls http://{join_address(own)}"
    )
