"""Frames on TCP: a little-endian header of one to four bytes (4 x payload length + header length - 1), a payload."""

from __future__ import annotations

import secrets
import time
from typing import TYPE_CHECKING

import pytest

from .lab import assert_passes
from .wire import Message, encode, frame, header, mangle, msg

if TYPE_CHECKING:
    from .lab import Lab

NAT_TEST = msg("test_nat_request")
EDGES = [0x3F, 0x40, 0x3FFF, 0x4000, 0x3FFFFF, 0x400000]
"""The longest and the shortest payloads of headers of one to four bytes."""
PORTS = ["rendezvous", "nat_test"]


def pad(message: Message, size: int) -> int:
    """Return the padding with which a message becomes a payload of ``size`` bytes."""
    return next(padding for padding in range(max(size - 120, 1), size) if len(encode(message, padding)) == size)


@pytest.mark.hbbs
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_hbbs_takes_headers_longer_than_necessary(lab: Lab, port: str, width: int) -> None:
    with lab.connect(getattr(lab, port)) as client:
        client.send(NAT_TEST, width=width)
        assert client.receive() == msg("test_nat_response", port=client.address[1])


@pytest.mark.hbbs
@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("size", EDGES, ids=hex)
def test_hbbs_takes_payloads_of_every_header_length(lab: Lab, port: str, size: int) -> None:
    with lab.connect(getattr(lab, port)) as client:
        client.send(NAT_TEST, padding=pad(NAT_TEST, size))
        assert client.receive() == msg("test_nat_response", port=client.address[1])


@pytest.mark.hbbs
@pytest.mark.parametrize("size", EDGES, ids=hex)
def test_hbbs_writes_the_shortest_header(lab: Lab, size: int) -> None:
    with lab.connect(lab.rendezvous) as client, lab.connect(lab.rendezvous) as answering:
        client.send(msg("request_relay", id="nobody-at-all"))  # from now on it waits for an answer
        assert client.is_silent()
        length = next(n for n in range(size - 12, size) if len(encode(refusal("x" * n))) == size)
        answering.send(msg("relay_response", socket_addr=mangle(client.address), refuse_reason="x" * length))
        expected = frame(encode(refusal("x" * length)))
        assert client.read_exactly(len(expected)) == expected


def refusal(reason: str) -> Message:
    """Return what A gets of B's refusal."""
    return msg("relay_response", refuse_reason=reason)


@pytest.mark.hbbs
@pytest.mark.parametrize("port", PORTS)
def test_hbbs_takes_a_frame_byte_by_byte(lab: Lab, port: str) -> None:
    with lab.connect(getattr(lab, port)) as client:
        for byte in frame(encode(NAT_TEST, padding=80), width=3):
            client.socket.sendall(bytes([byte]))
            time.sleep(0.002)
        assert client.receive() == msg("test_nat_response", port=client.address[1])


@pytest.mark.hbbs
def test_hbbs_takes_two_frames_in_one_segment(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as client:
        without_answer = frame(encode(msg("request_relay", id="nobody-at-all")))
        client.socket.sendall(without_answer + frame(encode(lab.punch("nobody-at-all"))))
        assert client.receive() == msg("punch_hole_response")


@pytest.mark.hbbs
def test_hbbs_takes_a_frame_cut_within_its_header(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as client:
        whole = frame(encode(lab.punch("nobody-at-all"), padding=300))
        client.socket.sendall(whole[:1])
        time.sleep(0.1)
        client.socket.sendall(whole[1:])
        assert client.receive() == msg("punch_hole_response")


@pytest.mark.hbbs
@pytest.mark.parametrize("port", PORTS)
def test_hbbs_closes_on_an_empty_frame(lab: Lab, port: str) -> None:
    with lab.connect(getattr(lab, port)) as client:
        client.socket.sendall(frame(b""))
        assert client.is_closed()


@pytest.mark.hbbs
def test_hbbs_answers_a_frame_followed_by_half_of_another(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as client:
        client.socket.sendall(frame(encode(lab.punch("nobody-at-all"))) + header(500) + b"12345")
        assert client.receive() == msg("punch_hole_response")


@pytest.mark.parametrize("width", [2, 3, 4])
def test_hbbr_takes_headers_longer_than_necessary(lab: Lab, width: int) -> None:
    uuid = secrets.token_hex(16)
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as second:
        first.park(lab.relay_request(uuid), width=width)
        second.send(lab.relay_request(uuid), width=width)
        assert_passes(first, second)


@pytest.mark.parametrize("size", EDGES, ids=hex)
def test_hbbr_takes_payloads_of_every_header_length(lab: Lab, size: int) -> None:
    request = msg("request_relay", uuid=secrets.token_hex(2), licence_key=lab.key)
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as second:
        for client in (first, second):
            client.send(request, padding=pad(request, size))
            if client is first:
                assert client.is_silent()
        assert_passes(first, second)


def test_hbbr_takes_a_frame_byte_by_byte(lab: Lab) -> None:
    uuid = secrets.token_hex(16)
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as second:
        for client in (first, second):
            for byte in frame(encode(lab.relay_request(uuid))):
                client.socket.sendall(bytes([byte]))
                time.sleep(0.001)
        assert_passes(first, second)


def test_hbbr_passes_on_what_follows_the_request_in_the_same_segment(lab: Lab) -> None:
    request = frame(encode(lab.relay_request(secrets.token_hex(16))))
    with lab.connect(lab.relay) as first, lab.connect(lab.relay) as second:
        first.socket.sendall(request + b"from the first")
        assert first.is_silent()
        second.socket.sendall(request + b"from the second")
        assert second.read_exactly(14) == b"from the first"
        assert first.read_exactly(15) == b"from the second"


def test_hbbr_closes_on_an_empty_frame(lab: Lab) -> None:
    with lab.connect(lab.relay) as client:
        client.socket.sendall(frame(b""))
        assert client.is_closed()
