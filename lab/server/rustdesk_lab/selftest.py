"""hbbs's watchdog: it asks its own UDP port every second and gives up when the answers stay away."""

from __future__ import annotations

import asyncio
import contextlib
import time

from .codec import Address, RegisterPeer, WireError, decode_message, encode_message
from .errors import DaemonError

INTERVAL_S = 1.0
SILENCE_S = 12
"""Longest silence that is borne, in whole seconds."""
PROBE_ID = "(:test_hbbs:)"


class _Probe(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.last_answer = time.monotonic()
        self.error: Exception | None = None

    def datagram_received(self, data: bytes, _source: Address) -> None:
        with contextlib.suppress(WireError):
            decode_message(data)
            self.last_answer = time.monotonic()

    def error_received(self, exc: Exception) -> None:
        self.error = exc


async def _probe_forever(target: Address) -> None:
    """Probe ``target`` until it stays silent for too long; raise OSError when it cannot be reached."""
    loop = asyncio.get_running_loop()
    local = "::" if ":" in target[0] else "0.0.0.0"
    transport, probe = await loop.create_datagram_endpoint(_Probe, local_addr=(local, 0))
    try:
        while int(time.monotonic() - probe.last_answer) <= SILENCE_S:
            transport.sendto(encode_message(RegisterPeer(PROBE_ID)), target)
            if probe.error is not None:
                raise probe.error
            await asyncio.sleep(INTERVAL_S)
    finally:
        transport.close()


async def self_test(listener: Address) -> None:
    """Probe the listener's own address for ever, an unspecified one through loopback, IPv6 before IPv4.

    Raises DaemonError without a text: upstream's error line is lost when its process ends.
    """
    loopbacks = {"::": ("::1", "127.0.0.1"), "0.0.0.0": ("127.0.0.1",)}
    for host in loopbacks.get(listener[0], (listener[0],)):
        with contextlib.suppress(OSError):
            await _probe_forever((host, listener[1]))
    raise DaemonError
