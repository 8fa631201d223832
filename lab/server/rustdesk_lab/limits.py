"""The limits: registrations per address and per id (hbbs), bandwidth per pair and in total (hbbr)."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
"""Seconds on a clock that never goes back."""

BLOCK_S = 60
DAY_S = 24 * 3600
BURST_LIMIT = 30
DAY_LIMIT = 300


@dataclass
class AddressRecord:
    """What is remembered of one source address."""

    burst_time: float
    day_time: float
    burst: int = 0
    """Accepted registrations with gaps of at most BLOCK_S, the first one not counted."""
    ids: set[str] = field(default_factory=set)
    """Ids registered today, at most DAY_LIMIT + 1."""


class IpBlocker:
    """Limits registrations per source address: 32 in a row, 301 ids a day."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.records: dict[str, AddressRecord] = {}

    def allow(self, ip: str, peer_id: str) -> bool:
        """Count a registration and tell whether it may proceed."""
        now = self._clock()
        record = self.records.get(ip)
        if record is None:
            self.records[ip] = AddressRecord(now, now)
            return True
        if int(now - record.burst_time) > BLOCK_S:
            record.burst = 0
        elif record.burst > BURST_LIMIT:
            return False
        record.burst += 1
        record.burst_time = now
        if int(now - record.day_time) > DAY_S:
            record.ids.clear()
        elif len(record.ids) > DAY_LIMIT:
            return peer_id in record.ids
        record.ids.add(peer_id)
        record.day_time = now
        return True

    def forget_expired(self) -> None:
        """Drop the addresses whose both windows are over."""
        now = self._clock()
        self.records = {
            ip: record
            for ip, record in self.records.items()
            if int(now - record.burst_time) <= BLOCK_S or int(now - record.day_time) <= DAY_S
        }

    def show(self, record: AddressRecord) -> str:
        """Write a record as the console does."""
        now = self._clock()
        return f"{record.burst}/{int(now - record.burst_time)}s {len(record.ids)}/{int(now - record.day_time)}s"


@dataclass
class AddressChanges:
    """The addresses one id registered from lately."""

    time: float
    ips: dict[str, int] = field(default_factory=dict)


class IpChanges:
    """Counts registrations of an id from changing addresses, for the console only."""

    WINDOW_S = 180

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self.records: dict[str, AddressChanges] = {}

    def add(self, peer_id: str, ip: str) -> None:
        """Count a registration of ``peer_id`` from an address other than its last one."""
        now = self._clock()
        record = self.records.get(peer_id)
        if record is None or int(now - record.time) > self.WINDOW_S:
            record = self.records[peer_id] = AddressChanges(now)
        record.ips[ip] = record.ips.get(ip, 0) + 1

    def forget_expired(self) -> None:
        """Drop the ids whose window is over and those with a single address."""
        now = self._clock()
        self.records = {
            peer_id: record
            for peer_id, record in self.records.items()
            if int(now - record.time) < 2 * self.WINDOW_S and len(record.ips) > 1
        }

    def show(self, peer_id: str) -> str:
        """Write an id's record as the console does."""
        record = self.records[peer_id]
        ips = ", ".join(f'"{ip}": {count}' for ip, count in record.ips.items())
        return f"{int(self._clock() - record.time)}s {{{ips}}}"


@dataclass
class RegistrationPace:
    """Limits registrations of one id: three, then a pause of 7 s after the last accepted one."""

    PAUSE_S = 6
    LIMIT = 2

    count: int = 0
    last: float = float("-inf")

    def allow(self, now: float) -> bool:
        """Count a registration at ``now`` (seconds) and tell whether it may proceed."""
        if now - self.last >= self.PAUSE_S + 1:
            self.count = 0
        elif self.count > self.LIMIT:
            return False
        self.count += 1
        self.last = now
        return True


class TokenBucket:
    """Spends a speed: traffic beyond a burst of 0.1 s has to wait."""

    BURST_S = 0.1

    def __init__(self, speed: float, clock: Clock = time.monotonic) -> None:
        """``speed`` in bit/s."""
        self._clock = clock
        self._speed = speed
        self._level = speed * self.BURST_S
        self._time = clock()

    def set_speed(self, speed: float) -> None:
        """Change the speed (bit/s) from now on."""
        self._refill()
        self._speed = speed
        self._level = min(self._level, speed * self.BURST_S)

    def consume(self, bits: int) -> float:
        """Spend ``bits`` and return how many seconds the next ones have to wait."""
        self._refill()
        self._level -= bits
        return max(0.0, -self._level / self._speed)

    def _refill(self) -> None:
        now = self._clock()
        self._level = min(self._level + (now - self._time) * self._speed, self._speed * self.BURST_S)
        self._time = now
