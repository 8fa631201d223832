"""The suite's side of the conversation: source addresses, devices, connections."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import secrets
import select
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from .wire import Address, Message, decode, encode, frame, msg

if TYPE_CHECKING:
    from collections.abc import Iterator

TIMEOUT_S = 3.0
"""How long an answer may take."""
SILENCE_S = 0.3
"""How long nothing must come where nothing may come."""
PARKING_S = 0.1
"""How long hbbr gets to take note of a request."""
REGISTRATIONS_PER_ADDRESS = 20
"""Registrations made from one source address; the server accepts about 32 in a row."""


# --- source addresses --------------------------------------------------------------------------------------------


def _ip(*arguments: str) -> str:
    result = subprocess.run(("ip", *arguments), capture_output=True, text=True, check=False)
    if result.returncode:
        raise OSError(f"ip {' '.join(arguments)} failed: {result.stderr.strip()} (the suite has to run as root)")
    return result.stdout


class Sources:
    """Further addresses of the interface that leads to the server, random and given back at the end."""

    def __init__(self, server_ip: str) -> None:
        route = json.loads(_ip("-json", "route", "get", server_ip))[0]
        self._device: str = route["dev"]
        self.own: str = route["prefsrc"]
        (interface,) = json.loads(_ip("-json", "-4", "address", "show", "dev", self._device))
        used = {entry["local"]: entry["prefixlen"] for entry in interface["addr_info"]}
        self._network = ipaddress.IPv4Network(f"{self.own}/{used[self.own]}", strict=False)
        self._avoid = {server_ip, *used}
        self._added: list[str] = []
        self._shared: str | None = None
        self._shared_count = 0
        self._lock = threading.RLock()

    def fresh(self) -> str:
        """Add an address the server has not met in this run, from the upper half of the network."""
        with self._lock:
            half = self._network.num_addresses // 2
            while True:
                address = str(self._network[half + secrets.randbelow(half - 1)])
                if address not in self._avoid:
                    break
            self._avoid.add(address)
            _ip("address", "add", f"{address}/32", "dev", self._device)
            self._added.append(address)
            return address

    def for_registration(self) -> str:
        """Return an address for one more device, a new one before the server's limit is near."""
        with self._lock:
            if self._shared is None or self._shared_count >= REGISTRATIONS_PER_ADDRESS:
                self._shared, self._shared_count = self.fresh(), 0
            self._shared_count += 1
            return self._shared

    def remove(self) -> None:
        """Take all added addresses away."""
        for address in self._added:
            _ip("address", "del", f"{address}/32", "dev", self._device)
        self._added.clear()


# --- connections -------------------------------------------------------------------------------------------------


