"""Garbage and oversized input: the daemons neither answer nor fall over, and go on serving everybody else."""

from __future__ import annotations

import random
import secrets
from typing import TYPE_CHECKING

import pytest

from .lab import assert_passes
from .wire import delimited, encode, frame, header, msg

if TYPE_CHECKING:
    from .lab import Lab

MEBI = 1 << 20
_random = random.Random(21116)  # the same garbage in every run

TLS_CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + _random.randbytes(194)
PAYLOADS = {
    "random": _random.randbytes(1000),
    "cut short": encode(msg("punch_hole_request", id="x" * 50))[:-20],
    "not UTF-8": delimited(8, delimited(1, b"\xff\xfe\xfd")),
    "number too long": b"\x80" * 11 + b"\x01",
    "field zero": b"\x00\x01",
    "length beyond the end": b"\x42\xff\xff\xff\xff\x0f",
    "wrong types": delimited(8, b"\x08\x01\x10\x01\x18\x01"),
    "unknown message": delimited(500, b"x"),
    "answer instead of a question": encode(msg("test_nat_response", port=1)),
}
STREAMS = {
    **{name: frame(payload) for name, payload in PAYLOADS.items()},
    "TLS": TLS_CLIENT_HELLO,
    "HTTP": b"GET / HTTP/1.1\r\nHost: server\r\n\r\n",
    "line": b"h\n",
    "announces a gigabyte": header(0x3FFFFFFF) + bytes(1000),
    "16 MiB of zeros in a frame": frame(bytes(16 * MEBI)),
    "16 MiB id": frame(encode(msg("punch_hole_request", id="x" * (16 * MEBI)))),
    "random stream": _random.randbytes(MEBI),
    "nothing": b"",
}


def throw(lab: Lab, port: str, data: bytes) -> None:
    """Send bytes to a port and leave; that the server closes first is no fault."""
    with lab.connect(getattr(lab, port)) as client:
        try:
            client.socket.sendall(data)
        except (ConnectionError, TimeoutError):
            return
        client.is_closed(timeout=0.05)


@pytest.mark.hbbs
@pytest.mark.parametrize("port", ["rendezvous", "nat_test"])
@pytest.mark.parametrize("name", STREAMS)
def test_hbbs_survives_a_stream_of(lab: Lab, port: str, name: str) -> None:
    with lab.connect(lab.rendezvous) as canary:
        throw(lab, port, STREAMS[name])
        lab.assert_rendezvous_serves()
        assert canary.is_open(), "connections of others must stay: hbbs was restarted"
        assert canary.ask(msg("test_nat_request")) == msg("test_nat_response", port=canary.address[1])


@pytest.mark.hbbs
def test_hbbs_survives_datagrams_of_garbage(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as canary:
        device = lab.device()
        for data in (*PAYLOADS.values(), TLS_CLIENT_HELLO, b"", bytes(65_507), _random.randbytes(65_507)):
            device.send_raw(data)
        assert device.is_silent()
        lab.assert_rendezvous_serves()
        assert canary.is_open(), "connections of others must stay: hbbs was restarted"


@pytest.mark.parametrize("name", STREAMS)
def test_hbbr_survives_a_stream_of(lab: Lab, name: str) -> None:
    uuid = secrets.token_hex(16)
    with lab.connect(lab.relay) as canary, lab.connect(lab.relay) as partner:
        canary.park(lab.relay_request(uuid))
        throw(lab, "relay", STREAMS[name])
        lab.assert_relay_serves()
        partner.send(lab.relay_request(uuid))
        assert_passes(canary, partner)


@pytest.mark.hbbs
@pytest.mark.parametrize("port", ["rendezvous", "nat_test"])
def test_hbbs_serves_beside_many_silent_connections(lab: Lab, port: str) -> None:
    crowd = [lab.connect(getattr(lab, port)) for _ in range(200)]
    lab.assert_rendezvous_serves()
    for client in crowd:
        client.socket.close()


def test_hbbr_serves_beside_many_silent_connections(lab: Lab) -> None:
    crowd = [lab.connect(lab.relay) for _ in range(200)]
    lab.assert_relay_serves()
    for client in crowd:
        client.socket.close()


@pytest.mark.hbbs
@pytest.mark.parametrize("port", ["rendezvous", "nat_test", "relay"])
def test_a_partner_who_does_not_read_does_not_stop_the_others(lab: Lab, port: str) -> None:
    with lab.connect(getattr(lab, port)) as mute:
        mute.socket.sendall(header(MEBI))
        lab.assert_rendezvous_serves()
        lab.assert_relay_serves()
