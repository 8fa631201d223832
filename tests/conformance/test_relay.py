"""hbbr: who is paired, and that the bytes pass unchanged."""

from __future__ import annotations

import secrets
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from .lab import assert_passes
from .wire import frame, header, msg

if TYPE_CHECKING:
    from .lab import Connection, Lab

MEBI = 1 << 20


@pytest.fixture
def uuid() -> str:
    """A session nobody else has."""
    return secrets.token_hex(16)


# --- pairing -----------------------------------------------------------------------------------------------------


def test_two_connections_with_the_same_uuid_are_paired(lab: Lab) -> None:
    with lab.pair() as (first, second):
        assert_passes(first, second)


def test_only_the_uuid_counts(lab: Lab, uuid: str) -> None:
    with lab.connect(lab.relay) as first, lab.connect(lab.relay, lab.sources.for_registration()) as second:
        first.park(msg("request_relay", id="one", uuid=uuid, licence_key=lab.key, secure=True))
        second.send(msg("request_relay", id="other", uuid=uuid, licence_key=lab.key))
        assert_passes(first, second)


def test_different_uuids_are_not_paired(lab: Lab, uuid: str) -> None:
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as second:
        first.send(lab.relay_request(uuid))
        second.send(lab.relay_request(uuid + "-other"))
        first.socket.sendall(b"is anybody there?")
        assert second.is_silent()
        assert first.is_silent()


def test_a_third_connection_does_not_join_a_pair(lab: Lab, uuid: str) -> None:
    with (
        lab.connect(lab.relay) as first,
        lab.connect(lab.relay) as second,
        lab.connect(lab.relay) as third,
        lab.connect(lab.relay) as fourth,
    ):
        first.park(lab.relay_request(uuid))
        second.send(lab.relay_request(uuid))
        assert_passes(first, second)
        third.park(lab.relay_request(uuid))
        assert_passes(first, second)
        assert third.is_open(), "the third waits for a partner of its own"
        fourth.send(lab.relay_request(uuid))
        assert_passes(third, fourth)
        assert_passes(first, second)


def test_many_pairs_do_not_mix(lab: Lab) -> None:
    uuids = [secrets.token_hex(16) for _ in range(20)]
    firsts = [lab.connect(lab.relay) for _ in uuids]
    seconds = [lab.connect(lab.relay) for _ in uuids]
    for client, uuid in zip(firsts, uuids, strict=True):
        client.send(lab.relay_request(uuid))
    assert firsts[-1].is_silent()
    for client, uuid in zip(seconds, uuids, strict=True):
        client.send(lab.relay_request(uuid))
    for first, second in zip(firsts, seconds, strict=True):
        assert_passes(first, second)
    for client in (*firsts, *seconds):
        client.socket.close()


def test_both_ends_close_when_one_leaves(lab: Lab) -> None:
    with lab.pair() as (first, second):
        assert_passes(first, second)
        second.socket.close()
        assert first.is_closed()


# --- who is refused ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "WRONG", "similar"])
def test_a_wrong_key_is_closed_without_an_answer(lab: Lab, uuid: str, wrong: str) -> None:
    key = lab.key[:-2] + ("A=" if lab.key[-2] != "A" else "B=") if wrong == "similar" else wrong
    with lab.connect(lab.relay) as client:
        client.send(lab.relay_request(uuid, key))
        assert client.is_closed()


def test_a_wrong_key_does_not_reach_a_waiting_partner(lab: Lab, uuid: str) -> None:
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as intruder, lab.connect(lab.relay) as second:
        first.park(lab.relay_request(uuid))
        intruder.send(lab.relay_request(uuid, "WRONG"))
        assert intruder.is_closed()
        second.send(lab.relay_request(uuid))
        assert_passes(first, second)


def test_a_request_without_a_uuid_is_closed(lab: Lab) -> None:
    with lab.connect(lab.relay) as client:
        client.send(lab.relay_request(""))
        assert client.is_closed()


@pytest.mark.parametrize("name", ["test_nat_request", "punch_hole_request", "online_request", "relay_response"])
def test_another_message_is_closed_without_an_answer(lab: Lab, name: str) -> None:
    with lab.connect(lab.relay) as client:
        client.send(msg(name))
        assert client.is_closed()


# --- bytes -------------------------------------------------------------------------------------------------------


def stream(sender: Connection, data: bytes) -> threading.Thread:
    """Send in the background."""
    thread = threading.Thread(target=sender.socket.sendall, args=(data,))
    thread.start()
    return thread


def test_megabytes_pass_unchanged_in_both_directions_at_once(lab: Lab) -> None:
    there, back = secrets.token_bytes(3 * MEBI), secrets.token_bytes(3 * MEBI)
    with lab.pair() as (first, second):
        threads = [stream(first, there), stream(second, back)]
        received: list[bytes] = []
        reader = threading.Thread(target=lambda: received.append(first.read_exactly(len(back))))
        reader.start()
        assert second.read_exactly(len(there)) == there
        for thread in (*threads, reader):
            thread.join()
        assert received == [back]


def test_one_large_chunk_passes_unchanged(lab: Lab) -> None:
    data = secrets.token_bytes(8 * MEBI)
    with lab.pair() as (first, second):
        thread = stream(second, data)
        assert first.read_exactly(len(data)) == data
        thread.join()


@pytest.mark.parametrize(
    "data",
    [
        header(5) + b"12345",
        header(1 << 20, 4),
        frame(b""),
        bytes(256),
        b"GET / HTTP/1.1\r\n\r\n",
        b"\xff" * 100,
    ],
    ids=["frame", "start of a frame", "empty frame", "zeros", "text", "ones"],
)
def test_paired_bytes_are_not_looked_at(lab: Lab, data: bytes) -> None:
    with lab.pair() as (first, second):
        for sender, receiver in ((first, second), (second, first)):
            sender.socket.sendall(data)
            assert receiver.read_exactly(len(data)) == data


def test_single_bytes_pass_at_once(lab: Lab) -> None:
    with lab.pair() as (first, second):
        for byte in b"not held back":
            first.socket.sendall(bytes([byte]))
            assert second.read_exactly(1, timeout=1.0) == bytes([byte])


def test_what_is_sent_before_the_partner_comes_is_kept(lab: Lab, uuid: str) -> None:
    early = secrets.token_bytes(50_000)
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as second:
        first.park(lab.relay_request(uuid))
        first.socket.sendall(early)
        second.send(lab.relay_request(uuid))
        assert second.read_exactly(len(early)) == early


def test_everything_sent_before_a_half_close_arrives_and_then_both_ends_close(lab: Lab) -> None:
    data, last = secrets.token_bytes(4 * MEBI), secrets.token_bytes(64 * 1024)
    with lab.pair() as (first, second):
        # Aside, as only the last part of it surely fits into what is buffered on the way.
        sending = stream(first, data + last)
        assert second.read_exactly(len(data)) == data
        sending.join()
        first.socket.shutdown(socket.SHUT_WR)
        assert second.read_exactly(len(last)) == last
        assert second.is_closed(), "the end is passed on"
        assert first.is_closed(), "a half-closed pair does not stay open"
