"""The probe against servers that misbehave in one way each: the right proof turns red, with the right remedy."""

from __future__ import annotations

import ast
import asyncio
import contextlib
import errno
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_probe
import yaml
from ansible.module_utils import probe_network
from ansible.module_utils import rendezvous as wire
from ansible.module_utils.probe import RELAY_BYTES, _Side, probe
from ansible.module_utils.probe_network import Address, Connection, Deadline, Door
from ansible.module_utils.probe_terms import (
    NEED_KEY,
    PROOFS,
    REMEDIES,
    Cause,
    ProbeArgumentError,
    ProofResult,
    Report,
    Target,
)
from ansible.module_utils.testing import patch_module_args

from . import fakes
from .fakes import KEY, OTHER_KEY, Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 1.2
HBBS_TCP = ("nat_test", "rendezvous_tcp", "key_accepted", "key_enforced")
RELAY = ("relay_accepted", "relay_enforced", "relay_bytes")
RELAY_WITH_KEY = ("relay_accepted", "relay_bytes")

Red = dict[str, Cause]


def prove(site: Site, timeout: float = TIMEOUT, **target: Any) -> Report:
    with site.running():
        return probe(
            Target.parse(site.address, site.port, **{"key": KEY, **target}), PROOFS, timeout, allow_loopback=True
        )


def red(report: Report) -> Red:
    assert [proof.name for proof in report.proofs] == list(PROOFS)
    assert report.passed is all(proof.state == "passed" for proof in report.proofs)
    return {proof.name: Cause(proof.cause) for proof in report.proofs if proof.state != "passed"}


def proof(report: Report, name: str) -> ProofResult:
    return next(proof for proof in report.proofs if proof.name == name)


def all_of(names: tuple[str, ...], cause: Cause) -> Red:
    return dict.fromkeys(names, cause)


def frame(message: wire.Message) -> bytes:
    return wire.encode_frame(wire.encode_message(message))


def flipped_late(part: bytes) -> bytes:
    """Change the last byte of what is longer than a greeting."""
    return part if len(part) < 1000 else part[:-1] + bytes([part[-1] ^ 1])


REQUEST_PK = wire.encode_message(wire.RegisterPeerResponse(request_pk=True))
NEWER_SERVERS = wire.ConfigUpdate(serial=9, rendezvous_servers=("a.test",))
MISMATCH = wire.PunchHoleResponse(failure=wire.PunchFailure.LICENSE_MISMATCH)


def punched(**fields: Any) -> Site:
    return Site(tcp=fakes.hbbs(punch=wire.PunchHoleResponse(**fields)))


