"""The command ``hbbr``: relay server."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from .daemon import WebSocketRefusal, fail, run
from .errors import MalformedKeyFileError
from .keys import ServerKey, relay_key
from .logs import start_logging
from .net import BACKLOG, bind_any
from .relay import Party, RelayServer
from .settings import HBBR_OPTIONS, Bandwidth, HbbrSettings, hbbr_environment, parse_arguments

if TYPE_CHECKING:
    from collections.abc import Sequence

log = logging.getLogger(__name__)


async def serve(settings: HbbrSettings, key: ServerKey, limits: Bandwidth) -> None:
    """Open the ports and serve until cancelled; raise OSError when a port cannot be had."""
    server = RelayServer(key.required, limits)
    log.info("#blacklist(blacklist.txt): %s", len(server.blacklist))
    log.info("#blocklist(blocklist.txt): %s", len(server.blocklist))
    port = settings.port
    log.info("Listening on tcp :%s", port)
    log.info("Listening on websocket :%s", port + 2 & 0xFFFF)
    log.info("Start")  # before the ports are bound, as in upstream: the last line of log_limits() is the sign of life
    relay, websocket = (bind_any(socket.SOCK_STREAM, number) for number in (port, port + 2))
    server.log_limits()
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: Party(server), sock=relay, backlog=BACKLOG)
    await loop.create_server(WebSocketRefusal, sock=websocket, backlog=BACKLOG)
    await asyncio.Future()


def main(argv: Sequence[str] | None = None) -> NoReturn:
    """Run ``hbbr`` in the current directory; the process ends with it."""
    name, about = "hbbr", "RustDesk Relay Server"
    arguments = parse_arguments(name, about, HBBR_OPTIONS, sys.argv[1:] if argv is None else argv)
    start_logging(name, os.environ)
    env = hbbr_environment(os.environ)
    settings = HbbrSettings.from_sources(arguments, env)
    try:
        key = relay_key(settings.key, Path())
    except MalformedKeyFileError as error:
        fail(error)
    run(serve(settings, key, Bandwidth.from_environment(env)))


if __name__ == "__main__":
    main()
