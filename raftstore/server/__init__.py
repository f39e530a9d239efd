"""A store member: consensus and key space, driven over a transport and a disk."""

from __future__ import annotations

from raftstore.server.config import MemberConfig, Peer
from raftstore.server.disk import Disk, SimulatedDisk
from raftstore.server.forwarding import Transport
from raftstore.server.member import Member
from raftstore.server.requests import ClientHandle, Respond
from raftstore.storage import WalRecord

__all__ = [
    "ClientHandle",
    "Disk",
    "Member",
    "MemberConfig",
    "Peer",
    "Respond",
    "SimulatedDisk",
    "Transport",
    "WalRecord",
]
