# SPDX-License-Identifier: MIT
"""How a probe reaches a server: names, addresses, connections, and what their failures mean."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import socket
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

from .probe_terms import REMEDIES, Cause, address_of
from .rendezvous import FrameDecoder, Message, WireError, decode_message, encode_frame, encode_message

if TYPE_CHECKING:
    from collections.abc import Sequence

READ_BYTES = 64 * 1024
"""The most that one read returns."""

PAUSE = 0.05
"""Seconds by which things that could start together are kept apart."""

_MAX_UNRELATED = 16


class ProofError(Exception):
    """Ends a proof: why, what was seen, and what to do about it at which door."""

    def __init__(self, cause: Cause, detail: str, door: Door | None = None) -> None:
        super().__init__(detail)
        self.cause = cause
        self.detail = detail
        self.remedy = REMEDIES[cause]
        if door:
            self.remedy = self.remedy.format(host=door.host, port=door.port, protocol=door.protocol, daemon=door.daemon)


@dataclass(frozen=True)
class Address:
    """An IP address with what the system needs to reach it."""

    family: int
    sockaddr: tuple[Any, ...]

    @property
    def text(self) -> str:
        """The address without a port."""
        return str(self.sockaddr[0])

    def at(self, port: int) -> tuple[Any, ...]:
        """Return what a socket of this family connects to."""
        return (self.sockaddr[0], port, *self.sockaddr[2:])


@dataclass(frozen=True)
class Door:
    """A port that a daemon should answer on."""

    host: str
    address: Address
    port: int
    daemon: str
    protocol: str = "tcp"

    @property
    def name(self) -> str:
        """The port the way firewalls name it."""
        return f"{self.port}/{self.protocol}"


class Deadline:
    """The end of a proof's time."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left, never less than none."""
        return max(0.0, self._end - time.monotonic())


def milliseconds_since(start: float) -> float:
    """Return the time since a value of `time.monotonic`, to a tenth."""
    return round((time.monotonic() - start) * 1000, 1)


# --- Names ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Resolution:
    """Usable addresses of a name, or the failure to find one."""

    detail: str
    milliseconds: float
    addresses: Sequence[Address] = ()
    failure: ProofError | None = None


async def resolve(name: str, seconds: float, *, allow_loopback: bool) -> Resolution:
    """Find the addresses of a name, loopback addresses left out unless allowed."""
    start = time.monotonic()
    found = await _look_up(name, seconds)
    milliseconds = milliseconds_since(start)
    if isinstance(found, ProofError):
        return Resolution(found.detail, milliseconds, failure=found)
    detail = f"{name} is an address"
    if address_of(name) is None:
        detail = f"{name} resolves to {', '.join(address.text for address in found)}"
    usable = [address for address in found if allow_loopback or not stays_here(address.text)]
    if usable:
        return Resolution(detail, milliseconds, usable)
    failure = ProofError(Cause.NAME_LOOPBACK, f"{detail}, which is this machine itself")
    return Resolution(failure.detail, milliseconds, failure=failure)


