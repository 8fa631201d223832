"""The text consoles that connections from loopback get on hbbs's 21115 and hbbr's 21117."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ipaddress
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from .settings import MEBI, megabits, parse_integer, percent, seconds, show_number

if TYPE_CHECKING:
    from .relay import RelayServer
    from .rendezvous import RendezvousServer

READ_BYTES = 1024
READ_S = 1.0
PAGE = 10
HIGHEST_PAGE_START = 10_000_000
"""A larger number is taken for an id."""

Command = Callable[[Sequence[str]], str]


async def serve_console(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, answer: Callable[[str], str]
) -> None:
    """Answer one command: a single read of at most READ_BYTES within READ_S seconds, then close."""
    with contextlib.suppress(OSError, TimeoutError, UnicodeDecodeError):
        async with asyncio.timeout(READ_S):
            command = await reader.read(READ_BYTES)
        writer.write(answer(command.decode()).encode())
        await writer.drain()
    writer.close()


def _dispatch(commands: dict[str, Command], line: str) -> str:
    """Run the command a line names; an unknown one is answered with nothing."""
    name, *arguments = line.strip().split(" ")
    command = commands.get(name)
    return command(arguments) if command else ""


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


class RendezvousConsole:
    """hbbs's commands."""

    HELP = (
        "relay-servers(rs) <separated by ,>",
        "reload-geo(rg)",
        "ip-blocker(ib) [<ip>|<number>] [-]",
        "ip-changes(ic) [<id>|<number>] [-]",
        "punch-requests(pr) [<number>] [-]",
        "always-use-relay(aur)",
        "test-geo(tg) <ip1> <ip2>",
    )

    def __init__(self, server: RendezvousServer) -> None:
        self._server = server
        self._commands: dict[str, Command] = {"h": lambda _: _lines(self.HELP)}
        for names, command in (
            ("relay-servers rs", self._relay_servers),
            ("ip-blocker ib", self._ip_blocker),
            ("ip-changes ic", self._ip_changes),
            ("punch-requests pr", self._punch_requests),
            ("always-use-relay aur", self._always_use_relay),
            ("test-geo tg", self._test_geo),
        ):
            self._commands.update(dict.fromkeys(names.split(), command))

    def answer(self, line: str) -> str:
        """Run one command line."""
        return _dispatch(self._commands, line)

    def _relay_servers(self, arguments: Sequence[str]) -> str:
        if arguments:
            self._server.relays.replace(arguments[0])
            return ""
        return _lines(self._server.relays.alive)

    def _ip_blocker(self, arguments: Sequence[str]) -> str:
        blocker = self._server.blocker
        blocker.forget_expired()
        shown = {ip: blocker.show(record) for ip, record in blocker.records.items()}
        return _browse(shown, arguments, blocker.records.pop)

    def _ip_changes(self, arguments: Sequence[str]) -> str:
        changes = self._server.ip_changes
        changes.forget_expired()
        shown = {peer_id: changes.show(peer_id) for peer_id in changes.records}
        return _browse(shown, arguments, changes.records.pop)

    def _punch_requests(self, arguments: Sequence[str]) -> str:
        requests = self._server.punch_requests
        if arguments[:1] == ["-"]:
            requests.clear()
            return ""
        start, page = (max(parse_integer(text) or 0, 0) for text in [*arguments, "", ""][:2])
        now, wall = time.monotonic(), dt.datetime.now(dt.UTC)
        lines = []
        for request in requests[start : start + (page or PAGE)]:
            moment = wall - dt.timedelta(seconds=now - request.time)
            lines.append(f"{moment:%Y-%m-%dT%H:%M:%SZ} {request.from_ip} -> {request.to_id}@{request.to_ip}")
        return _lines(lines)

    def _always_use_relay(self, arguments: Sequence[str]) -> str:
        if not arguments:
            return f"ALWAYS_USE_RELAY: {str(self._server.always_use_relay).lower()}\n"
        self._server.always_use_relay = arguments[0].upper() == "Y"
        # Upstream's slip, kept because it is what an operator meets: the relay list is replaced by the argument.
        self._server.relays.replace(arguments[0])
        return ""

    def _test_geo(self, arguments: Sequence[str]) -> str:
        try:
            for argument in arguments[:2]:
                ipaddress.ip_address(argument)
        except ValueError:
            return ""
        return f'"{self._server.relays.next()}"' if arguments else ""


