"""hbbs: what it answers to datagrams and to frames on TCP."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .codec import (
    Address,
    ConfigUpdate,
    FetchLocalAddr,
    FrameDecoder,
    IdPk,
    LocalAddr,
    Message,
    OnlineRequest,
    OnlineResponse,
    PunchHole,
    PunchHoleRequest,
    PunchHoleResponse,
    PunchHoleSent,
    RegisterPeer,
    RegisterPeerResponse,
    RegisterPk,
    RegisterPkResponse,
    RelayResponse,
    RequestRelay,
    TestNatRequest,
    TestNatResponse,
    WireError,
    decode_message,
    encode_frame,
    encode_message,
    mangle_address,
    unmangle_address,
)
from .console import RendezvousConsole, serve_console
from .limits import IpBlocker, IpChanges
from .net import is_loopback, peer_address, plain, plain_ip, show
from .peers import Peer, PeerMap, rust_bytes
from .relays import RelayList, resolvable_servers

if TYPE_CHECKING:
    from .keys import ServerKey

log = logging.getLogger(__name__)

READ_BYTES = 1 << 18
IDLE_S = 30.0
"""How long a TCP client may stay silent between two frames, in seconds."""
SHORTEST_ID = 6
"""Shortest id, in bytes, that can be registered."""
SYMMETRIC = 2
DEDUPE_S = 60.0
"""Repeated punch requests within this time are listed once, in seconds."""
DEDUPE_DEPTH = 30

# RegisterPkResponse.Result
OK, UUID_MISMATCH, TOO_FREQUENT, NOT_SUPPORT = 0, 2, 4, 6
# PunchHoleResponse.Failure
ID_NOT_EXIST, OFFLINE, LICENSE_MISMATCH = 0, 2, 3

SendDatagram = Callable[[bytes, Address], None]


@dataclass(frozen=True)
class PunchRequest:
    """Who wanted to reach whom, for the console."""

    time: float
    from_ip: str
    to_ip: str
    to_id: str


@dataclass(frozen=True)
class Lan:
    """The local network of the deprecated ``--mask``: its devices are told this host's local address."""

    mask: ipaddress.IPv4Interface | None = None
    local_ip: str = ""

    def contains(self, address: Address) -> bool:
        """Tell whether an address is local; without a mask none is."""
        ip = ipaddress.ip_address(plain_ip(address[0]))
        return self.mask is not None and isinstance(ip, ipaddress.IPv4Address) and ip in self.mask.network

    def debug(self) -> str:
        """Write the network as upstream logs it."""
        if self.mask is None:
            return "None"
        return f"Some(Ipv4Network {{ addr: {self.mask.ip}, prefix: {self.mask.network.prefixlen} }})"


@dataclass
class Client:
    """A TCP connection to the rendezvous port."""

    address: Address
    writer: asyncio.StreamWriter
    parked: bool = False
    """The connection waits for B's answer; from then on only that answer is written to it."""


