"""The command ``hbbs``: rendezvous server."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .codec import Address, ConfigUpdate
from .daemon import WebSocketRefusal, fail, run
from .database import Database
from .errors import DaemonError, MalformedKeyFileError
from .keys import ServerKey, rendezvous_key
from .logs import start_logging
from .net import BACKLOG, bind_any, parse_address
from .peers import PeerMap
from .phonehome import start_phone_home
from .relays import RelayList, resolvable_servers
from .rendezvous import Lan, RendezvousServer
from .selftest import self_test
from .settings import HBBS_OPTIONS, HbbsSettings, hbbs_environment, parse_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP port."""

    def __init__(self) -> None:
        self.server: RendezvousServer | None = None
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self.server is not None:
            self.server.handle_datagram(data, addr[:2])

    def error_received(self, exc: Exception) -> None:
        log.error("udp failure: %s", exc)

    def send(self, data: bytes, target: Address) -> None:
        """Send a datagram from the port; a dual-stack socket needs IPv4 targets in mapped form."""
        if self._transport is None:
            return
        family = self._transport.get_extra_info("socket").family
        if family == socket.AF_INET6 and ":" not in target[0]:
            target = (f"::ffff:{target[0]}", target[1])
        with contextlib.suppress(OSError, ValueError):
            self._transport.sendto(data, target)


def _own_ip() -> str:
    """Find the address of the interface that leads out, without sending anything."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))
        return str(probe.getsockname()[0])
    return ""


def _lan_of(settings: HbbsSettings) -> Lan:
    try:
        mask = ipaddress.IPv4Interface(settings.mask)
    except ValueError:
        return Lan()
    return Lan(mask, _own_ip() if settings.local_ip is None else settings.local_ip)


async def serve(settings: HbbsSettings, key: ServerKey) -> None:
    """Open the ports and serve until cancelled; raise when a port, the database or a setting does not allow it."""
    log.info("DB_URL=%s", settings.database)
    database = Database(settings.database)
    log.info("serial=%s", settings.serial)
    rendezvous_servers = resolvable_servers(settings.rendezvous_servers, "rendezvous-servers")
    port = settings.port
    log.info("Listening on tcp/udp :%s", port)
    log.info("Listening on tcp :%s, extra port for NAT test", port - 1)
    log.info("Listening on websocket :%s", port + 2)
    loop = asyncio.get_running_loop()
    datagrams = _Datagrams()
    udp = bind_any(socket.SOCK_DGRAM, port)
    if settings.receive_buffer:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, settings.receive_buffer)
    lan = _lan_of(settings)
    log.info("mask: %s", lan.debug())
    log.info('local-ip: "%s"', lan.local_ip)
    server = RendezvousServer(
        key=key,
        peers=PeerMap(database),
        relays=RelayList(settings.relay_servers),
        send_datagram=datagrams.send,
        newer_servers=ConfigUpdate(settings.serial, rendezvous_servers),
        lan=lan,
        always_use_relay=settings.always_use_relay,
    )
    rendezvous, nat_test, websocket = (bind_any(socket.SOCK_STREAM, port + offset) for offset in (0, -1, 2))
    log.info("ALWAYS_USE_RELAY=%s", "Y" if server.always_use_relay else "N")
    tests: tuple[Address, ...] = ()
    if settings.test_address.lower() != "no":
        text = settings.test_address
        tests = (parse_address(text) if text else rendezvous.getsockname()[:2],)
    datagrams.server = server
    await loop.create_datagram_endpoint(lambda: datagrams, sock=udp)
    await asyncio.start_server(server.serve_client, sock=rendezvous, backlog=BACKLOG)
    await asyncio.start_server(server.serve_nat_test, sock=nat_test, backlog=BACKLOG)
    await loop.create_server(WebSocketRefusal, sock=websocket, backlog=BACKLOG)
    log.info("Start")
    await asyncio.gather(server.relays.check_forever(), *(self_test(address) for address in tests))


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``hbbs`` in the current directory; the process ends with it."""
    name, about = "hbbs", "RustDesk ID/Rendezvous Server"
    arguments = parse_arguments(name, about, HBBS_OPTIONS, sys.argv[1:] if argv is None else argv)
    start_logging(name, os.environ)
    try:
        settings = HbbsSettings.from_environment(hbbs_environment(arguments, os.environ))
        start_phone_home()
        key = rendezvous_key(settings.key, Path())
    except (DaemonError, MalformedKeyFileError) as error:
        fail(error)
    run(serve(settings, key))


if __name__ == "__main__":
    main()
