"""A store member: consensus and key space, driven over a transport and a disk."""

from raftstore.storage import WalRecord

from .config import MemberConfig, Peer
from .disk import Disk, SimulatedDisk
from .forwarding import Transport
from .member import Member
from .requests import ClientHandle, Respond

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
