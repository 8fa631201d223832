"""hbbs's decisions that depend on its settings, its memory and its database."""

from __future__ import annotations

import asyncio
import ipaddress
import sqlite3
from typing import TYPE_CHECKING

import pytest

from rustdesk_lab import codec
from rustdesk_lab.database import Database
from rustdesk_lab.errors import DaemonError
from rustdesk_lab.keys import ServerKey
from rustdesk_lab.peers import PeerMap, rust_bytes
from rustdesk_lab.relays import RelayList
from rustdesk_lab.rendezvous import Client, Lan, RendezvousServer

if TYPE_CHECKING:
    from pathlib import Path

A, B = ("::ffff:10.0.0.1", 1111), ("::ffff:10.0.0.2", 2222)
PK = bytes(32)


class Writer:
    """Stands in for a TCP client's writer."""

    def __init__(self) -> None:
        self.written = b""

    def write(self, data: bytes) -> None:
        self.written += data


class Hbbs:
    """A server without sockets, and what it sends."""

    def __init__(self, directory: Path, *, relays: str = "", lan: Lan | None = None, relay: bool = False) -> None:
        self.datagrams: list[tuple[codec.Message | None, codec.Address]] = []
        self.path = directory / "db_v2.sqlite3"
        self.server = RendezvousServer(
            key=ServerKey("KEY"),
            peers=PeerMap(Database(str(self.path))),
            relays=RelayList(relays),
            send_datagram=lambda data, target: self.datagrams.append((codec.decode_message(data), target)),
            newer_servers=codec.ConfigUpdate(),
            lan=lan or Lan(),
            always_use_relay=relay,
        )

    def datagram(self, message: codec.Message, source: codec.Address) -> list[codec.Message | None]:
        """Hand in a datagram and return the answers to its source."""
        self.datagrams.clear()
        self.server.handle_datagram(codec.encode_message(message), source)
        return [answer for answer, target in self.datagrams if target == source]

    def join(self, peer_id: str, source: codec.Address) -> None:
        assert self.datagram(codec.RegisterPk(peer_id, b"uuid", PK), source) == [codec.RegisterPkResponse()]

    def punch(self, peer_id: str, source: codec.Address) -> tuple[codec.Message | None, bytes]:
        """Ask for a device and return what it is told, and what the asking client is answered."""
        self.datagrams.clear()
        writer = Writer()
        client = Client(source, writer)  # type: ignore[arg-type]
        request = codec.PunchHoleRequest(peer_id, nat_type=1, licence_key="KEY")
        assert self.server._handle_frame(codec.encode_message(request), client)
        return self.datagrams[0][0] if self.datagrams else None, writer.written


@pytest.fixture
def hbbs(tmp_path: Path) -> Hbbs:
    return Hbbs(tmp_path)


def test_a_device_is_remembered_across_a_restart_but_offline(hbbs: Hbbs, tmp_path: Path) -> None:
    hbbs.join("device", B)
    restarted = Hbbs(tmp_path)
    told, answer = restarted.punch("device", A)
    assert told is None
    assert answer == codec.encode_frame(bytes.fromhex("5a021802"))  # OFFLINE
    assert restarted.datagram(codec.RegisterPk("device", b"other", PK), B) == [codec.RegisterPkResponse(2)]


def test_the_row_holds_what_upstream_stores(hbbs: Hbbs) -> None:
    hbbs.join("device", B)
    hbbs.datagram(codec.RegisterPk("device", b"uuid", b"new key"), B)
    (row,) = sqlite3.connect(hbbs.path).execute("select length(guid), id, uuid, pk, user, status, note, info from peer")
    assert row == (16, "device", b"uuid", b"new key", None, None, None, '{"ip":"::ffff:10.0.0.2"}')


def test_a_heartbeat_writes_no_row(hbbs: Hbbs) -> None:
    hbbs.datagram(codec.RegisterPeer("stranger"), B)
    assert sqlite3.connect(hbbs.path).execute("select count(*) from peer").fetchone() == (0,)


def test_a_database_error_is_not_told_to_the_device(hbbs: Hbbs, caplog: pytest.LogCaptureFixture) -> None:
    with sqlite3.connect(hbbs.path) as other:
        other.execute("drop table peer")
    hbbs.join("device", B)
    assert "db.insert_peer failed: " in caplog.text