def _browse(shown: dict[str, str], arguments: Sequence[str], remove: Callable[[str, None], object]) -> str:
    """Show the count, then one record by name (``-`` removes it) or a page of records from a number on."""
    count = f"{len(shown)}\n"
    number = parse_integer(arguments[0]) if arguments else 0
    if number is None or not 0 <= number <= HIGHEST_PAGE_START:
        name = arguments[0]
        line = _lines([shown[name]] if name in shown else [])
        if arguments[1:2] == ["-"]:
            remove(name, None)
        return count + line
    names = list(shown)[number : number + PAGE]
    return count + _lines(f"{name}: {shown[name]}" for name in names)


class RelayConsole:
    """hbbr's commands."""

    HELP = (
        "blacklist-add(ba) <ip>",
        "blacklist-remove(br) <ip>",
        "blacklist(b) <ip>",
        "blocklist-add(Ba) <ip>",
        "blocklist-remove(Br) <ip>",
        "blocklist(B) <ip>",
        "downgrade-threshold(dt) [value]",
        "downgrade-start-check(t) [value(second)]",
        "limit-speed(ls) [value(Mb/s)]",
        "total-bandwidth(tb) [value(Mb/s)]",
        "single-bandwidth(sb) [value(Mb/s)]",
        "usage(u)",
    )

    def __init__(self, server: RelayServer) -> None:
        self._server = server
        self._commands: dict[str, Command] = {"h": lambda _: _lines(self.HELP)}
        for names, command in (
            ("blacklist-add ba", self._add(server.blacklist)),
            ("blacklist-remove br", self._remove(server.blacklist)),
            ("blacklist b", self._list(server.blacklist)),
            ("blocklist-add Ba", self._add(server.blocklist)),
            ("blocklist-remove Br", self._remove(server.blocklist)),
            ("blocklist B", self._list(server.blocklist)),
            ("downgrade-threshold dt", self._downgrade_threshold),
            ("downgrade-start-check t", self._downgrade_start),
            ("limit-speed ls", self._speed("limited")),
            ("total-bandwidth tb", self._total_bandwidth),
            ("single-bandwidth sb", self._speed("single")),
            ("usage u", lambda _: _lines(server.usage())),
        ):
            self._commands.update(dict.fromkeys(names.split(), command))

    def answer(self, line: str) -> str:
        """Run one command line."""
        return _dispatch(self._commands, line)

    @staticmethod
    def _add(addresses: set[str]) -> Command:
        def command(arguments: Sequence[str]) -> str:
            if arguments:
                addresses.update(arguments[0].split("|"))
            return ""

        return command

    @staticmethod
    def _remove(addresses: set[str]) -> Command:
        def command(arguments: Sequence[str]) -> str:
            if arguments:
                addresses.difference_update(set(addresses) if arguments[0] == "all" else arguments[0].split("|"))
            return ""

        return command

    @staticmethod
    def _list(addresses: set[str]) -> Command:
        def command(arguments: Sequence[str]) -> str:
            return f"{str(arguments[0] in addresses).lower()}\n" if arguments else _lines(addresses)

        return command

    def _downgrade_threshold(self, arguments: Sequence[str]) -> str:
        limits = self._server.limits
        if not arguments:
            return f"{show_number(limits.downgrade_percent / 100)}\n"
        limits.downgrade_percent = percent(arguments[0]) or limits.downgrade_percent
        return ""

    def _downgrade_start(self, arguments: Sequence[str]) -> str:
        limits = self._server.limits
        if not arguments:
            return f"{limits.downgrade_start_s}s\n"
        limits.downgrade_start_s = seconds(arguments[0]) or limits.downgrade_start_s
        return ""

    def _speed(self, attribute: str) -> Command:
        limits = self._server.limits

        def command(arguments: Sequence[str]) -> str:
            if not arguments:
                return f"{show_number(getattr(limits, attribute) / MEBI)}Mb/s\n"
            setattr(limits, attribute, megabits(arguments[0]) or getattr(limits, attribute))
            return ""

        return command

    def _total_bandwidth(self, arguments: Sequence[str]) -> str:
        answer = self._speed("total")(arguments)
        self._server.total_bucket.set_speed(self._server.limits.total)
        return answer