class RendezvousServer:
    """The state of one hbbs."""

    def __init__(
        self,
        *,
        key: ServerKey,
        peers: PeerMap,
        relays: RelayList,
        send_datagram: SendDatagram,
        newer_servers: ConfigUpdate,
        lan: Lan,
        always_use_relay: bool = False,
    ) -> None:
        self.peers = peers
        self.relays = relays
        self.blocker = IpBlocker()
        self.ip_changes = IpChanges()
        self.punch_requests: list[PunchRequest] = []
        self.always_use_relay = always_use_relay
        self._key = key
        self._send_datagram = send_datagram
        self._newer_servers = newer_servers
        self._lan = lan
        self._waiting: dict[Address, asyncio.StreamWriter] = {}
        self._console = RendezvousConsole(self)

    # --- UDP -----------------------------------------------------------------------------------------------------

    def handle_datagram(self, data: bytes, source: Address) -> None:
        """Act on a datagram; what is not a known message is dropped without a word."""
        with contextlib.suppress(WireError):
            match decode_message(data):
                case RegisterPeer(id=peer_id, serial=serial) if peer_id:
                    self._register_peer(peer_id, source)
                    if self._newer_servers.serial > serial:
                        self._send(self._newer_servers, source)
                case RegisterPk() as message if message.uuid and message.pk:
                    self._send(RegisterPkResponse(self._register_pk(message, source)), source)
                case PunchHoleSent() as message:
                    # Since 1.1.17 this and LocalAddr are ignored over UDP (anyone can be made their target).
                    self._send(self._hole_sent(message, source), unmangle_address(message.socket_addr))
                case LocalAddr() as message:
                    self._send(self._local_addr(message), unmangle_address(message.socket_addr))
                case ConfigUpdate() as message if is_loopback(source) and message.serial > self._newer_servers.serial:
                    names = ",".join(message.rendezvous_servers)
                    self._newer_servers = ConfigUpdate(message.serial, resolvable_servers(names, "rendezvous-server"))

    def _send(self, message: Message, target: Address) -> None:
        self._send_datagram(encode_message(message), target)

    def _register_peer(self, peer_id: str, source: Address) -> None:
        peer = self.peers.in_memory(peer_id)
        if peer is None:
            self._send(RegisterPeerResponse(request_pk=True), source)
            return
        ip = source[0]
        moved = ip != (peer.address[0] if peer.address else peer.ip) and not ipaddress.ip_address(ip).is_loopback
        request_pk = moved or not peer.pk
        if not request_pk:
            peer.address, peer.last_seen = source, time.monotonic()
        if moved and peer.pace.count <= peer.pace.LIMIT:
            old = show(peer.address) if peer.address else peer.ip
            log.info("IP change of %s from %s to %s", peer_id, old, show(source))
        self._send(RegisterPeerResponse(request_pk=request_pk), source)

    def _register_pk(self, message: RegisterPk, source: Address) -> int:
        peer_id, ip = message.id, source[0]
        if len(peer_id.encode()) < SHORTEST_ID:
            return UUID_MISMATCH
        if not self.blocker.allow(ip, peer_id):
            return TOO_FREQUENT
        peer = self.peers.get_or_add(peer_id)
        known = bool(peer.uuid)
        moved = known and peer.ip != ip
        if known and not self._same_device(peer, message, ip):
            return UUID_MISMATCH
        if not peer.pace.allow(time.monotonic()):
            return TOO_FREQUENT
        if moved:
            self.ip_changes.add(peer_id, ip)
        if not known or moved or peer.pk != message.pk:
            self.peers.update_pk(peer_id, peer, source, message.uuid, message.pk)
        return OK

    @staticmethod
    def _same_device(peer: Peer, message: RegisterPk, ip: str) -> bool:
        """Tell whether a registration is from the device that owns the id: its uuid, and its key or its address."""
        if peer.uuid != message.uuid:
            log.warning("Peer %s uuid mismatch: %s vs %s", message.id, rust_bytes(message.uuid), rust_bytes(peer.uuid))
            return False
        if peer.ip != ip and peer.pk != message.pk:
            log.warning(
                "Peer %s ip/pk mismatch: %s/%s vs %s/%s",
                *(message.id, ip, rust_bytes(message.pk), peer.ip, rust_bytes(peer.pk)),
            )
            return False
        return True

    # --- TCP, rendezvous port ------------------------------------------------------------------------------------

    async def serve_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to the rendezvous port until it is done, silent for IDLE_S, or talks nonsense."""
        client = Client(peer_address(writer), writer)
        log.debug("Tcp connection from %s, ws: false", show(client.address))
        decoder = FrameDecoder()
        try:
            while (frame := await next_frame(reader, decoder)) is not None:
                if not self._handle_frame(frame, client):
                    break
        finally:
            if client.parked:
                self._waiting.pop(plain(client.address), None)
            await close(writer)
        log.debug("Tcp connection from %s closed", show(client.address))

    def _handle_frame(self, frame: bytes, client: Client) -> bool:
        """Act on a frame; tell whether the connection stays open."""
        try:
            message = decode_message(frame)
        except WireError:
            return False
        match message:
            case PunchHoleRequest():
                self._park(client)
                self._punch_hole(message, client.address)
                return True
            case RequestRelay():
                self._park(client)
                self._request_relay(message, client.address)
                return True
            case RelayResponse():
                self._relay_response(message)
            case PunchHoleSent():
                self._answer_waiting(self._hole_sent(message, client.address), message.socket_addr)
            case LocalAddr():
                self._answer_waiting(self._local_addr(message), message.socket_addr)
            case TestNatRequest() if not client.parked:
                update = self._newer_servers if self._newer_servers.serial > message.serial else None
                write_message(client.writer, TestNatResponse(client.address[1], update))
            case RegisterPk() if not client.parked:
                write_message(client.writer, RegisterPkResponse(NOT_SUPPORT))
        return False

    def _park(self, client: Client) -> None:
        """Keep the connection for B's answer. It is kept once: after the answer nothing is written to it."""
        if not client.parked:
            client.parked = True
            self._waiting[plain(client.address)] = client.writer

    def _answer(self, message: Message, address: Address) -> None:
        writer = self._waiting.pop(plain(address), None)
        if writer is not None:
            write_message(writer, message)

    def _answer_waiting(self, message: Message, mangled: bytes) -> None:
        self._answer(message, unmangle_address(mangled))

    def _punch_hole(self, request: PunchHoleRequest, source: Address) -> None:
        """Pass A's wish on to B, or tell A why not."""
        if self._key.required and request.licence_key != self._key.required:
            log.warning("Authentication failed from %s for peer %s - invalid key", show(source), request.id)
            self._answer(PunchHoleResponse(failure=LICENSE_MISMATCH), source)
            return
        peer = self.peers.get(request.id)
        if peer is None:
            self._answer(PunchHoleResponse(failure=ID_NOT_EXIST), source)
            return
        if not self.peers.is_online(peer) or peer.address is None:
            self._answer(PunchHoleResponse(failure=OFFLINE), source)
            return
        self._remember_punch(plain_ip(source[0]), plain_ip(peer.address[0]), request.id)
        source_is_lan, peer_is_lan = self._lan.contains(source), self._lan.contains(peer.address)
        relay_server, nat_type = self.relays.next(), request.nat_type
        if self.always_use_relay or source_is_lan != peer_is_lan:
            relay_server = self._lan.local_ip if peer_is_lan else relay_server
            nat_type = SYMMETRIC
        mangled = mangle_address(source, time.time_ns() // 1000)
        if (source_is_lan and peer_is_lan) or source[0] == peer.address[0]:
            self._send(FetchLocalAddr(mangled, relay_server), peer.address)
        else:
            self._send(PunchHole(mangled, relay_server, nat_type), peer.address)

    def _remember_punch(self, from_ip: str, to_ip: str, to_id: str) -> None:
        now = time.monotonic()
        for recent in reversed(self.punch_requests[-DEDUPE_DEPTH:]):
            if (recent.from_ip, recent.to_id) == (from_ip, to_id):
                if now - recent.time < DEDUPE_S:
                    return
                break
        self.punch_requests.append(PunchRequest(now, from_ip, to_ip, to_id))

    def _request_relay(self, request: RequestRelay, source: Address) -> None:
        """Pass A's wish for a relayed connection on to B; an unknown id gets no answer."""
        peer = self.peers.in_memory(request.id)
        if peer is not None and peer.address is not None:
            request.socket_addr = mangle_address(source, time.time_ns() // 1000)
            self._send(request, peer.address)

    def _relay_response(self, response: RelayResponse) -> None:
        """Pass B's consent on to A, with B's signed key in place of its id."""
        target = unmangle_address(response.socket_addr)
        response.socket_addr = b""
        if response.id:
            response.pk, response.id = self._signed_pk(response.version, response.id), None
        if response.relay_server:
            if self._lan.contains(target):
                response.relay_server = self._lan.local_ip
            elif response.relay_server == self._lan.local_ip:
                response.relay_server = self.relays.next()
        self._answer(response, target)

    def _hole_sent(self, message: PunchHoleSent, source: Address) -> PunchHoleResponse:
        log.debug("punch hole response to %s", show(unmangle_address(message.socket_addr)))
        return PunchHoleResponse(
            socket_addr=mangle_address(source, time.time_ns() // 1000),
            pk=self._signed_pk(message.version, message.id),
            relay_server=message.relay_server,
            nat_type=message.nat_type,
        )

    def _local_addr(self, message: LocalAddr) -> PunchHoleResponse:
        log.debug("local addrs response to %s", show(unmangle_address(message.socket_addr)))
        return PunchHoleResponse(
            socket_addr=message.local_addr,
            pk=self._signed_pk(message.version, message.id),
            relay_server=message.relay_server,
            is_local=True,
        )

    def _signed_pk(self, version: str, peer_id: str) -> bytes:
        """Sign a device's id and key; empty without a secret key, for a client without version, for an unknown id."""
        peer = self.peers.get(peer_id) if version else None
        return self._key.sign(IdPk(peer_id, peer.pk).encode()) if peer else b""

    # --- TCP, NAT test port --------------------------------------------------------------------------------------

    async def serve_nat_test(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection to the NAT test port: the console for this host, one request for everybody else."""
        address = peer_address(writer)
        if is_loopback(address):
            await serve_console(reader, writer, self._console.answer)
            return
        try:
            frame = await next_frame(reader, FrameDecoder())
            with contextlib.suppress(WireError):
                match decode_message(frame or b""):
                    case TestNatRequest():
                        write_message(writer, TestNatResponse(address[1]))
                    case OnlineRequest(peers=ids):
                        write_message(writer, OnlineResponse(self._online_states(ids)))
        finally:
            await close(writer)

    def _online_states(self, ids: list[str]) -> bytes:
        states = bytearray((len(ids) + 7) // 8)
        for index, peer_id in enumerate(ids):
            peer = self.peers.in_memory(peer_id)
            if peer is not None and self.peers.is_online(peer):
                states[index // 8] |= 0x80 >> index % 8
        return bytes(states)


async def next_frame(reader: asyncio.StreamReader, decoder: FrameDecoder) -> bytes | None:
    """Read the next frame; None when the client leaves or IDLE_S pass without a complete one."""
    try:
        async with asyncio.timeout(IDLE_S):
            while (frame := decoder.next_frame()) is None:
                data = await reader.read(READ_BYTES)
                if not data:
                    return None
                decoder.feed(data)
            return frame
    except (OSError, TimeoutError):
        return None


def write_message(writer: asyncio.StreamWriter, message: Message) -> None:
    """Write a message as a frame; a client that has gone is no error."""
    with contextlib.suppress(OSError, RuntimeError):
        writer.write(encode_frame(encode_message(message)))


async def close(writer: asyncio.StreamWriter) -> None:
    """Close a connection after what was written has left."""
    with contextlib.suppress(OSError):
        writer.close()
        await writer.wait_closed()
