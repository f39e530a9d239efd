"""What a member has to do with members in other processes: who they are, and where."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from raftstore.errors import STOPPED, ConfigurationError, StoreError
from raftstore.server.initial_cluster import Address, parse_address
from raftstore.server.local_member import MemberTask
from raftstore.server.membership import MemberRecord
from raftstore.server.peers.network import MAX_SENDERS, PeerNetwork

# How long a former member is kept in touch with.
GRACE_S: Final = 3.0


class PeerHost:
    """A member, as those in other processes meet it, from `attach` on.

    `url` is how they reach it. `tls`: what the accepting and the dialling end need. Members
    `same_process` are in this process, and reached otherwise.
    """

    def __init__(
        self,
        cluster_id: int,
        own_id: int,
        url: str,
        tls: tuple[ssl.SSLContext | None, ssl.SSLContext | None],
        same_process: frozenset[int] = frozenset(),
    ) -> None:
        self.url = url
        self.network = PeerNetwork(cluster_id, own_id, url, tls, self)
        self._same_process = same_process
        self._task: MemberTask | None = None
        self._listed: dict[int, Address] = {}
        self._met: dict[int, Address] = {}
        self._addresses: dict[int, Address] = {}
        self._leaving: set[int] = set()

    def attach(self, task: MemberTask) -> None:
        """The member runs: keep links to those that it knows."""
        self._task = task
        task.member.changes.section.on_change.append(self._connect)
        self._connect()

    @property
    def _running(self) -> MemberTask:
        if self._task is None or self._task.over:
            raise StoreError(*STOPPED)
        return self._task

    def _connect(self) -> None:
        """Keep in touch with the members.

        And with others, for new ones may not be in the log yet; with former ones for a moment, to
        let them hear that they are. What a member said about itself holds until the log says
        something new.
        """
        section = self._running.member.changes.section
        listed = addresses_of(section.by_id)
        for number, address in listed.items():
            if self._listed.get(number) != address:
                self._met.pop(number, None)
        self._listed = listed
        present = {**listed, **self._met}
        taken = set(present.values())
        others = {
            number: address
            for number, address in self._addresses.items()
            if number not in present and address not in taken
        }
        self._addresses = {
            number: address
            for number, address in {**present, **others}.items()
            if number not in self._same_process
        }
        self.network.connect_to(self._addresses)
        for number in self._addresses:
            if number in section.removed and number not in self._leaving:
                self._leaving.add(number)
                self.network.after(GRACE_S, partial(self._part_from, number))

    def _part_from(self, number: int) -> None:
        """Should a former member come again, it is told at once."""
        self._addresses.pop(number, None)
        self._met.pop(number, None)
        self.network.connect_to(self._addresses)
        self.network.disconnect(number)

    # -- what other members ask and say -------------------------------------------------------

    def take(self, sender: int, messages: list[Any], /) -> None:
        """Messages of another member."""
        self._running.deliver(partial(self._hand_in, sender, messages))

    def _hand_in(self, sender: int, messages: list[Any]) -> None:
        receive_peer = self._running.member.receive_peer
        for wire in messages:
            receive_peer(sender, wire)

    def members(self) -> list[Any]:
        """Who belongs to the cluster, for processes that are to join."""
        return self._running.member.changes.section.to_wire()

    def is_former(self, member_id: int, /) -> bool:
        """Whether the cluster continues without that member."""
        return member_id in self._running.member.changes.section.removed

    def met(self, member_id: int, url: str, /) -> None:
        """Another member has introduced itself: its word may be newer than the own log."""
        if len(self._met) >= MAX_SENDERS and member_id not in self._met:
            return
        with suppress(ConfigurationError):
            address = parse_address(url)
            if address != self._addresses.get(member_id):
                self._met[member_id] = address
                self._connect()

    def told_removed(self) -> None:
        """Another member says that the cluster continues without this one."""
        with suppress(StoreError):
            self._running.deliver(self._running.member.leave)


def addresses_of(members: Mapping[int, MemberRecord]) -> dict[int, Address]:
    """Where the members are, as far as it can be told."""
    found: dict[int, Address] = {}
    for number, record in members.items():
        for url in record.peer_urls:
            with suppress(ConfigurationError):
                found.setdefault(number, parse_address(url))
    return found