MISBEHAVIOUR: list[tuple[str, Callable[[], Site], Red]] = [
    # Keys
    ("hbbs without a key", lambda: Site(tcp=fakes.hbbs("")), {"key_enforced": Cause.KEY_NOT_CHECKED}),
    (
        "hbbs that compares lengths",
        lambda: Site(tcp=fakes.hbbs(is_accepted=lambda key: len(key) == len(KEY))),
        {"key_enforced": Cause.KEY_NOT_CHECKED},
    ),
    (
        "hbbs that compares beginnings",
        lambda: Site(tcp=fakes.hbbs(is_accepted=lambda key: key.startswith(KEY[:38]))),
        {"key_enforced": Cause.KEY_NOT_CHECKED},
    ),
    (
        "hbbs that lets clients without a key in",
        lambda: Site(tcp=fakes.hbbs(is_accepted=lambda key: key in ("", KEY))),
        {"key_enforced": Cause.KEY_NOT_CHECKED},
    ),
    ("hbbs with another key", lambda: Site(tcp=fakes.hbbs(OTHER_KEY)), {"key_accepted": Cause.KEY_DIFFERS}),
    ("hbbr without a key", lambda: Site(relay=fakes.hbbr("")), {"relay_enforced": Cause.RELAY_OPEN}),
    (
        "hbbr with a broken key",
        lambda: Site(relay=fakes.hbbr("_")),
        all_of(RELAY_WITH_KEY, Cause.RELAY_KEY_REFUSED),
    ),
    (
        "hbbr that keeps refused connections",
        lambda: Site(relay=fakes.hbbr(keep=True)),
        {"relay_enforced": Cause.RELAY_SILENT},
    ),
    # UDP
    ("silent UDP", lambda: Site(udp=fakes.losing(10**6)), {"rendezvous_udp": Cause.UDP_SILENT}),
    ("closed UDP", lambda: Site(udp=None), {"rendezvous_udp": Cause.UDP_REFUSED}),
    ("garbage over UDP", lambda: Site(udp=fakes.answering(b"\xff\xff")), {"rendezvous_udp": Cause.FOREIGN}),
    (
        "a datagram of the future",
        lambda: Site(udp=fakes.answering(b"\xa2\x06\x00")),
        {"rendezvous_udp": Cause.UNEXPECTED},
    ),
    (
        "hbbs that knows everybody",
        lambda: Site(udp=fakes.answering(wire.encode_message(wire.RegisterPeerResponse()))),
        {"rendezvous_udp": Cause.UNEXPECTED},
    ),
    (
        "hbbs that answers something else over UDP",
        lambda: Site(udp=fakes.answering(wire.encode_message(NEWER_SERVERS))),
        {"rendezvous_udp": Cause.UNEXPECTED},
    ),
    # Closed doors
    ("NAT test port closed", lambda: Site(nat=None), {"nat_test": Cause.REFUSED}),
    ("rendezvous port closed", lambda: Site(tcp=None), all_of(HBBS_TCP, Cause.REFUSED)),
    ("relay port closed", lambda: Site(relay=None), all_of(RELAY, Cause.REFUSED)),
    # Doors with nobody behind
    ("silent NAT test port", lambda: Site(nat=fakes.silent), {"nat_test": Cause.NO_ANSWER}),
    ("silent rendezvous port", lambda: Site(tcp=fakes.silent), all_of(HBBS_TCP, Cause.NO_ANSWER)),
    ("silent relay port", lambda: Site(relay=fakes.silent), all_of(RELAY, Cause.RELAY_SILENT)),
    ("a console on the NAT test port", lambda: Site(nat=fakes.closing), {"nat_test": Cause.CLOSED}),
    ("rendezvous port that hangs up", lambda: Site(tcp=fakes.hanging_up), all_of(HBBS_TCP, Cause.CLOSED)),
    ("a console on the relay port", lambda: Site(relay=fakes.closing), all_of(RELAY_WITH_KEY, Cause.RELAY_KEY_REFUSED)),
    ("relay port that hangs up", lambda: Site(relay=fakes.hanging_up), all_of(RELAY, Cause.HUNG_UP)),
    # Somebody else
    ("TLS on the NAT test port", lambda: Site(nat=fakes.saying(fakes.TLS_ALERT)), {"nat_test": Cause.INTERCEPTED}),
    (
        "TLS on the rendezvous port",
        lambda: Site(tcp=fakes.saying(fakes.TLS_ALERT)),
        all_of(HBBS_TCP, Cause.INTERCEPTED),
    ),
    (
        "TLS that keeps the connection",
        lambda: Site(tcp=fakes.saying(fakes.TLS_ALERT, stay=True)),
        all_of(HBBS_TCP, Cause.INTERCEPTED),
    ),
    ("TLS on the relay port", lambda: Site(relay=fakes.saying(fakes.TLS_ALERT)), all_of(RELAY, Cause.INTERCEPTED)),
    (
        "a web proxy on the rendezvous port",
        lambda: Site(tcp=fakes.saying(fakes.WEB_PAGE)),
        all_of(HBBS_TCP, Cause.INTERCEPTED),
    ),
    (
        "a web proxy on the relay port",
        lambda: Site(relay=fakes.saying(fakes.WEB_PAGE)),
        all_of(RELAY, Cause.INTERCEPTED),
    ),
    ("garbage", lambda: Site(tcp=fakes.saying(b"SSH-2.0-x\r\n")), all_of(HBBS_TCP, Cause.FOREIGN)),
    (
        "garbage in a frame",
        lambda: Site(tcp=fakes.saying(b"\x0c\xff\xff\xff", stay=True)),
        all_of(HBBS_TCP, Cause.FOREIGN),
    ),
    ("half a frame", lambda: Site(tcp=fakes.saying(b"\xfc\x32")), all_of(HBBS_TCP, Cause.FOREIGN)),
    ("a frame of a gigabyte", lambda: Site(tcp=fakes.saying(b"\xff" * 4, stay=True)), all_of(HBBS_TCP, Cause.FOREIGN)),
    ("an answer that never ends", lambda: Site(nat=fakes.dripping), {"nat_test": Cause.FOREIGN}),
    ("garbage on the relay port", lambda: Site(relay=fakes.saying(b"220 mail\r\n")), all_of(RELAY, Cause.FOREIGN)),
    ("an echo on the relay port", lambda: Site(relay=fakes.echoing), all_of(RELAY, Cause.FOREIGN)),
    (
        "a greeting on the relay port",
        lambda: Site(relay=fakes.greeting(b"220 mail\r\n", fakes.silent)),
        all_of(RELAY, Cause.FOREIGN),
    ),
    # Too slow
    ("hbbs slower than the timeout", lambda: Site(tcp=fakes.late(5, fakes.hbbs())), all_of(HBBS_TCP, Cause.NO_ANSWER)),
    (
        "hbbr slower than the timeout",
        lambda: Site(relay=fakes.late(5, fakes.hbbr())),
        all_of(RELAY, Cause.RELAY_SILENT),
    ),
    # Relays that spoil
    (
        "relay that changes a byte",
        lambda: Site(relay=fakes.hbbr(change=flipped_late)),
        {"relay_bytes": Cause.RELAY_CORRUPT},
    ),
    (
        "relay that changes every byte",
        lambda: Site(relay=fakes.hbbr(change=lambda part: bytes(byte ^ 1 for byte in part))),
        all_of(RELAY_WITH_KEY, Cause.FOREIGN),
    ),
    ("relay of one direction", lambda: Site(relay=fakes.hbbr(deaf=True)), {"relay_bytes": Cause.RELAY_INCOMPLETE}),
    ("relay that stops", lambda: Site(relay=fakes.hbbr(limit=1000)), {"relay_bytes": Cause.RELAY_INCOMPLETE}),
    (
        "relay that stops at once",
        lambda: Site(relay=fakes.hbbr(limit=9)),
        all_of(RELAY_WITH_KEY, Cause.RELAY_INCOMPLETE),
    ),
    (
        "open relay that stops at once",
        lambda: Site(relay=fakes.hbbr("", limit=9)),
        {**all_of(RELAY_WITH_KEY, Cause.RELAY_INCOMPLETE), "relay_enforced": Cause.RELAY_OPEN},
    ),
    # Answers nobody gives
    ("unlicensed hbbs", lambda: punched(failure=wire.PunchFailure.LICENSE_OVERUSE), {"key_accepted": Cause.UNEXPECTED}),
    ("an unknown failure", lambda: punched(failure=99), {"key_accepted": Cause.UNEXPECTED}),
    ("a failure in words", lambda: punched(other_failure="closed"), {"key_accepted": Cause.UNEXPECTED}),
    ("an id that cannot exist", lambda: punched(failure=wire.PunchFailure.OFFLINE), {"key_accepted": Cause.UNEXPECTED}),
    ("a peer that cannot exist", lambda: punched(socket_addr=b"\x01"), {"key_accepted": Cause.UNEXPECTED}),
    (
        "hbbs that only talks of something else",
        lambda: Site(tcp=fakes.saying(frame(wire.KeyExchange(keys=(b"k",))), stay=True)),
        all_of(HBBS_TCP, Cause.UNEXPECTED),
    ),
    (
        "hbbs that sends heartbeats for ever",
        lambda: Site(tcp=fakes.saying(b"\x00" * 500, stay=True)),
        all_of(HBBS_TCP, Cause.UNEXPECTED),
    ),
    (
        "hbbs that refuses before it is asked",
        lambda: Site(tcp=fakes.greeting(frame(MISMATCH), fakes.hbbs())),
        {"key_accepted": Cause.KEY_DIFFERS},
    ),
    ("an impossible source port", lambda: Site(nat=fakes.hbbs(port_shift=-(10**6))), {"nat_test": Cause.UNEXPECTED}),
]


