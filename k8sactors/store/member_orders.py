"""How members are added, removed and replaced by an operator that wants to lose nothing.

A request without an answer may still be carried out, at any later time. So each request to add a
member names a peer URL of its own, by which the member can be found; and as long as such a request
may still come true unseen, no disk is given up: the cluster could be left without a quorum.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import attrs
import trio

from k8sactors.faults.parameters import Parameters
from k8sactors.simulation import SECOND
from k8sactors.store.members import StoreMembers
from raftstore.client import StoreClient
from raftstore.errors import (
    MEMBER_NOT_FOUND,
    NOT_A_LEARNER,
    PEER_URL_EXISTS,
    RaftStoreError,
    StoreError,
    UnknownOutcomeError,
)
from raftstore.wire import MemberListRequest
from raftstore.wire.responses import Member, MemberAddResponse

TIMEOUT_NS = 2 * SECOND
POLL_S = 0.5
MOST_TRIES = 6
WHO_FOR_CERTAIN = MemberListRequest(linearizable=True)
WHO_BY_ONES_OWN_WORD = MemberListRequest(linearizable=False)
# Voters of which one may lose its disk without harm.
FEWEST_TO_LOSE_ONE = 3

Answer = TypeVar("Answer")


@attrs.define
class MemberOrders:
    """Changes the members of a cluster; every method says whether it was done."""

    cluster: StoreMembers
    make_client: Callable[[list[str]], StoreClient]
    # Peer URLs of which a request to add a member has had no answer.
    doubtful: dict[str, None] = attrs.field(factory=dict)
    # The machine that was meant for the member of a peer URL.
    asked: dict[str, str] = attrs.field(factory=dict)

    # -- orders -------------------------------------------------------------------------------

    async def add(self, parameters: Parameters) -> bool:
        """A new member on a machine that is free; as a learner first, or as a voter at once."""
        name = self.cluster.free_host()
        return name is not None and await self._add_on(name, is_learner=parameters["learner"])

    async def remove(self, parameters: Parameters) -> bool:
        """One member less, as long as enough are left."""
        if len(self.cluster.places) <= max(1, parameters["fewest"]):
            return False
        return await self._remove(self._member_at(parameters["host"]))

    async def replace(self, parameters: Parameters) -> bool:
        """Stop a member for good, and have a new one in its place."""
        number = self._member_at(parameters["host"])
        if len(self.cluster.places) == 1:
            return False
        name = self.cluster.places[number]
        self.cluster.take_down(name)
        if not await self._remove(number):
            if number in self.cluster.places:
                self.cluster.bring_back(number)
            return False
        return await self._add_on(name, is_learner=parameters["learner"])

    async def replace_jointly(self, parameters: Parameters) -> bool:
        """Stop a member for good, and have a new one in its place, by one request."""
        number = self._member_at(parameters["host"])
        if len(self.cluster.places) < FEWEST_TO_LOSE_ONE:
            return False
        name = self.cluster.places[number]
        self.cluster.take_down(name)
        url = self.cluster.new_url(name)
        self.asked[url] = name
        new = await self._ask_for(
            url,
            lambda client: client.member_replace(number, [url], timeout_ns=TIMEOUT_NS),
        )
        if new is None:
            self.cluster.bring_back(number)
            return False
        self.cluster.forget(number, "dead")
        self.cluster.install(new, name, url)
        return True

    async def lose_disk(self, parameters: Parameters) -> bool:
        """A disk is exchanged for an empty one: its member must be removed, and a new one added."""
        number = self._member_at(parameters["host"])
        if not await self._may_lose(number):
            return False
        name = self.cluster.places[number]
        self.cluster.take_down(name)
        await self._remove_surely(number)
        return await self._add_on(name, is_learner=parameters["learner"])

    async def rot_disk(self, parameters: Parameters) -> bool:
        """A bit on a disk flips; its member does not start any more, and is replaced."""
        number = self._member_at(parameters["host"])
        if not await self._may_lose(number):
            return False
        name = self.cluster.places[number]
        if not self.cluster.rot(name, parameters["rot_seed"]):
            return False
        await trio.sleep(POLL_S)
        self.cluster.note_rot_accepted(name)
        self.cluster.take_down(name)
        await self._remove_surely(number)
        return await self._add_on(name, is_learner=parameters["learner"])

    # -- order ----------------------------------------------------------------------------------

    async def reconcile(self) -> bool:
        """Adopt or remove members that the operator did not know of; forget those that are gone."""
        return await self._reconciled() is not None

    async def settle(self) -> bool:
        """Whether the members are those that there should be, and all of them voters."""
        members = await self._reconciled()
        if members is None:
            await self._start_asked_for()
            return False
        for member in members.values():
            if member.is_learner and not await self._promote(member.id):
                return False
        return members.keys() == self.cluster.places.keys() and not any(
            member.is_learner for member in members.values()
        )

    async def _reconciled(self) -> dict[int, Member] | None:
        members = await self._members()
        if members is None:
            return None
        for number in list(self.cluster.places):
            if number not in members:
                self.cluster.forget(number)
        for number, member in members.items():
            if number not in self.cluster.places:
                await self._adopt(member)
        return members

    async def _start_asked_for(self) -> None:
        """Start members that a member lists, that were asked for, and have never run.

        A request without an answer may have made a second voter of the one next to the only one:
        then nothing is certain, and nothing can be removed, before that voter runs (as in etcd).
        """
        for endpoint in self.cluster.endpoints:
            client = self.make_client([endpoint])
            try:
                listed = await client.request(WHO_BY_ONES_OWN_WORD, timeout_ns=TIMEOUT_NS)
            except RaftStoreError:
                continue
            finally:
                client.close()
            for member in listed.members:
                name = self.asked.get(member.peer_urls[0])
                if member.id not in self.cluster.addresses and name in self.cluster.free_hosts:
                    self.cluster.install(member.id, name, member.peer_urls[0])

    async def _adopt(self, member: Member) -> None:
        (url,) = member.peer_urls
        name = self.asked.get(url)
        if name is not None and name in self.cluster.free_hosts:
            self.cluster.install(member.id, name, url)
        else:
            await self._remove(member.id)

    def _member_at(self, host: str) -> int:
        """The member on a machine; of one that has none, on the next machine that has."""
        hosts = self.cluster.hosts
        start = hosts.index(host)
        found = (self.cluster.member_on(name) for name in (*hosts[start:], *hosts[:start]))
        return next(number for number in found if number is not None)

    async def _may_lose(self, number: int) -> bool:
        """Whether all that is known of the members is certain, and they can do without this one."""
        for _ in range(MOST_TRIES):
            if await self._is_certain() and self.cluster.can_lose(number):
                return True
            await trio.sleep(POLL_S)
        return False

    async def _is_certain(self) -> bool:
        members = await self._members()
        if members is None or len(members) < FEWEST_TO_LOSE_ONE:
            return False
        if any(member.is_learner or not member.name for member in members.values()):
            return False
        urls = [url for member in members.values() for url in member.peer_urls]
        return members.keys() == self.cluster.places.keys() and all(
            url in urls for url in self.doubtful
        )

    # -- requests -------------------------------------------------------------------------------

    async def _add_on(self, name: str, *, is_learner: bool) -> bool:
        url = self.cluster.new_url(name)
        self.asked[url] = name
        number = await self._ask_to_add(url, is_learner=is_learner)
        if number is None:
            return False
        self.cluster.install(number, name, url)
        return not is_learner or await self._promote(number)

    async def _ask_to_add(self, url: str, *, is_learner: bool) -> int | None:
        return await self._ask_for(
            url,
            lambda client: client.member_add([url], is_learner=is_learner, timeout_ns=TIMEOUT_NS),
        )

    async def _ask_for(
        self, url: str, ask: Callable[[StoreClient], Awaitable[MemberAddResponse]]
    ) -> int | None:
        """The id of the new member; None: it was refused, or that is unknown."""
        for _ in range(MOST_TRIES):
            try:
                answer = await self._ask(ask)
            except UnknownOutcomeError:
                self.doubtful[url] = None
            except StoreError as refusal:
                if refusal.status == PEER_URL_EXISTS:
                    return await self._find(url)
            except RaftStoreError:
                pass
            else:
                return answer.member.id
            if url in self.doubtful and (found := await self._find(url)) is not None:
                return found
            await trio.sleep(POLL_S)
        return None

    async def _find(self, url: str) -> int | None:
        members = await self._members() or {}
        found = [number for number, member in members.items() if url in member.peer_urls]
        return found[0] if found else None

    async def _remove(self, number: int) -> bool:
        for _ in range(MOST_TRIES):
            if await self._try_to_remove(number):
                return True
            await trio.sleep(POLL_S)
        return False

    async def _remove_surely(self, number: int) -> None:
        while True:
            if await self._try_to_remove(number):
                return
            await trio.sleep(POLL_S)

    async def _try_to_remove(self, number: int) -> bool:
        state = self.cluster.state_of(number)
        try:
            await self._ask(lambda client: client.member_remove(number, timeout_ns=TIMEOUT_NS))
        except RaftStoreError as error:
            if not isinstance(error, StoreError) or error.status != MEMBER_NOT_FOUND:
                return False
        self.cluster.forget(number, state)
        return True

    async def _promote(self, number: int) -> bool:
        for _ in range(MOST_TRIES):
            try:
                await self._ask(lambda client: client.member_promote(number, timeout_ns=TIMEOUT_NS))
            except RaftStoreError as error:
                status = error.status if isinstance(error, StoreError) else None
                if status == NOT_A_LEARNER:
                    return True
                if status == MEMBER_NOT_FOUND:
                    return False
            else:
                self.cluster.changes["promoted"] += 1
                return True
            await trio.sleep(POLL_S)
        return False

    async def _members(self) -> dict[int, Member] | None:
        """The members; None: they are not known for certain."""
        try:
            answer = await self._ask(
                lambda client: client.request(WHO_FOR_CERTAIN, timeout_ns=TIMEOUT_NS)
            )
        except RaftStoreError:
            return None
        return {member.id: member for member in answer.members}

    async def _ask(self, ask: Callable[[StoreClient], Awaitable[Answer]]) -> Answer:
        client = self.make_client(self.cluster.endpoints)
        try:
            return await ask(client)
        finally:
            client.close()
