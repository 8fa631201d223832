"""What both daemons share: the closed WebSocket port, signals, and start errors as upstream prints them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, cast

from .errors import DaemonError, MalformedKeyFileError

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)

_SIGNALS = {signal.SIGTERM: "terminate", signal.SIGINT: "interrupt", signal.SIGQUIT: "quit"}


class WebSocketRefusal(asyncio.Protocol):
    """The WebSocket port: it listens, and says that the lab server does not speak WebSocket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, _data: bytes) -> None:
        """Refuse whatever is asked."""
        self._transport.write(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self._transport.close()


def _leave(name: str) -> None:
    """End at once, like upstream: connections break off and SQLite's -wal file stays."""
    log.info("signal %s", name)
    logging.shutdown()
    os._exit(0)


async def _with_signals(service: Coroutine[None, None, None]) -> None:
    loop = asyncio.get_running_loop()
    for number, name in _SIGNALS.items():
        loop.add_signal_handler(number, _leave, name)
    await service


def run(service: Coroutine[None, None, None]) -> int:
    """Run a daemon until a signal ends the process (exit code 0) or it cannot go on (1, the reason on stderr)."""
    try:
        asyncio.run(_with_signals(service))
    except (DaemonError, OSError) as error:
        return fail(error)
    return 0


def fail(error: Exception) -> int:
    """Print why a daemon does not start, where upstream prints it, and return its exit code."""
    if isinstance(error, MalformedKeyFileError):
        print(error, flush=True)
    elif isinstance(error, OSError) and error.strerror:
        sys.stderr.write(f"Error: {error.strerror} (os error {error.errno})\n")
    else:
        sys.stderr.write(f"Error: {error}\n")
    return 1
