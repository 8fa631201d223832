"""hbbr: pairs two connections that name the same uuid and passes their bytes through."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from .codec import Address, FrameDecoder, RequestRelay, WireError, decode_message
from .console import RelayConsole
from .limits import TokenBucket
from .net import is_loopback, peer_address, plain_ip, show
from .settings import MEBI, Bandwidth, show_number

log = logging.getLogger(__name__)

WAIT_S = 30.0
"""How long a connection may take for its first frame, and then wait for its partner, in seconds."""
IDLE_S = 30
"""A pair without traffic for more than this is closed, in seconds; checked every CHECK_S."""
CHECK_S = 3.0
USAGE_INTERVAL_S = 1.0
CONSOLE_BYTES, CONSOLE_S = 1024, 1.0


def read_address_list(path: Path) -> set[str]:
    """Read a list file: one address per line, what follows a blank is ignored, an empty line counts as an entry."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return set()
    return {line.strip().split(" ")[0] for line in text.split("\n")}


@dataclass
class Usage:
    """Traffic of a pair. Speeds in bit/ms, which upstream calls kb/s."""

    elapsed_ms: int = 0
    bits: int = 0
    highest: int = 0
    current: int = 0

    def line(self, name: str) -> str:
        """Write the console's line."""
        return (
            f"{name}: {self.elapsed_ms // 1000}s {self.bits / MEBI / 8:.2f}MB "
            f"{self.highest}kb/s {self.bits // self.elapsed_ms}kb/s {self.current}kb/s"
        )


class RelayServer:
    """The state of one hbbr."""

    def __init__(self, required_key: str, limits: Bandwidth, directory: Path = Path()) -> None:
        self.limits = limits
        self.total_bucket = TokenBucket(limits.total)
        self.blacklist = read_address_list(directory / "blacklist.txt")
        self.blocklist = read_address_list(directory / "blocklist.txt")
        self.parked: dict[str, Party] = {}
        self.pairs: set[Pair] = set()
        self.console = RelayConsole(self)
        self._key = required_key

    def log_limits(self) -> None:
        """Write the limits to the log, as upstream does at start."""
        limits = self.limits
        log.info("DOWNGRADE_THRESHOLD: %s", show_number(limits.downgrade_percent / 100))
        log.info("DOWNGRADE_START_CHECK: %ss", limits.downgrade_start_s)
        log.info("LIMIT_SPEED: %sMb/s", show_number(limits.limited / MEBI))
        log.info("TOTAL_BANDWIDTH: %sMb/s", show_number(limits.total / MEBI))
        log.info("SINGLE_BANDWIDTH: %sMb/s", show_number(limits.single / MEBI))

    def usage(self) -> list[str]:
        """Return the console's lines of the pairs older than a second, the busiest first."""
        running = [pair for pair in self.pairs if pair.usage.elapsed_ms]
        running.sort(key=lambda pair: pair.usage.bits, reverse=True)
        return [pair.usage.line(pair.name) for pair in running]

    def admit(self, party: Party, request: RequestRelay) -> bool:
        """Act on a connection's first frame: refuse it (False), park it, or pair it with the parked one."""
        if self._key and request.licence_key != self._key:
            log.warning("Relay authentication failed from %s - invalid key", show(party.address))
            return False
        if not request.uuid:
            return False
        partner = self.parked.pop(request.uuid, None)
        if partner is None:
            log.info("New relay request %s from %s", request.uuid, show(party.address))
            self.parked[request.uuid] = party
            party.hold("parked")
            asyncio.get_running_loop().call_later(WAIT_S, self._expire, request.uuid)
            return True
        log.info("Relayrequest %s from %s got paired", request.uuid, show(party.address))
        log.info("Both are raw")
        self.pairs.add(Pair(self, partner, party))
        return True

    def _expire(self, uuid: str) -> None:
        """Close who waits under a uuid; like upstream also a later one, when the first had been paired before."""
        party = self.parked.pop(uuid, None)
        if party is not None:
            party.leave()