@pytest.mark.parametrize(("site", "expected"), [pytest.param(*case[1:], id=case[0]) for case in MISBEHAVIOUR])
def test_misbehaviour_turns_exactly_its_proofs_red(site: Callable[[], Site], expected: Red) -> None:
    start = time.monotonic()
    running = site()
    report = prove(running)
    assert red(report) == expected
    assert time.monotonic() - start < TIMEOUT + 3
    for name, cause in expected.items():
        failed = proof(report, name)
        assert failed.state == "failed"
        assert failed.latency_ms is not None
        assert failed.detail
        assert failed.remedy.startswith(REMEDIES[cause].split("{", maxsplit=1)[0])
        assert "{" not in failed.remedy
        if "{port}" in REMEDIES[cause]:
            assert door(running, name, expected) in failed.remedy
    failed_names = [name for name in PROOFS if name in expected]
    first = proof(report, failed_names[0])
    assert report.message == (
        f"RustDesk at {running.address} failed {', '.join(failed_names)}: {first.detail}. {first.remedy}"
    )


def door(site: Site, name: str, expected: Red) -> str:
    """Name the port that a proof has to blame; the NAT test needs two of them."""
    if name.startswith("relay_"):
        return f"{site.port + 1}/tcp"
    if name == "nat_test" and "rendezvous_tcp" not in expected:
        return f"{site.port - 1}/tcp"
    return f"{site.port}/{'udp' if name == 'rendezvous_udp' else 'tcp'}"


