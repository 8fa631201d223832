"""The limits, on a clock that the test turns."""

from __future__ import annotations

import pytest

from rustdesk_lab.limits import IpBlocker, IpChanges, RegistrationPace, TokenBucket


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_an_address_registers_32_times_in_a_row(clock: Clock) -> None:
    blocker = IpBlocker(clock)
    accepted = [blocker.allow("a", str(number)) for number in range(40)]
    assert accepted == [True] * 32 + [False] * 8
    assert blocker.allow("b", "0"), "another address is not concerned"


def test_the_block_ends_61_s_after_the_last_accepted_one(clock: Clock) -> None:
    blocker = IpBlocker(clock)
    for number in range(32):
        blocker.allow("a", str(number))
    clock.now += 60.9
    assert not blocker.allow("a", "x"), "a refused one does not count"
    clock.now += 0.2
    assert blocker.allow("a", "x")


def test_gaps_of_a_minute_keep_the_count(clock: Clock) -> None:
    blocker = IpBlocker(clock)
    for number in range(32):
        assert blocker.allow("a", str(number))
        clock.now += 60
    assert not blocker.allow("a", "x")


def test_an_address_registers_301_ids_a_day_and_then_only_those(clock: Clock) -> None:
    blocker = IpBlocker(clock)

    def register(peer_id: str) -> bool:
        clock.now += 61
        return blocker.allow("a", peer_id)

    assert register("the first one is not remembered")
    assert all(register(str(number)) for number in range(301))
    assert not register("301")
    assert register("5")
    clock.now += 24 * 3600
    assert register("301")


def test_the_console_shows_and_forgets_addresses(clock: Clock) -> None:
    blocker = IpBlocker(clock)
    for number in range(3):
        blocker.allow("a", str(number))
    clock.now += 5
    assert blocker.show(blocker.records["a"]) == "2/5s 2/5s"
    clock.now += 24 * 3600 + 1
    blocker.forget_expired()
    assert blocker.records == {}


def test_address_changes_are_counted_within_three_minutes(clock: Clock) -> None:
    changes = IpChanges(clock)
    for ip in ("a", "b", "a"):
        changes.add("id", ip)
    changes.add("steady", "a")
    clock.now += 10
    changes.forget_expired()
    assert list(changes.records) == ["id"]
    assert changes.show("id") == '10s {"a": 2, "b": 1}'
    clock.now += 171
    changes.add("id", "c")
    assert changes.show("id") == '0s {"c": 1}'


def test_an_id_registers_three_times_in_a_row() -> None:
    pace = RegistrationPace()
    assert [pace.allow(0), pace.allow(1), pace.allow(2), pace.allow(3), pace.allow(8.9)] == [True] * 3 + [False] * 2
    assert pace.allow(9), "7 s after the last accepted one"


def test_a_bucket_lets_a_burst_pass_and_then_the_speed(clock: Clock) -> None:
    bucket = TokenBucket(1000, clock)
    assert bucket.consume(100) == 0
    assert bucket.consume(500) == pytest.approx(0.5)
    clock.now += 0.5
    assert bucket.consume(100) == pytest.approx(0.1)
    clock.now += 60
    assert bucket.consume(100) == 0, "unused time is not saved up beyond the burst"
    assert bucket.consume(100) == pytest.approx(0.1)


def test_a_bucket_can_change_its_speed(clock: Clock) -> None:
    bucket = TokenBucket(1000, clock)
    bucket.set_speed(10)
    assert bucket.consume(11) == pytest.approx(1)