class Party(asyncio.Protocol):
    """One connection to the relay port."""

    def __init__(self, server: RelayServer) -> None:
        self.address: Address = ("", 0)
        self.pair: Pair | None = None
        self._server = server
        self._decoder = FrameDecoder()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._console = False
        self._holds: set[str] = set()

    # --- called by the event loop --------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Start waiting for the first frame, or for a console command when the client is this host."""
        self._transport = cast("asyncio.Transport", transport)
        self.address = peer_address(transport)
        self._console = is_loopback(self.address)
        if not self._console and plain_ip(self.address[0]) in self._server.blocklist:
            log.info("%s blocked", plain_ip(self.address[0]))
            self._transport.close()
            return
        delay = CONSOLE_S if self._console else WAIT_S
        self._timer = asyncio.get_running_loop().call_later(delay, self.leave)

    def data_received(self, data: bytes) -> None:
        """Forward to the partner, or read the first frame."""
        if self.pair is not None:
            self.pair.forward(self, data)
        elif self._console:
            self._answer_console(data[:CONSOLE_BYTES])
        else:
            self._decoder.feed(data)
            frame = self._decoder.next_frame()
            if frame is not None:
                self._handle_first_frame(frame)

    def eof_received(self) -> None:
        """Close: like upstream, a pair ends with the first side that stops sending."""
        if self.pair is not None:
            self.pair.end()

    def connection_lost(self, _error: Exception | None) -> None:
        """Take the partner along."""
        self._stop_timer()
        if self.pair is not None:
            self.pair.end()

    def pause_writing(self) -> None:
        """Stop reading from the partner while this side does not take the data."""
        if self.pair is not None:
            self.pair.other(self).hold("partner is full")

    def resume_writing(self) -> None:
        """Read from the partner again."""
        if self.pair is not None:
            self.pair.other(self).release("partner is full")

    # --- called by server and pair -------------------------------------------------------------------------------

    def join(self, pair: Pair) -> None:
        """Become one side of a pair; bytes received after the first frame are the first to be forwarded."""
        self.pair = pair
        early = self._decoder.take_rest()
        if early:
            pair.forward(self, early)
        self.release("parked")

    def send(self, data: bytes) -> None:
        """Write to the client."""
        if self._transport is not None:
            self._transport.write(data)

    def leave(self) -> None:
        """Close the connection after what was written has left."""
        self._stop_timer()
        if self._transport is not None:
            self._transport.close()

    def hold(self, reason: str) -> None:
        """Stop reading until every reason to hold is released."""
        if not self._holds and self._transport is not None:
            self._transport.pause_reading()
        self._holds.add(reason)

    def release(self, reason: str) -> None:
        """Withdraw a reason to hold."""
        if reason not in self._holds:
            return
        self._holds.discard(reason)
        if not self._holds and self._transport is not None:
            self._transport.resume_reading()

    # --- inside --------------------------------------------------------------------------------------------------

    def _handle_first_frame(self, frame: bytes) -> None:
        self._stop_timer()
        try:
            request = decode_message(frame)
        except WireError:
            request = None
        if not isinstance(request, RequestRelay) or not self._server.admit(self, request):
            self.leave()

    def _answer_console(self, data: bytes) -> None:
        with contextlib.suppress(UnicodeDecodeError):
            self.send(self._server.console.answer(data.decode()).encode())
        self.leave()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


@dataclass(eq=False)
class Pair:
    """Two connections whose bytes are passed through unchanged."""

    server: RelayServer
    first: Party
    second: Party
    usage: Usage = field(default_factory=Usage)

    def __post_init__(self) -> None:
        address = self.second.address
        self.name = f"{address[0]}:{address[1]}"
        self._ip = address[0]
        limits = self.server.limits
        self._bucket = TokenBucket(limits.single)
        self._limited_bucket = TokenBucket(limits.limited)
        self._threshold = int(limits.single * limits.downgrade_percent / 100 / 1000)
        self._limited = self._downgraded = self._ended = False
        self._bits = 0
        self._interval_start = self._last_traffic = time.monotonic()
        self._check_timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)
        for party in (self.first, self.second):
            party.join(self)

    def other(self, party: Party) -> Party:
        """Return the partner."""
        return self.second if party is self.first else self.first

    def forward(self, sender: Party, data: bytes) -> None:
        """Pass bytes on, then hold both sides as long as the limits demand."""
        self.other(sender).send(data)
        bits = len(data) * 8
        self._last_traffic = now = time.monotonic()
        self._bits += bits
        self.usage.bits += bits
        bucket = self._limited_bucket if self._limited or self._downgraded else self._bucket
        delay = max(bucket.consume(bits), self.server.total_bucket.consume(bits))
        if delay > 0:
            for party in (self.first, self.second):
                party.hold("over the limit")
            asyncio.get_running_loop().call_later(delay, self._release)
        if now - self._interval_start >= USAGE_INTERVAL_S:
            self._account(now)

    def end(self, reason: str = "") -> None:
        """Close both sides."""
        if self._ended:
            return
        self._ended = True
        self._check_timer.cancel()
        self.server.pairs.discard(self)
        for party in (self.first, self.second):
            party.leave()
        log.info("Relay of %s closed%s", show(self.second.address), f": {reason}" if reason else "")

    def _release(self) -> None:
        for party in (self.first, self.second):
            party.release("over the limit")

    def _check(self) -> None:
        now = time.monotonic()
        if int(now - self._last_traffic) > IDLE_S:
            self.end("Timeout")
            return
        self._check_timer = asyncio.get_running_loop().call_later(CHECK_S, self._check)
        if now - self._interval_start >= USAGE_INTERVAL_S:
            self._account(now)

    def _account(self, now: float) -> None:
        if self._ip in self.server.blocklist:
            log.info("%s blocked", self._ip)
            self.end()
            return
        self._limited = self._ip in self.server.blacklist
        interval_ms = int((now - self._interval_start) * 1000)
        usage = self.usage
        usage.current = self._bits // interval_ms
        usage.highest = max(usage.highest, usage.current)
        usage.elapsed_ms += interval_ms
        self._bits, self._interval_start = 0, now
        old_enough = usage.elapsed_ms > self.server.limits.downgrade_start_s * 1000
        if old_enough and not self._downgraded and usage.bits > usage.elapsed_ms * self._threshold:
            self._downgraded = True
            log.info(
                "Downgrade %s, exceed downgrade threshold %sbit/ms in %sms",
                *(self.name, self._threshold, usage.elapsed_ms),
            )