def test_every_cause_has_a_remedy_and_a_test() -> None:
    assert set(REMEDIES) == set(Cause)
    tested = {cause for _name, _site, expected in MISBEHAVIOUR for cause in expected.values()}
    source = Path(__file__).read_text(encoding="utf-8").partition("# --- Other than misbehaviour")[2]
    tested |= {Cause[name] for name in re.findall(r"Cause\.([A-Z_]+)", source)}
    assert set(Cause) - tested == set()


# --- Other than misbehaviour ------------------------------------------------------------------


def test_a_healthy_server_passes_quickly() -> None:
    start = time.monotonic()
    report = prove(Site(), timeout=3)
    assert time.monotonic() - start < 1.5
    assert red(report) == {}
    assert report.passed
    assert report.message == f"RustDesk at {report.address} passed 9 proofs"
    for given in report.proofs:
        assert given.latency_ms is not None
        assert 0 <= given.latency_ms < 1500
        assert given.cause == given.remedy == ""
    assert str(RELAY_BYTES) in proof(report, "relay_bytes").detail


@pytest.mark.parametrize(
    "site",
    [
        pytest.param(lambda: Site(udp=fakes.losing(2)), id="lost datagrams"),
        pytest.param(
            lambda: Site(udp=fakes.answering(b"\xff", wire.encode_message(NEWER_SERVERS), REQUEST_PK)), id="UDP"
        ),
        pytest.param(lambda: Site(tcp=fakes.hbbs(before=(NEWER_SERVERS, wire.KeyExchange()))), id="unasked messages"),
        pytest.param(lambda: Site(tcp=fakes.greeting(frame(NEWER_SERVERS) + b"\x00", fakes.hbbs())), id="a greeting"),
        pytest.param(
            lambda: Site(nat=fakes.late(0.3, fakes.hbbs()), tcp=fakes.late(0.3, fakes.hbbs())), id="slow hbbs"
        ),
        pytest.param(lambda: Site(relay=fakes.late(0.3, fakes.hbbr())), id="slow hbbr"),
        pytest.param(lambda: Site(relay=fakes.hbbr(drive_out=2)), id="requests that cross in hbbr"),
        pytest.param(lambda: Site(address="::1"), id="IPv6"),
    ],
)
def test_what_is_allowed_passes(site: Callable[[], Site]) -> None:
    assert red(prove(site(), timeout=3)) == {}


@pytest.mark.parametrize(
    "tcp",
    [
        pytest.param(fakes.saying(fakes.TLS_ALERT, stay=True), id="TLS"),
        pytest.param(fakes.saying(b"\x00" * 500, stay=True), id="heartbeats"),
        pytest.param(fakes.saying(b"SSH-2.0-x\r\n", stay=True), id="garbage"),
    ],
)
def test_what_cannot_become_an_answer_is_not_waited_for(tcp: fakes.Handler) -> None:
    latency = proof(prove(Site(tcp=tcp), timeout=3), "rendezvous_tcp").latency_ms
    assert latency is not None
    assert latency < 1000


def test_an_open_relay_is_found_when_requests_cross() -> None:
    assert red(prove(Site(relay=fakes.hbbr("", drive_out=4)), timeout=3)) == {"relay_enforced": Cause.RELAY_OPEN}


def test_a_side_stops_reading_even_when_bytes_arrive_at_that_moment() -> None:
    """The first side that has heard enough cancels the other, whose bytes often come in the same instant."""

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        with contextlib.ExitStack() as stack:
            ours, theirs, signal, sender = (
                stack.enter_context(sock) for pair in (socket.socketpair(), socket.socketpair()) for sock in pair
            )
            ours.setblocking(False)
            door = Door("h", Address(socket.AF_INET, ("192.0.2.1", 0)), 1, "hbbr")
            side = _Side(Connection(ours, door, Deadline(5)), b"")
            reading = asyncio.ensure_future(side.collect(100, asyncio.Event()))
            await asyncio.sleep(0.01)

            def cancel_once() -> None:
                loop.remove_reader(signal)
                reading.cancel()

            loop.add_reader(signal, cancel_once)
            theirs.send(b"bytes")
            sender.send(b"now")
            done, _pending = await asyncio.wait({reading}, timeout=1)
            reading.cancel()
            assert done == {reading}

    asyncio.run(scenario())


def test_lost_datagrams_are_told() -> None:
    assert proof(prove(Site(udp=fakes.losing(1)), timeout=3), "rendezvous_udp").detail.endswith(
        "2 datagrams were needed"
    )


