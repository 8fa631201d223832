"""hbbs's list of relays: resolved at start, checked while there is more than one, handed out in turn."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import socket

from .settings import RELAY_PORT

log = logging.getLogger(__name__)

CHECK_S = 3.0
"""Interval and time-out of the relay check, in seconds."""


def _debug_list(names: list[str]) -> str:
    return "[" + ", ".join(f'"{name}"' for name in names) + "]"


def split_host_port(server: str, default_port: int) -> tuple[str, int]:
    """Split ``host[:port]``; raise ValueError when the port is not a number."""
    if ":" not in server:
        return server, default_port
    host, _, port = server.rpartition(":")
    return host.strip("[]"), int(port)


def resolvable_servers(names: str, tag: str) -> list[str]:
    """Keep those of a comma-separated list whose names resolve now; the others vanish without a word."""
    servers = []
    for name in filter(None, names.split(",")):
        try:
            socket.getaddrinfo(*split_host_port(name, 0), type=socket.SOCK_STREAM)
        except (OSError, ValueError):
            continue
        servers.append(name)
    log.info("%s=%s", tag, _debug_list(servers))
    return servers


class RelayList:
    """The relays named to the clients."""

    def __init__(self, names: str) -> None:
        self._turn = itertools.count()
        self.replace(names)

    def replace(self, names: str) -> None:
        """Take a new comma-separated list, dropping what does not resolve."""
        self._configured = resolvable_servers(names, "relay-servers")
        self.alive = list(self._configured)

    def next(self) -> str:
        """Return the relay whose turn it is; empty when there is none."""
        if len(self.alive) < 2:
            return self.alive[0] if self.alive else ""
        return self.alive[next(self._turn) % len(self.alive)]

    async def check_forever(self) -> None:
        """Connect to each relay every CHECK_S seconds and keep those that answer (all, if none does)."""
        while True:
            if len(self._configured) > 1:
                await self._check()
            await asyncio.sleep(CHECK_S)

    async def _check(self) -> None:
        alive: list[str] = []

        async def check(name: str) -> None:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                async with asyncio.timeout(CHECK_S):
                    _, writer = await asyncio.open_connection(*split_host_port(name, RELAY_PORT))
                writer.close()
                alive.append(name)

        await asyncio.gather(*(check(name) for name in self._configured))
        if alive:
            self.alive = alive
        log.debug("check_relay_servers")