@pytest.mark.parametrize("url", ["missing/db", "sqlite://missing/db", "."])
def test_a_database_that_cannot_be_opened_stops_hbbs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DaemonError, match=r"error returned from database: unable to open database file$"):
        Database(url)


def test_relays_are_handed_out_in_turn(tmp_path: Path) -> None:
    hbbs = Hbbs(tmp_path, relays="127.0.0.1:1,127.0.0.2,no.such.name.invalid")
    hbbs.join("device", B)
    named = [hbbs.punch("device", (A[0], port))[0] for port in range(3)]
    assert [punch.relay_server for punch in named if isinstance(punch, codec.PunchHole)] == [
        "127.0.0.1:1",
        "127.0.0.2",
        "127.0.0.1:1",
    ]


def test_a_relay_that_does_not_answer_is_left_out_while_another_does(unused_tcp_port: int) -> None:
    async def scenario() -> list[str]:
        listener = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        alive = f"127.0.0.1:{listener.sockets[0].getsockname()[1]}"
        relays = RelayList(f"127.0.0.1:{unused_tcp_port},{alive}")
        await relays._check()
        assert relays.alive == [alive]
        listener.close()
        await listener.wait_closed()
        await relays._check()
        return [] if relays.alive == [alive] else relays.alive

    assert asyncio.run(scenario()) == [], "when none answers the last list stays"


@pytest.fixture
def unused_tcp_port() -> int:
    """A port of loopback where nobody listens."""
    return 1


def test_always_use_relay_makes_b_relay_except_for_neighbours(tmp_path: Path) -> None:
    hbbs = Hbbs(tmp_path, relay=True)
    hbbs.join("device", B)
    told, _ = hbbs.punch("device", A)
    assert isinstance(told, codec.PunchHole)
    assert told.nat_type == 2
    told, _ = hbbs.punch("device", (B[0], 5))
    assert isinstance(told, codec.FetchLocalAddr)


def test_a_mask_makes_neighbours_of_a_network(tmp_path: Path) -> None:
    hbbs = Hbbs(tmp_path, lan=Lan(ipaddress.IPv4Interface("10.0.0.0/24"), "10.0.0.99"), relays="127.0.0.1")
    hbbs.join("device", B)
    told, _ = hbbs.punch("device", A)
    assert isinstance(told, codec.FetchLocalAddr)
    told, _ = hbbs.punch("device", ("::ffff:192.0.2.1", 5))
    assert isinstance(told, codec.PunchHole)
    assert (told.relay_server, told.nat_type) == ("10.0.0.99", 2)


def test_a_newer_list_of_servers_is_offered(hbbs: Hbbs) -> None:
    update = codec.ConfigUpdate(7, ["127.0.0.1"])
    assert hbbs.datagram(update, B) == []
    assert codec.ConfigUpdate(7, ["127.0.0.1"]) not in hbbs.datagram(codec.RegisterPeer("x", 3), B), "not from outside"
    hbbs.datagram(update, ("::ffff:127.0.0.1", 5))
    assert update in hbbs.datagram(codec.RegisterPeer("x", 6), B)
    assert update not in hbbs.datagram(codec.RegisterPeer("x", 7), B)


@pytest.mark.parametrize("message", [codec.PunchHoleSent(id="device"), codec.LocalAddr(id="device")])
def test_bs_answer_over_udp_goes_wherever_it_says_in_this_version(hbbs: Hbbs, message: codec.Message) -> None:
    assert isinstance(message, codec.PunchHoleSent | codec.LocalAddr)
    message.socket_addr = codec.mangle_address(("192.0.2.7", 7), 0)
    hbbs.datagram(message, B)
    ((answer, target),) = hbbs.datagrams
    assert isinstance(answer, codec.PunchHoleResponse)
    assert target == ("192.0.2.7", 7)


def test_the_authentication_failure_is_logged_for_fail2ban(hbbs: Hbbs, caplog: pytest.LogCaptureFixture) -> None:
    request = codec.PunchHoleRequest("device", licence_key="WRONG")
    hbbs.server._handle_frame(codec.encode_message(request), Client(A, Writer()))  # type: ignore[arg-type]
    expected = "Authentication failed from [::ffff:10.0.0.1]:1111 for peer device - invalid key"
    assert caplog.messages == [expected]


def test_bytes_are_logged_as_rust_does() -> None:
    assert rust_bytes(b'a"\\\0\n\x7f\xff') == 'b"a\\"\\\\\\0\\n\\x7f\\xff"'