class Connection:
    """A framed TCP connection."""

    def __init__(self, target: Address, source: str) -> None:
        self.socket = socket.create_connection(target, TIMEOUT_S, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    @property
    def address(self) -> Address:
        """The own end."""
        ip, port = self.socket.getsockname()
        return ip, port

    def send(self, message: Message, padding: int = 0, width: int = 0) -> None:
        """Send a message as a frame."""
        self.socket.sendall(frame(encode(message, padding), width))

    def read(self, timeout: float = TIMEOUT_S) -> bytes | None:
        """Return what arrives next; None when the server closes; TimeoutError when nothing happens."""
        self.socket.settimeout(timeout)
        try:
            return self.socket.recv(1 << 18) or None
        except ConnectionResetError:
            return None

    def read_exactly(self, size: int, timeout: float = 10.0) -> bytes:
        """Return the next ``size`` bytes, ``timeout`` seconds at most apart; fewer when the server closes before."""
        while len(self._buffer) < size:
            data = self.read(timeout)
            if data is None:
                break
            self._buffer += data
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def receive(self, timeout: float = TIMEOUT_S) -> Message | None:
        """Return the next message; None when the server closes instead; fail when nothing happens."""
        try:
            first = self.read_exactly(1, timeout)
        except TimeoutError:
            raise AssertionError(f"no answer within {timeout} s") from None
        if not first:
            return None
        rest = self.read_exactly(first[0] & 3, timeout)
        size = int.from_bytes(first + rest, "little") >> 2
        payload = self.read_exactly(size, timeout)
        assert len(payload) == size, "the server closed within a frame"
        return decode(payload)

    def ask(self, message: Message) -> Message | None:
        """Send a message and return the answer."""
        self.send(message)
        return self.receive()

    def is_open(self) -> bool:
        """Tell whether the server has neither closed nor sent anything."""
        return not self._buffer and not select.select([self.socket], [], [], 0)[0]

    def is_silent(self, seconds: float = SILENCE_S) -> bool:
        """Tell whether the server neither answers nor closes for a moment."""
        return not self._buffer and not select.select([self.socket], [], [], seconds)[0]

    def park(self, request: Message, padding: int = 0, width: int = 0) -> None:
        """Send a request to the relay and insist that it keeps the connection for a partner."""
        self.send(request, padding, width)
        assert self.is_silent(PARKING_S), "the relay does not keep a connection that waits for its partner"

    def is_closed(self, timeout: float = TIMEOUT_S) -> bool:
        """Tell whether the server closes without sending a byte."""
        try:
            return not self._buffer and self.read(timeout) is None
        except TimeoutError:
            return False

    def seconds_until_closed(self, at_most: float) -> float:
        """Return when the server closes without a byte, in seconds from now; fail when it does not."""
        start = time.monotonic()
        assert self.is_closed(at_most), f"not closed without an answer within {at_most} s"
        return time.monotonic() - start


class Device:
    """A controlled device: an id, a machine, a key pair's public half and a UDP socket."""

    def __init__(self, server: Address, ip: str) -> None:
        self._server = server
        self.id = f"c{secrets.token_hex(6)}"
        self.uuid = secrets.token_bytes(16)
        self.pk = secrets.token_bytes(32)
        self._socket = self._open(ip)

    @staticmethod
    def _open(ip: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((ip, 0))
        return sock

    @property
    def ip(self) -> str:
        """The source address in use."""
        return str(self._socket.getsockname()[0])

    def move(self, ip: str) -> None:
        """Change to another source address (the old socket is closed)."""
        self.close()
        self._socket = self._open(ip)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def send(self, message: Message) -> None:
        """Send a message."""
        self.send_raw(encode(message))

    def send_raw(self, data: bytes) -> None:
        """Send a datagram."""
        self._socket.sendto(data, self._server)

    def receive(self, timeout: float = TIMEOUT_S) -> Message | None:
        """Return the next message from the server; None when none comes."""
        self._socket.settimeout(timeout)
        try:
            data, _ = self._socket.recvfrom(1 << 16)
        except TimeoutError:
            return None
        return decode(data)

    def ask(self, message: Message) -> Message | None:
        """Send a message and return the answer."""
        self.send(message)
        return self.receive()

    def is_silent(self) -> bool:
        """Tell whether nothing arrives for a moment."""
        return self.receive(SILENCE_S) is None

    def register_pk(self, **other: object) -> Message | None:
        """Register id, machine and key (or what is given instead) and return the answer."""
        fields = {"id": self.id, "uuid": self.uuid, "pk": self.pk, **other}
        return self.ask(Message("register_pk", fields))

    def register_peer(self) -> Message | None:
        """Send a heartbeat and return the answer."""
        return self.ask(msg("register_peer", id=self.id, serial=3))

    def join(self) -> Self:
        """Register as a client does and insist that it works."""
        assert self.register_peer() == msg("register_peer_response", request_pk=True)
        assert self.register_pk() == msg("register_pk_response")
        return self


# --- the server under test ---------------------------------------------------------------------------------------


@dataclass
class Lab:
    """The server under test, and the means to talk to it."""

    server: str
    port: int
    relay: Address
    key: str
    sources: Sources
    always_relay: bool = False
    _open: list[Device] = field(default_factory=list)

    @property
    def rendezvous(self) -> Address:
        """hbbs, registration and hole punching."""
        return self.server, self.port

    @property
    def nat_test(self) -> Address:
        """hbbs, NAT test and online query."""
        return self.server, self.port - 1

    def device(self, ip: str | None = None) -> Device:
        """Make a device that is not registered yet."""
        device = Device(self.rendezvous, ip or self.sources.for_registration())
        self._open.append(device)
        return device

    def connect(self, target: Address, source: str | None = None) -> Connection:
        """Connect, from the machine's own address unless another one is given."""
        return Connection(target, source or self.sources.own)

    def punch(self, peer_id: str, key: str | None = None) -> Message:
        """Return a controlling side's request, with the right key unless another one is given."""
        key = self.key if key is None else key
        return msg("punch_hole_request", id=peer_id, nat_type=1, licence_key=key, version="1.4.9")

    def relay_request(self, uuid: str, key: str | None = None) -> Message:
        """Return a request to the relay, with the right key unless another one is given."""
        return msg("request_relay", id="peer", uuid=uuid, licence_key=self.key if key is None else key)

    @contextlib.contextmanager
    def pair(self) -> Iterator[tuple[Connection, Connection]]:
        """Open two connections and have the relay pair them."""
        uuid = secrets.token_hex(16)
        with self.connect(self.relay) as first, self.connect(self.relay) as second:
            first.park(self.relay_request(uuid))
            second.send(self.relay_request(uuid))
            yield first, second

    def assert_rendezvous_serves(self) -> None:
        """Insist that hbbs answers on its three ports' protocols."""
        for target in (self.rendezvous, self.nat_test):
            with self.connect(target) as client:
                expected = msg("test_nat_response", port=client.address[1])
                assert client.ask(msg("test_nat_request")) == expected
        device = self.device(self.sources.own)
        assert device.register_peer() == msg("register_peer_response", request_pk=True)

    def assert_relay_serves(self) -> None:
        """Insist that hbbr pairs."""
        with self.pair() as (first, second):
            assert_passes(first, second)

    def close(self) -> None:
        """Close what is still open and give the addresses back."""
        for device in self._open:
            device.close()
        self.sources.remove()


def assert_passes(first: Connection, second: Connection, size: int = 64) -> None:
    """Insist that random bytes pass unchanged in both directions."""
    for sender, receiver in ((first, second), (second, first)):
        data = secrets.token_bytes(size)
        sender.socket.sendall(data)
        assert receiver.read_exactly(size) == data
