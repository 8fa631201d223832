"""What both daemons share: the closed WebSocket port, signals, and start errors as upstream prints them."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from typing import TYPE_CHECKING, NoReturn, cast

from .errors import DaemonError, MalformedKeyFileError

if TYPE_CHECKING:
    from collections.abc import Coroutine

log = logging.getLogger(__name__)

_SIGNALS = {signal.SIGTERM: "terminate", signal.SIGINT: "interrupt", signal.SIGQUIT: "quit"}


class WebSocketRefusal(asyncio.Protocol):
    """The WebSocket port: it listens, but the lab server does not speak WebSocket."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Say so to who asks for it, and close without a word on anything else, as upstream does."""
        if b"upgrade: websocket" in data.lower():
            self._transport.write(b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        self._transport.close()


def end(code: int) -> NoReturn:
    """End the process at once, like upstream: connections break off, and SQLite's -wal file may stay."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def fail(error: Exception) -> NoReturn:
    """Print why a daemon cannot start or go on, where upstream prints it, and end with exit code 1."""
    if isinstance(error, MalformedKeyFileError):
        print(error)
    elif isinstance(error, OSError) and error.strerror:
        sys.stderr.write(f"Error: {error.strerror} (os error {error.errno})\n")
    elif str(error):
        sys.stderr.write(f"Error: {error}\n")
    end(1)


async def _with_signals(service: Coroutine[None, None, None]) -> None:
    def leave(name: str) -> None:
        log.info("signal %s", name)
        end(0)

    loop = asyncio.get_running_loop()
    for number, name in _SIGNALS.items():
        loop.add_signal_handler(number, leave, name)
    await service


def run(service: Coroutine[None, None, None]) -> NoReturn:
    """Run a daemon until a signal ends the process (exit code 0) or it cannot go on (1, the reason on stderr)."""
    try:
        asyncio.run(_with_signals(service))
    except (DaemonError, OSError) as error:
        fail(error)
    end(0)