async def _look_up(name: str, seconds: float) -> list[Address] | ProofError:
    """Ask the system's resolver, in a thread of its own because it knows no timeout."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[Address] | ProofError] = loop.create_future()

    def deliver(found: list[Address] | ProofError) -> None:
        if not answer.done():
            answer.set_result(found)

    def look_up() -> None:
        found: list[Address] | ProofError
        try:
            entries = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
            found = [Address(family, sockaddr) for family, _type, _protocol, _name, sockaddr in entries]
        except UnicodeError:
            found = ProofError(Cause.NAME_UNKNOWN, f"{name} is not a name that can be looked up")
        except OSError as error:
            found = ProofError(Cause.NAME_UNKNOWN, f"{name} does not resolve ({error.strerror})")
        with contextlib.suppress(RuntimeError):  # the probe is over
            loop.call_soon_threadsafe(deliver, found)

    threading.Thread(target=look_up, name="rustdesk-probe-resolver", daemon=True).start()
    try:
        return await asyncio.wait_for(answer, seconds)
    except asyncio.TimeoutError:
        return ProofError(Cause.NAME_TIMEOUT, f"no name server answered about {name} within {seconds:g} s")


def stays_here(text: str) -> bool:
    """Tell whether an address can only mean this machine or no machine at all."""
    address = address_of(text)
    return address is not None and (address.is_loopback or address.is_unspecified or address.is_multicast)


async def choose(addresses: Sequence[Address], port: int, seconds: float) -> Address:
    """Return the first address that accepts a TCP connection, else the first of all.

    Later addresses start a little later, so that the resolver's order decides between equals.
    """
    if len(addresses) == 1:
        return addresses[0]
    deadline = Deadline(seconds)

    async def attempt(index: int, address: Address) -> Address | None:
        await asyncio.sleep(min(index * PAUSE, seconds / 2))
        try:
            connection = await connect(Door("", address, port, ""), deadline)
        except ProofError:
            return None
        connection.close()
        return address

    tasks = [asyncio.ensure_future(attempt(*item)) for item in enumerate(addresses)]
    try:
        for next_done in asyncio.as_completed(tasks):
            address = await next_done
            if address is not None:
                return address
    finally:
        for task in tasks:
            task.cancel()
    return addresses[0]


# --- Connections ------------------------------------------------------------------------

_AnswerT = TypeVar("_AnswerT")


class Connection:
    """A TCP connection to one door, every wait bounded by the proof's deadline."""

    def __init__(self, sock: socket.socket, door: Door, deadline: Deadline) -> None:
        self._sock = sock
        self.door = door
        self._deadline = deadline

    @property
    def local_port(self) -> int:
        """The source port on this machine."""
        return cast("int", self._sock.getsockname()[1])

    def close(self) -> None:
        """Close at once, whatever is still on its way."""
        self._sock.close()

    async def send(self, data: bytes) -> None:
        """Send everything; a peer that is gone shows when reading."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError, asyncio.TimeoutError):
            await asyncio.wait_for(loop.sock_sendall(self._sock, data), self._deadline.left)

    async def read(self) -> bytes:
        """Return the next bytes, none when the other side has closed; wait for ever if need be."""
        try:
            return await asyncio.get_running_loop().sock_recv(self._sock, READ_BYTES)
        except OSError:
            return b""

    async def receive(self, seconds: float | None = None) -> bytes:
        """Return the next bytes, none when the other side has closed.

        Raises:
            asyncio.TimeoutError: nothing came within the deadline, or within `seconds`.
        """
        wait = self._deadline.left if seconds is None else min(seconds, self._deadline.left)
        return await asyncio.wait_for(self.read(), wait)

    async def ask(self, request: Message, answer: type[_AnswerT]) -> _AnswerT:
        """Send a request in a frame and return the first message of the expected kind.

        Raises:
            ProofError: no such message came.
        """
        await self.send(encode_frame(encode_message(request)))
        decoder = FrameDecoder()
        head = b""
        unrelated: list[str] = []
        try:
            while True:
                data = await self.receive()
                if not data:
                    raise self._no_answer(head, unrelated, closed=True)
                head = (head + data)[:16]
                decoder.feed(data)
                for payload in decoder.frames():
                    message = decode_message(payload)
                    if isinstance(message, answer):
                        return message
                    unrelated.append(type(message).__name__ if message else "an empty message")
                if is_intercepted(head) or len(unrelated) > _MAX_UNRELATED:
                    raise self._no_answer(head, unrelated, closed=False)
        except asyncio.TimeoutError:
            raise self._no_answer(head, unrelated, closed=False) from None
        except WireError as error:
            raise strange_bytes(self.door, head, str(error)) from None

    def _no_answer(self, head: bytes, unrelated: list[str], *, closed: bool) -> ProofError:
        """Name what came instead of the expected message."""
        if unrelated:
            kinds = ", ".join(dict.fromkeys(unrelated))
            detail = f"{self.door.name} sent {kinds} and no answer"
            return ProofError(Cause.UNEXPECTED, detail, self.door)
        if head:
            return strange_bytes(self.door, head, "not a message")
        if closed:
            detail = f"{self.door.name} accepts connections and closes them without an answer"
            return ProofError(Cause.CLOSED, detail, self.door)
        detail = f"{self.door.name} accepts connections and gave no answer within {self._deadline.seconds:g} s"
        return ProofError(Cause.NO_ANSWER, detail, self.door)


def is_intercepted(head: bytes) -> bool:
    """Tell whether bytes begin like a TLS record (RFC 8446 section 5.1) or a web page.

    No frame of a rendezvous server begins so: taken for a frame, a TLS record would announce
    more than 16 KiB or hold field number 0, and a page begins with an impossible wire type.
    """
    tls = len(head) >= 3 and 0x14 <= head[0] <= 0x17 and head[1] == 3 and head[2] <= 4
    return tls or head.upper().startswith((b"HTTP/", b"<HTML", b"<!DOCTYPE"))


def strange_bytes(door: Door, head: bytes, reason: str) -> ProofError:
    """Name bytes that RustDesk does not send."""
    if is_intercepted(head):
        kind = "TLS" if head[1] == 3 else "a web page"
        detail = f"{door.name} answers with {kind}, not with RustDesk's protocol"
        return ProofError(Cause.INTERCEPTED, detail, door)
    detail = f"{door.name} answers with bytes that are not RustDesk's ({reason}): {head.hex(' ')}"
    return ProofError(Cause.FOREIGN, detail, door)


_UNREACHABLE = frozenset(
    {
        errno.EACCES,
        errno.EADDRNOTAVAIL,
        errno.EAFNOSUPPORT,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.EPERM,
    }
)


async def connect(door: Door, deadline: Deadline, local_port: int = 0) -> Connection:
    """Connect to a door, from a given local port if it can be had.

    Raises:
        ProofError: refused, no answer, or no way there; the detail says which.
    """
    try:
        sock = socket.socket(door.address.family, socket.SOCK_STREAM)
    except OSError as error:
        # A machine without IPv6 refuses the socket itself.
        raise _connect_failure(error, door, deadline) from None
    try:
        sock.settimeout(0)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Lets a second connection leave from the same port (for another destination).
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with contextlib.suppress(OSError):
            sock.bind(("", local_port))
        connecting = asyncio.get_running_loop().sock_connect(sock, door.address.at(door.port))
        await asyncio.wait_for(connecting, deadline.left)
    except (OSError, asyncio.TimeoutError, asyncio.CancelledError) as error:
        sock.close()
        if isinstance(error, asyncio.CancelledError):
            raise
        raise _connect_failure(error, door, deadline) from None
    return Connection(sock, door, deadline)


def _connect_failure(error: BaseException, door: Door, deadline: Deadline) -> ProofError:
    """Translate the system's error for a connection that did not come about."""
    place = f"{door.name} at {door.address.text}"
    if isinstance(error, (ConnectionRefusedError, ConnectionResetError)):
        return ProofError(Cause.REFUSED, f"{place} refused the connection", door)
    if isinstance(error, OSError) and error.errno in _UNREACHABLE:
        detail = f"{place} cannot be reached ({os.strerror(error.errno)})"
        return ProofError(Cause.UNREACHABLE, detail, door)
    detail = f"{place} did not answer the connection within {deadline.seconds:g} s"
    return ProofError(Cause.TIMEOUT, detail, door)
