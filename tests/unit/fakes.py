"""Servers on 127.0.0.x that behave like hbbs and hbbr, or misbehave in one way each.

A `Site` has a healthy handler behind every door; a test replaces the one it is about.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import cast

from ansible.module_utils import rendezvous as wire

Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Datagrams = Callable[[bytes], list[bytes]]

KEY = "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
OTHER_KEY = "5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM="
TLS_ALERT = bytes.fromhex("15030100020246")
WEB_PAGE = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n<html></html>"

_last_octet = itertools.count(2)


# --- hbbs -------------------------------------------------------------------------------


async def first_message(reader: asyncio.StreamReader, decoder: wire.FrameDecoder) -> wire.Message | None:
    """Read one frame; what follows it stays in the decoder."""
    while (payload := decoder.next_frame()) is None:
        data = await reader.read(4096)
        if not data:
            return None
        decoder.feed(data)
    return wire.decode_message(payload)


def hbbs(
    key: str = KEY,
    before: tuple[wire.Message, ...] = (),
    port_shift: int = 0,
    punch: wire.PunchHoleResponse | None = None,
    is_accepted: Callable[[str], bool] | None = None,
) -> Handler:
    """Answer NAT tests and punch requests.

    `before` is sent ahead of every answer, `port_shift` is added to source ports, `punch` is
    the answer to an accepted key, `is_accepted` replaces the comparison with `key`.
    """

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answer: wire.Message
        request = await first_message(reader, wire.FrameDecoder())
        if isinstance(request, wire.TestNatRequest):
            answer = wire.TestNatResponse(port=writer.get_extra_info("peername")[1] + port_shift)
        elif isinstance(request, wire.PunchHoleRequest):
            given = request.licence_key
            accepted = is_accepted(given) if is_accepted else not key or given == key
            answer = wire.PunchHoleResponse(failure=wire.PunchFailure.LICENSE_MISMATCH)
            if accepted:
                answer = punch or wire.PunchHoleResponse()
        else:
            return
        for message in (*before, answer):
            writer.write(wire.encode_frame(wire.encode_message(message)))
        await writer.drain()
        await reader.read()

    return handle


def registering(datagram: bytes) -> list[bytes]:
    """Ask every client for its key, as hbbs does with unknown ones."""
    assert isinstance(wire.decode_message(datagram), wire.RegisterPeer)
    return [wire.encode_message(wire.RegisterPeerResponse(request_pk=True))]


def losing(count: int, answer: Datagrams = registering) -> Datagrams:
    """Lose the first datagrams."""
    seen = itertools.count()
    return lambda datagram: answer(datagram) if next(seen) >= count else []


def answering(*datagrams: bytes) -> Datagrams:
    """Answer everything with the same datagrams."""
    return lambda _datagram: list(datagrams)


# --- hbbr -------------------------------------------------------------------------------


def hbbr(
    key: str = KEY,
    change: Callable[[bytes], bytes] | None = None,
    deaf: bool = False,
    keep: bool = False,
    drive_out: int = 0,
    limit: int | None = None,
) -> Handler:
    """Pair two connections that have the key and ask for one uuid, then pass bytes on.

    `change` is applied to what passes, `deaf` passes nothing from the second to the first,
    `keep` keeps refused connections open, `limit` stops passing after that many bytes, and the
    first `drive_out` pairs meet in the instant in which both find nobody.
    """
    parked: dict[str, tuple[asyncio.StreamReader, asyncio.StreamWriter, bytes]] = {}
    remaining = itertools.count()

    async def pass_on(source: asyncio.StreamReader, first: bytes, sink: asyncio.StreamWriter) -> None:
        passed, data = 0, first
        while True:
            if data and (limit is None or passed < limit):
                part = data if limit is None else data[: limit - passed]
                passed += len(part)
                sink.write(change(part) if change else part)
                await sink.drain()
            data = await source.read(4096)
            if not data:
                break
        sink.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = wire.FrameDecoder()
        request = await first_message(reader, decoder)
        if not isinstance(request, wire.RequestRelay):
            return
        if key and request.licence_key != key:
            if keep:
                await reader.read()
            return
        peer = parked.pop(request.uuid, None)
        if peer and next(remaining) < drive_out:
            peer[1].close()
            peer = None
        if not peer:
            parked[request.uuid] = (reader, writer, decoder.pending)
            await asyncio.sleep(30)
            return
        other_reader, other_writer, other_pending = peer
        await asyncio.gather(
            pass_on(other_reader, other_pending, writer),
            asyncio.sleep(30) if deaf else pass_on(reader, decoder.pending, other_writer),
        )

    return handle


# --- anything else ----------------------------------------------------------------------


async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Accept, read and never answer."""
    while await reader.read(4096):
        pass


