"""The consoles' commands."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from rustdesk_lab.codec import RequestRelay
from rustdesk_lab.relay import WAIT_S, Party, RelayServer, Usage
from rustdesk_lab.settings import Bandwidth

from .test_rendezvous import A, B, Hbbs

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def hbbs(tmp_path: Path) -> Hbbs:
    return Hbbs(tmp_path)


@pytest.fixture
def hbbr(tmp_path: Path) -> RelayServer:
    (tmp_path / "blacklist.txt").write_text("1.2.3.4 a comment\n\n")
    (tmp_path / "blocklist.txt").write_text("5.6.7.8")
    return RelayServer("KEY", Bandwidth(), tmp_path)


def test_relays_are_listed_and_replaced(hbbs: Hbbs) -> None:
    answer = hbbs.server._console.answer
    assert answer("rs\n") == ""
    assert answer("relay-servers 127.0.0.1:1,no.such.name.invalid") == ""
    assert answer("rs") == "127.0.0.1:1\n"
    assert answer("tg 1.2.3.4") == answer("test-geo 1.2.3.4 5.6.7.8") == '"127.0.0.1:1"'
    assert answer("tg nonsense") == answer("tg") == ""


def test_an_empty_list_of_addresses_names_nobody(tmp_path: Path) -> None:
    (tmp_path / "blocklist.txt").touch()
    assert RelayServer("KEY", Bandwidth(), tmp_path).blocklist <= {""}


def test_switching_the_relay_on_empties_the_list_as_upstream_does(hbbs: Hbbs) -> None:
    answer = hbbs.server._console.answer
    answer("rs 127.0.0.1")
    assert answer("aur") == "ALWAYS_USE_RELAY: false\n"
    assert answer("aur y") == ""
    assert answer("aur") == "ALWAYS_USE_RELAY: true\n"
    assert answer("rs") == ""


def test_punch_requests_are_paged_and_cleared(hbbs: Hbbs) -> None:
    for number in range(12):
        hbbs.join(f"device{number}", (f"::ffff:10.0.1.{number}", 5))
        hbbs.punch(f"device{number}", A)
    answer = hbbs.server._console.answer
    assert [line.split(" ", 1)[1] for line in answer("pr").splitlines()] == [
        f"10.0.0.1 -> device{number}@10.0.1.{number}" for number in range(10)
    ]
    assert len(answer("punch-requests 10").splitlines()) == 2
    assert len(answer("pr 1 3").splitlines()) == 3
    assert answer("pr -") == ""
    assert answer("pr") == ""


def test_a_repeated_punch_request_is_listed_once(hbbs: Hbbs) -> None:
    hbbs.join("device", B)
    for port in range(3):
        hbbs.punch("device", (A[0], port))
    assert len(hbbs.server._console.answer("pr").splitlines()) == 1


def test_counted_addresses_are_listed_and_forgotten(hbbs: Hbbs) -> None:
    for number in range(12):
        hbbs.join(f"device{number}", (f"::ffff:10.0.1.{number}", 5))
    answer = hbbs.server._console.answer
    assert answer("ib").splitlines()[:2] == ["12", "::ffff:10.0.1.0: 0/0s 0/0s"]
    assert len(answer("ib 0").splitlines()) == 11
    assert len(answer("ip-blocker 10").splitlines()) == 3
    assert answer("ib ::ffff:10.0.1.0 -") == "12\n0/0s 0/0s\n"
    assert answer("ib ::ffff:10.0.1.0") == "11\n"


def test_address_changes_are_listed_by_id(hbbs: Hbbs) -> None:
    hbbs.join("123456789", B)
    for ip in ("::ffff:10.0.0.3", "::ffff:10.0.0.4"):
        hbbs.join("123456789", (ip, 5))
    expected = '0s {"::ffff:10.0.0.3": 1, "::ffff:10.0.0.4": 1}'
    answer = hbbs.server._console.answer
    assert answer("ic") == f"1\n123456789: {expected}\n"
    assert answer("ip-changes 123456789 -") == f"1\n{expected}\n"
    assert answer("ic") == "0\n"


def test_the_lists_are_read_from_their_files(hbbr: RelayServer) -> None:
    answer = hbbr.console.answer
    assert sorted(answer("b").splitlines()) == ["", "1.2.3.4"], "an empty line is an entry"
    assert answer("B") == "5.6.7.8\n"


@pytest.mark.parametrize("letter", ["b", "B"])
def test_addresses_are_put_on_a_list_and_taken_off(hbbr: RelayServer, letter: str) -> None:
    answer = hbbr.console.answer
    assert answer(f"{letter}a 192.0.2.1|192.0.2.2\n") == ""
    assert answer(f"{letter} 192.0.2.2") == "true\n"
    answer(f"{letter}r 192.0.2.2")
    assert answer(f"{letter} 192.0.2.2") == "false\n"
    assert answer(f"{letter} 192.0.2.1") == "true\n"
    answer(f"{letter}r all")
    assert answer(letter) == ""


@pytest.mark.parametrize(
    ("command", "before", "value", "after"),
    [
        ("dt", "0.66\n", "0.5", "0.5\n"),
        ("downgrade-start-check", "1800s\n", "60", "60s\n"),
        ("ls", "32Mb/s\n", "0.5", "0.5Mb/s\n"),
        ("total-bandwidth", "1024Mb/s\n", "2", "2Mb/s\n"),
        ("sb", "128Mb/s\n", "16", "16Mb/s\n"),
    ],
)
def test_limits_are_shown_and_changed(hbbr: RelayServer, command: str, before: str, value: str, after: str) -> None:
    answer = hbbr.console.answer
    assert answer(command) == before
    for refused in ("0", "-1", "fast"):
        assert answer(f"{command} {refused}") == ""
    assert answer(command) == before
    assert answer(f"{command} {value}") == ""
    assert answer(command) == after


@pytest.mark.parametrize("line", ["", "\n", "nonsense", "H", "rg", "h extra words"])
def test_unknown_commands_get_no_answer_and_known_ones_any_rest(hbbs: Hbbs, hbbr: RelayServer, line: str) -> None:
    for answer in (hbbs.server._console.answer, hbbr.console.answer):
        assert bool(answer(line)) == line.startswith("h ")


def test_a_pairs_traffic_is_shown_as_upstream_writes_it() -> None:
    usage = Usage(elapsed_ms=12_345, bits=8 * 5 * 1024 * 1024, highest=9000, current=17)
    assert usage.line("::ffff:10.0.0.1:5") == "::ffff:10.0.0.1:5: 12s 5.00MB 9000kb/s 3397kb/s 17kb/s"


def test_a_later_connection_with_an_old_uuid_is_closed_with_the_first_ones_time(
    hbbr: RelayServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    left: list[Party] = []

    def leave(party: Party) -> None:
        left.append(party)

    monkeypatch.setattr(Party, "leave", leave)

    async def scenario() -> Party:
        loop = asyncio.get_running_loop()
        timers: list[Callable[[], object]] = []

        def call_later(delay: float, callback: Callable[..., object], *arguments: object) -> asyncio.TimerHandle:
            if delay == WAIT_S:
                timers.append(lambda: callback(*arguments))
            return loop.call_at(loop.time() + delay, callback, *arguments)

        monkeypatch.setattr(loop, "call_later", call_later)
        first, second, third = (Party(hbbr) for _ in range(3))
        for party in (first, second, third):
            assert hbbr.admit(party, RequestRelay("id", "uuid", licence_key="KEY"))
        timers[0]()
        return third

    third = asyncio.run(scenario())
    assert left == [third]