@pytest.mark.parametrize(
    ("shifts", "detail"),
    [
        ((0, 0), "no port translation"),
        ((1, 1), "translated alike"),
        ((1, 2), "symmetric NAT"),
    ],
)
def test_nat_is_described(shifts: tuple[int, int], detail: str) -> None:
    nat, tcp = (fakes.hbbs(port_shift=shift) for shift in shifts)
    report = prove(Site(nat=nat, tcp=tcp))
    assert proof(report, "nat_test").detail.startswith(detail)


def test_nothing_is_registered() -> None:
    seen: list[wire.Message | None] = []

    def listening(then: fakes.Handler) -> fakes.Handler:
        async def handle(reader: Any, writer: Any) -> None:
            real = reader.read

            async def read(limit: int = -1) -> bytes:
                data: bytes = await real(limit)
                decoder = wire.FrameDecoder()
                decoder.feed(data)
                with contextlib.suppress(wire.WireError):
                    seen.extend(map(wire.decode_message, decoder.frames()))
                return data

            reader.read = read
            await then(reader, writer)

        return handle

    site = Site(nat=listening(fakes.hbbs()), tcp=listening(fakes.hbbs()))
    assert red(prove(site)) == {}
    seen.extend(map(wire.decode_message, site.datagrams))
    assert {type(message) for message in seen} == {wire.TestNatRequest, wire.PunchHoleRequest, wire.RegisterPeer}
    ids = [message.id for message in seen if isinstance(message, wire.PunchHoleRequest | wire.RegisterPeer)]
    assert len(ids) == len(set(ids)) == 4
    for unused in ids:
        assert unused.startswith("(:probe-")  # what the documentation tells to look for in logs
        assert not re.match(r"[a-zA-Z][\w-]{5,15}$|\d+$", unused)  # what upstream's clients can be called


def test_without_a_key_only_the_key_is_left_out() -> None:
    report = prove(Site(), key=None)
    assert {p.name for p in report.proofs if p.state == "skipped"} == set(NEED_KEY)
    assert report.passed
    assert report.message.endswith("passed 4 proofs, 5 skipped: no key was given")
    for skipped in report.proofs:
        if skipped.state == "skipped":
            assert (skipped.latency_ms, skipped.cause) == (None, Cause.NO_KEY)
            assert skipped.remedy


def test_nothing_proven_is_no_success() -> None:
    report = probe(Target.parse("192.0.2.1"), ["key_accepted", "relay_bytes"], TIMEOUT)
    assert not report.passed
    assert report.message.startswith("Nothing was proven: no key was given.")


def test_only_the_wanted_proofs_run() -> None:
    with Site(relay=None, nat=None).running() as site:
        target = Target.parse(site.address, site.port, key=KEY)
        report = probe(target, ["key_accepted", "dns"], TIMEOUT, allow_loopback=True)
    assert [proof.name for proof in report.proofs] == ["dns", "key_accepted"]
    assert report.passed


# --- Names and addresses ----------------------------------------------------------------------


def resolver(monkeypatch: pytest.MonkeyPatch, names: dict[str, list[str]], seconds: float = 0) -> None:
    """Answer for names; what is not listed is asked of the system."""
    real = socket.getaddrinfo

    def getaddrinfo(host: str, port: Any, **options: Any) -> list[Any]:
        if host not in names:
            return list(real(host, port, **options))
        time.sleep(seconds)
        if not names[host]:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [entry for address in names[host] for entry in real(address, port, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def test_an_unknown_name_fails_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"rustdesk.test": []})
    report = probe(Target.parse("rustdesk.test", key=KEY), PROOFS, TIMEOUT)
    assert red(report) == all_of(PROOFS, Cause.NAME_UNKNOWN)
    assert (report.address, report.relay_address) == (None, None)
    assert proof(report, "dns").detail == "rustdesk.test does not resolve (Name or service not known)"


def test_an_unknown_relay_fails_what_needs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"relay.test": []})
    report = prove(Site(), relay="relay.test")
    assert red(report) == all_of(("dns", *RELAY), Cause.NAME_UNKNOWN)


def test_a_slow_resolver_does_not_hold_the_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"rustdesk.test": ["192.0.2.1"]}, seconds=1.5)
    start = time.monotonic()
    report = probe(Target.parse("rustdesk.test"), ["dns"], 0.2)
    assert time.monotonic() - start < 1
    assert report.proofs[0].cause == Cause.NAME_TIMEOUT
    time.sleep(1.5)  # the late answer must not disturb anybody


def test_a_name_the_system_cannot_ask_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_arguments: Any, **_options: Any) -> list[Any]:
        raise UnicodeError("label too long")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    report = probe(Target.parse("rustdesk.test"), ["dns"], TIMEOUT)
    assert report.proofs[0].cause == Cause.NAME_UNKNOWN