async def hanging_up(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Close at once."""


async def closing(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
    """Read a request, answer nothing, close: what a console does with bytes it cannot read."""
    await reader.read(1024)


def saying(data: bytes, stay: bool = False) -> Handler:
    """Answer the first bytes with the same bytes always, then close or stay."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(data)
        await writer.drain()
        if stay:
            await reader.read()

    return handle


def greeting(data: bytes, then: Handler) -> Handler:
    """Speak first, unasked."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await then(reader, writer)

    return handle


async def echoing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Send everything back."""
    while data := await reader.read(4096):
        writer.write(data)


def late(seconds: float, then: Handler) -> Handler:
    """Take that long before doing anything."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(seconds)
        await then(reader, writer)

    return handle


async def dripping(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Announce an answer and send it so slowly that it never ends."""
    await reader.read(4096)
    writer.write(b"\xfc")
    for _ in range(600):
        writer.write(b"\x00")
        await asyncio.sleep(0.05)


@dataclass
class Site:
    """hbbs and hbbr on an address of their own; None closes a door."""

    nat: Handler | None = field(default_factory=hbbs)
    tcp: Handler | None = field(default_factory=hbbs)
    udp: Datagrams | None = registering
    relay: Handler | None = field(default_factory=hbbr)
    address: str = field(default_factory=lambda: f"127.0.0.{2 + next(_last_octet) % 250}")
    port: int = 0
    datagrams: list[bytes] = field(default_factory=list)
    _doors_open: list[asyncio.Server | asyncio.BaseTransport] = field(default_factory=list)

    @contextlib.contextmanager
    def running(self) -> Iterator[Site]:
        """Serve until the block ends."""
        loop = asyncio.new_event_loop()
        thread = threading.Thread(target=loop.run_forever)
        thread.start()
        try:
            asyncio.run_coroutine_threadsafe(self._start(), loop).result(5)
            yield self
        finally:
            asyncio.run_coroutine_threadsafe(self._stop(), loop).result(5)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()

    async def _start(self) -> None:
        sockets = self._bind()
        for handler, sock in zip((self.nat, self.tcp, self.relay), sockets[:3], strict=True):
            if handler:
                self._doors_open.append(await asyncio.start_server(_polite(handler), sock=sock))
            else:
                sock.close()
        if self.udp:
            answer, datagrams = self.udp, self.datagrams

            class Protocol(asyncio.DatagramProtocol):
                def connection_made(self, transport: asyncio.BaseTransport) -> None:
                    self.transport = transport

                def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                    datagrams.append(data)
                    for datagram in answer(data):
                        cast("asyncio.DatagramTransport", self.transport).sendto(datagram, addr)

            transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(Protocol, sock=sockets[3])
            self._doors_open.append(transport)
        else:
            sockets[3].close()

    def _bind(self) -> list[socket.socket]:
        """Bind three TCP ports in a row and the UDP port of the middle one."""
        for port in range(21116, 60000, 7):
            sockets: list[socket.socket] = []
            family = socket.AF_INET6 if ":" in self.address else socket.AF_INET
            stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
            try:
                for number, kind in [(port - 1, stream), (port, stream), (port + 1, stream), (port, datagram)]:
                    sockets.append(socket.socket(family, kind))
                    if kind == stream:
                        sockets[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    sockets[-1].bind((self.address, number))
                    if kind == stream:
                        sockets[-1].listen()  # only now nobody else can have the port
            except OSError:
                for sock in sockets:
                    sock.close()
                continue
            self.port = port
            return sockets
        raise AssertionError("no free ports")

    async def _stop(self) -> None:
        for door in self._doors_open:
            door.close()
        # A connection that was accepted just now gets what closes it in the loop's next turns.
        for _turn in range(3):
            await asyncio.sleep(0)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _polite(handler: Handler) -> Handler:
    """Close the connection when the handler is done, and take it when the client is gone."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            await handler(reader, writer)
        writer.close()

    return handle
