"""The devices hbbs knows: those seen since its start, backed by the database."""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .limits import Clock, RegistrationPace
from .net import show

if TYPE_CHECKING:
    from .codec import Address
    from .database import Database

log = logging.getLogger(__name__)

ONLINE_S = 30.0
"""How long a device counts as online after its last registration or heartbeat, in seconds."""


@dataclass
class Peer:
    """A device."""

    address: Address | None = None
    last_seen: float = float("-inf")
    guid: bytes = b""
    uuid: bytes = b""
    pk: bytes = b""
    ip: str = ""
    """Address of the last key registration, in the form the UDP socket reports it."""
    pace: RegistrationPace = field(default_factory=RegistrationPace)


def rust_bytes(data: bytes) -> str:
    r"""Write bytes as Rust's log does: ``b"..."`` with ``\xNN`` for what is not printable ASCII."""
    special = {0: "\\0", 9: "\\t", 10: "\\n", 13: "\\r", 34: '\\"', 92: "\\\\"}
    text = "".join(special.get(b) or (chr(b) if 32 <= b < 127 else f"\\x{b:02x}") for b in data)
    return f'b"{text}"'


class PeerMap:
    """Devices by id."""

    def __init__(self, database: Database, clock: Clock = time.monotonic) -> None:
        self._database = database
        self._clock = clock
        self._peers: dict[str, Peer] = {}

    def in_memory(self, peer_id: str) -> Peer | None:
        """Return a device seen since the start."""
        return self._peers.get(peer_id)

    def get(self, peer_id: str) -> Peer | None:
        """Return a device seen since the start or stored."""
        peer = self._peers.get(peer_id)
        if peer is not None:
            return peer
        try:
            row = self._database.get_peer(peer_id)
        except sqlite3.Error:
            return None
        if row is None:
            return None
        try:
            ip = str(json.loads(row.info).get("ip", ""))
        except (ValueError, AttributeError):
            ip = ""
        peer = self._peers[peer_id] = Peer(guid=row.guid, uuid=row.uuid, pk=row.pk, ip=ip)
        return peer

    def get_or_add(self, peer_id: str) -> Peer:
        """Return a device, a blank one when the id is new."""
        peer = self.get(peer_id)
        if peer is None:
            peer = self._peers[peer_id] = Peer()
        return peer

    def is_online(self, peer: Peer) -> bool:
        """Tell whether the device was heard within ONLINE_S."""
        return self._clock() - peer.last_seen < ONLINE_S

    def update_pk(self, peer_id: str, peer: Peer, address: Address, machine: bytes, pk: bytes) -> None:
        """Take over a registration, in memory and in the database; a database error is only logged."""
        log.info("update_pk %s %s %s %s", peer_id, show(address), rust_bytes(machine), rust_bytes(pk))
        peer.address, peer.uuid, peer.pk, peer.ip = address, machine, pk, address[0]
        peer.last_seen = self._clock()
        info = json.dumps({"ip": peer.ip}, separators=(",", ":"))
        try:
            if peer.guid:
                self._database.update_pk(peer.guid, peer_id, pk, info)
                log.info("pk updated instead of insert")
            else:
                peer.guid = self._database.insert_peer(peer_id, machine, pk, info)
        except sqlite3.Error as error:
            log.log(logging.ERROR, "db.%s failed: %s", "update_pk" if peer.guid else "insert_peer", error)