@pytest.mark.parametrize("addresses", [["127.0.1.1"], ["::1", "127.0.0.1"], ["::ffff:127.0.0.1"], ["0.0.0.0"], ["::"]])
def test_a_name_of_this_machine_is_refused(monkeypatch: pytest.MonkeyPatch, addresses: list[str]) -> None:
    resolver(monkeypatch, {"rustdesk.test": addresses})
    report = probe(Target.parse("rustdesk.test", key=KEY), PROOFS, TIMEOUT)
    assert red(report) == all_of(PROOFS, Cause.NAME_LOOPBACK)
    assert addresses[0] in proof(report, "dns").detail


def test_the_first_address_that_answers_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    resolver(monkeypatch, {"rustdesk.test": ["127.0.0.1", site.address]})
    with site.running():
        target = Target.parse("rustdesk.test", site.port, key=KEY)
        report = probe(target, PROOFS, TIMEOUT, allow_loopback=True)
    assert red(report) == {}
    assert (report.address, report.relay_address) == (site.address, site.address)
    detail = proof(report, "dns").detail
    assert detail == f"rustdesk.test resolves to 127.0.0.1, {site.address}, {site.address} is used"
    assert report.message.startswith(f"RustDesk at rustdesk.test ({site.address}) passed")


def test_the_address_of_a_host_that_only_relays_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tcp=None, nat=None, udp=None)
    resolver(monkeypatch, {"relay.test": ["127.0.0.1", site.address]})
    with site.running():
        target = Target.parse("relay.test", site.port, key=KEY)
        report = probe(target, ["dns", *RELAY], TIMEOUT, allow_loopback=True)
    assert report.passed
    assert report.relay_address == site.address


def test_the_resolvers_order_decides_between_almost_equals(monkeypatch: pytest.MonkeyPatch) -> None:
    real = probe_network.connect
    first = Site()

    async def connect(door: Door, deadline: Deadline, local_port: int = 0) -> Connection:
        await asyncio.sleep(0.02 if door.address.text == first.address else 0)
        return await real(door, deadline, local_port)

    monkeypatch.setattr(probe_network, "connect", connect)
    with first.running():
        second = Site(port=first.port)
        with second.running():
            assert second.port == first.port
            resolver(monkeypatch, {"rustdesk.test": [first.address, second.address]})
            report = probe(Target.parse("rustdesk.test", first.port), ["dns"], TIMEOUT, allow_loopback=True)
    assert report.address == first.address


def test_the_first_address_is_used_when_none_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver(monkeypatch, {"rustdesk.test": ["127.0.0.1", "127.0.0.250"]})
    report = probe(
        Target.parse("rustdesk.test", 9, relay="127.0.0.1:9"), ["rendezvous_tcp"], TIMEOUT, allow_loopback=True
    )
    assert report.address == "127.0.0.1"
    assert report.proofs[0].cause == Cause.REFUSED


def test_a_relay_of_its_own() -> None:
    with Site().running() as relay:
        site = Site(relay=None)
        report = prove(site, relay=f"{relay.address}:{relay.port + 1}")
    assert red(report) == {}
    assert (report.address, report.relay_address) == (site.address, relay.address)


@contextlib.contextmanager
def overflowing() -> Iterator[tuple[str, int]]:
    """A door whose queue is full: the kernel drops further connections, as a firewall does."""
    with contextlib.ExitStack() as stack:
        door = stack.enter_context(socket.socket())
        door.bind(("127.0.0.1", 0))
        door.listen(0)
        for _ in range(2):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(door.getsockname())
        time.sleep(0.1)
        yield door.getsockname()


def test_a_dropped_connection_is_told_from_a_refused_one() -> None:
    with overflowing() as (address, port):
        start = time.monotonic()
        report = prove(Site(), relay=f"{address}:{port}")
        assert time.monotonic() - start < TIMEOUT + 3
    assert red(report) == all_of(RELAY, Cause.TIMEOUT)
    assert "did not answer the connection" in proof(report, "relay_bytes").detail
    assert f"Open {port}/tcp" in proof(report, "relay_bytes").remedy


def test_no_way_there_is_told_from_a_refusal() -> None:
    report = probe(Target.parse("255.255.255.255", key=KEY), PROOFS, TIMEOUT)
    assert red(report) == all_of(PROOFS[1:], Cause.UNREACHABLE)
    assert "outbound rules" in proof(report, "rendezvous_udp").remedy
    assert "21116/udp" in proof(report, "rendezvous_udp").remedy


def without_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this be a machine whose kernel has no IPv6: it refuses the socket itself."""

    class Socket(socket.socket):
        def __init__(self, family: int = socket.AF_INET, *arguments: Any, **options: Any) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
            super().__init__(family, *arguments, **options)

    monkeypatch.setattr(socket, "socket", Socket)


def test_a_machine_without_ipv6_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    without_ipv6(monkeypatch)
    report = probe(Target.parse("2001:db8::1", key=KEY), PROOFS, TIMEOUT)
    assert red(report) == all_of(PROOFS[1:], Cause.UNREACHABLE)
    for name in ("rendezvous_udp", "rendezvous_tcp"):
        assert "cannot be reached (Address family not supported by protocol)" in proof(report, name).detail


def test_a_machine_without_ipv6_proves_over_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    found = [Address(socket.AF_INET6, ("2001:db8::1", 0, 0, 0)), Address(socket.AF_INET, (site.address, 0))]

    async def look_up(_name: str, _seconds: float) -> list[Address]:
        return found

    monkeypatch.setattr(probe_network, "_look_up", look_up)
    with site.running():
        without_ipv6(monkeypatch)
        report = probe(Target.parse("rustdesk.test", site.port, key=KEY), PROOFS, TIMEOUT, allow_loopback=True)
        monkeypatch.undo()
    assert red(report) == {}
    assert report.address == site.address


# --- Arguments --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("relay", "expected"),
    [
        (None, ("h", 501)),
        ("", ("h", 501)),
        ("r", ("r", 21117)),
        (" r:1 ", ("r", 1)),
        ("192.0.2.1", ("192.0.2.1", 21117)),
        ("192.0.2.1:80", ("192.0.2.1", 80)),
        ("2001:db8::1", ("2001:db8::1", 21117)),
        ("2001:db8::1:80", ("2001:db8::1:80", 21117)),
        ("[2001:db8::1]", ("2001:db8::1", 21117)),
        ("[2001:db8::1]:80", ("2001:db8::1", 80)),
    ],
)
def test_the_relay_is_where_clients_look_for_it(relay: str | None, expected: tuple[str, int]) -> None:
    target = Target.parse("h", 500, relay)
    assert (target.relay_host, target.relay_port) == expected


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"host": ""}, "host must be a host name"),
        ({"host": "two words"}, "host must be a host name"),
        ({"host": "https://h"}, "host must be a host name"),
        ({"host": "-h"}, "host must be a host name"),
        ({"host": "a..b"}, "host must be a host name"),
        ({"host": "a" * 64}, "host must be a host name"),
        ({"host": "a." * 130}, "host must be a host name"),
        ({"host": "straße"}, "host must be a host name"),
        ({"host": "h:21116"}, "host must not hold a port, give it as port"),
        ({"host": "h", "port": 1}, "port must be between 2 and 65535, not 1"),
        ({"host": "h", "port": 65536}, "port must be between 2 and 65535, not 65536"),
        ({"host": "h", "port": 65535}, "relay port must be between 1 and 65535, not 65536"),
        ({"host": "h", "relay": "r:0"}, "relay port must be between 1 and 65535, not 0"),
        ({"host": "h", "relay": "r:99999"}, "relay port must be between 1 and 65535, not 99999"),
        ({"host": "h", "relay": "r:x"}, "relay must be a host name"),
        ({"host": "h", "relay": "[r]:1"}, "relay must be a host name"),
        ({"host": "h", "key": "short"}, "key is not the content of id_ed25519.pub"),
        ({"host": "h", "key": "A" * 86 + "=="}, "this is a private key"),
    ],
)
def test_bad_arguments_are_one_sentence(arguments: dict[str, Any], fault: str) -> None:
    with pytest.raises(ProbeArgumentError, match=re.escape(fault)) as caught:
        Target.parse(**arguments)
    assert "\n" not in str(caught.value)
    assert "A" * 86 not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.1", "::1", "[::1]", "::ffff:127.0.0.1", "0.0.0.0", "::", "224.0.0.1"]
)
def test_loopback_is_refused_with_the_reason(host: str) -> None:
    with pytest.raises(ProbeArgumentError, match=r"host .* cannot be probed.*administration consoles"):
        probe(Target.parse(host))
    with pytest.raises(ProbeArgumentError, match=r"relay .* cannot be probed"):
        probe(Target.parse("192.0.2.1", relay=host))


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"proofs": ["dns", "ping"]}, "proofs must name at least one of .*, not ping"),
        ({"proofs": []}, "proofs must name at least one of"),
        ({"timeout": 0.09}, "timeout must be between 0.1 and 20 seconds, not 0.09"),
        ({"timeout": 20.1}, "timeout must be between 0.1 and 20 seconds, not 20.1"),
        ({"timeout": float("nan")}, "timeout must be between"),
        # hbbr closes an unpaired connection after 30 seconds, whatever its key.
        ({"timeout": 31}, "timeout must be between"),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any], fault: str) -> None:
    with pytest.raises(ProbeArgumentError, match=fault):
        probe(Target.parse("192.0.2.1"), **options)


# --- The module -------------------------------------------------------------------------------


def run_module(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, check_mode: bool = False, **arguments: Any
) -> tuple[int, dict[str, Any]]:
    """Run the module in this process, loopback allowed."""

    def local_probe(target: Target, proofs: list[str], timeout: float) -> Report:
        return probe(target, proofs, timeout, allow_loopback=True)

    monkeypatch.setattr(rustdesk_probe, "probe", local_probe)
    with patch_module_args({"_ansible_check_mode": check_mode, **arguments}), pytest.raises(SystemExit) as ended:
        rustdesk_probe.main()
    result: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert isinstance(ended.value.code, int)
    return ended.value.code, result


@pytest.mark.parametrize("check_mode", [False, True])
def test_module_passes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, check_mode: bool) -> None:
    with Site().running() as site:
        code, result = run_module(capsys, monkeypatch, check_mode, host=site.address, port=site.port, key=KEY)
    assert code == 0
    assert result["changed"] is False
    assert result["passed"] is True
    assert result["address"] == result["relay_address"] == site.address
    assert [entry["name"] for entry in result["proofs"]] == list(PROOFS)
    documented = yaml.safe_load(rustdesk_probe.RETURN)
    assert set(documented) == set(result) - {"changed", "invocation"}
    for entry in result["proofs"]:
        assert set(entry) == set(documented["proofs"]["contains"])


@pytest.mark.parametrize(("report_only", "code"), [(False, 1), (True, 0)])
def test_module_fails_unless_only_a_report_is_wanted(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, report_only: bool, code: int
) -> None:
    with Site(relay=fakes.hbbr("")).running() as site:
        returned, result = run_module(
            capsys, monkeypatch, host=site.address, port=site.port, key=KEY, timeout=TIMEOUT, report_only=report_only
        )
    assert returned == code
    assert result.get("failed", False) is not report_only
    assert result["changed"] is False
    assert result["passed"] is False
    failed = [entry for entry in result["proofs"] if entry["state"] == "failed"]
    assert [(entry["name"], entry["cause"]) for entry in failed] == [("relay_enforced", "relay_open")]
    assert result["msg"].endswith(failed[0]["remedy"])
    assert "failed relay_enforced:" in result["msg"]


def test_module_refuses_bad_arguments_even_for_a_report(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    code, result = run_module(capsys, monkeypatch, host="h", key="short", report_only=True)
    assert code == 1
    assert result["msg"].startswith("key is not the content of id_ed25519.pub")


def test_module_hides_a_private_key_given_by_mistake(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    private = "B" * 86 + "=="
    code, result = run_module(capsys, monkeypatch, host="h", key=private)
    assert code == 1
    assert "this is a private key" in result["msg"]
    assert private not in json.dumps(result)


def test_documentation_says_what_the_module_takes() -> None:
    documented = yaml.safe_load(rustdesk_probe.DOCUMENTATION)["options"]
    assert set(documented) == set(rustdesk_probe.ARGUMENTS)
    for name, argument in rustdesk_probe.ARGUMENTS.items():
        for word in ("type", "required", "default", "choices", "elements"):
            assert documented[name].get(word) == argument.get(word), (name, word)
    causes = yaml.safe_load(rustdesk_probe.RETURN)["proofs"]["contains"]["cause"]["description"]
    assert set(re.findall(r"V\((\w+)\)", " ".join(causes))) == {cause.value for cause in Cause}
    for example in yaml.safe_load(rustdesk_probe.EXAMPLES):
        assert set(example.get("rustdesk_probe", {})) <= set(documented)


def test_ansible_carries_the_module_to_a_host() -> None:
    command = [sys.executable, "-m", "ansible", "adhoc", "-i", "localhost,", "-c", "local", "localhost"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-m", "rustdesk_probe", "-a", "host=127.0.0.1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert "host 127.0.0.1 cannot be probed" in " ".join(done.stdout.split())
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("path", sorted((ROOT / "plugins").glob("module*/*.py")), ids=lambda path: path.name)
def test_what_runs_on_hosts_is_python_3_9(path: Path) -> None:
    ast.parse(path.read_text(encoding="utf-8"), feature_version=(3, 9))
