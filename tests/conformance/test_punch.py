"""hbbs between two devices: A asks for B over TCP, B is told over UDP and answers over TCP, A gets the answer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from nacl.encoding import Base64Encoder
from nacl.signing import VerifyKey

from .wire import (
    ASYMMETRIC,
    LICENSE_MISMATCH,
    SYMMETRIC,
    Message,
    delimited,
    mangle,
    msg,
    unmangle,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .lab import Connection, Device, Lab

pytestmark = pytest.mark.hbbs

RELAY = "relay.example.org:21117"
UNKNOWN_ID = msg("punch_hole_response")
WRONG_KEY = msg("punch_hole_response", failure=LICENSE_MISMATCH)


@pytest.fixture
def device(lab: Lab) -> Device:
    """B, registered."""
    return lab.device().join()


@pytest.fixture
def client(lab: Lab) -> Iterator[Connection]:
    """A, at another address than B."""
    with lab.connect(lab.rendezvous) as connection:
        yield connection


def identity(lab: Lab, signed: bytes) -> bytes:
    """Return what the server signed; nacl's BadSignatureError when its key does not verify it."""
    assert len(signed) > 64, "no signature"
    return bytes(VerifyKey(lab.key.encode(), Base64Encoder).verify(signed))


def identity_of(device: Device) -> bytes:
    """Return what the server has to sign for a device: the message IdPk."""
    return delimited(1, device.id.encode()) + delimited(2, device.pk)


def sent(client: Connection, device: Device, **other: Any) -> Message:
    """Return B's message that it is ready for A."""
    fields = {"id": device.id, "relay_server": RELAY, "nat_type": ASYMMETRIC, "version": "1.4.9", **other}
    return msg("punch_hole_sent", socket_addr=mangle(client.address), **fields)


# --- who gets through --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", ["", "WRONG", "similar"])
def test_a_wrong_key_is_refused(lab: Lab, device: Device, client: Connection, wrong: str) -> None:
    key = lab.key[:-2] + ("A=" if lab.key[-2] != "A" else "B=") if wrong == "similar" else wrong
    assert client.ask(lab.punch(device.id, key)) == WRONG_KEY
    assert device.is_silent(), "the device must not hear of it"


def test_a_wrong_key_is_refused_before_the_id_is_looked_up(lab: Lab, client: Connection) -> None:
    assert client.ask(lab.punch("nobody-at-all", "WRONG")) == WRONG_KEY


def test_an_unknown_id_does_not_exist(lab: Lab, client: Connection) -> None:
    assert client.ask(lab.punch("nobody-at-all")) == UNKNOWN_ID


def test_a_failure_leaves_the_connection_open_and_mute(lab: Lab, client: Connection) -> None:
    assert client.ask(lab.punch("nobody-at-all")) == UNKNOWN_ID
    client.send(lab.punch("nobody-at-all"))
    assert client.is_silent(), "one connection gets one answer"


def test_punch_requests_over_udp_are_ignored(lab: Lab, device: Device) -> None:
    asking = lab.device(lab.sources.own)
    asking.send(lab.punch(device.id))
    assert asking.is_silent()
    assert device.is_silent()


# --- how B hears of it -------------------------------------------------------------------------------------------


def test_b_is_told_to_punch_a_hole_towards_a_at_another_address(lab: Lab, device: Device, client: Connection) -> None:
    client.send(lab.punch(device.id))
    told = device.receive()
    assert told is not None
    assert told.name == "punch_hole"
    assert unmangle(told["socket_addr"]) == client.address
    assert told["nat_type"] == (SYMMETRIC if lab.always_relay else ASYMMETRIC)
    assert client.is_silent(), "A waits for B"


def test_b_is_asked_for_its_local_address_by_a_at_the_same_address(lab: Lab, device: Device) -> None:
    with lab.connect(lab.rendezvous, device.ip) as neighbour:
        neighbour.send(lab.punch(device.id))
        told = device.receive()
        assert told is not None
        assert told.name == "fetch_local_addr"
        assert unmangle(told["socket_addr"]) == neighbour.address


def test_b_is_told_where_it_registered_until_it_registers_elsewhere(lab: Lab, device: Device) -> None:
    old_ip = device.ip
    roaming = lab.device(old_ip)
    roaming.id, roaming.uuid, roaming.pk = device.id, device.uuid, device.pk
    roaming.move(lab.sources.fresh())
    assert roaming.register_peer() == msg("register_peer_response", request_pk=True)
    with lab.connect(lab.rendezvous) as client:
        client.send(lab.punch(device.id))
        assert device.receive() is not None, "a heartbeat from elsewhere does not take the device over"
    assert roaming.register_pk() == msg("register_pk_response")
    with lab.connect(lab.rendezvous) as client:
        client.send(lab.punch(device.id))
        assert roaming.receive() is not None
        assert device.is_silent()


def test_a_heartbeat_from_a_new_port_moves_the_device(lab: Lab, device: Device, client: Connection) -> None:
    device.move(device.ip)
    assert device.register_peer() == msg("register_peer_response")
    client.send(lab.punch(device.id))
    told = device.receive()
    assert told is not None
    assert told.name == "punch_hole"


# --- what A gets -------------------------------------------------------------------------------------------------


def test_a_gets_bs_address_and_signed_key_when_b_is_ready(lab: Lab, device: Device, client: Connection) -> None:
    client.send(lab.punch(device.id))
    assert device.receive() is not None
    with lab.connect(lab.rendezvous, device.ip) as answering:
        answering.send(sent(client, device))
        answer = client.receive()
        assert answer is not None
        assert answer.name == "punch_hole_response"
        assert unmangle(answer["socket_addr"]) == answering.address
        assert answer["relay_server"] == RELAY
        assert answer["nat_type"] == ASYMMETRIC
        assert (answer["failure"], answer["is_local"], answer["other_failure"]) == (0, False, "")
        assert identity(lab, answer["pk"]) == identity_of(device)
        assert answering.is_closed(), "B's connection ends with its message"


def test_a_gets_bs_local_address_and_signed_key(lab: Lab, device: Device) -> None:
    local = mangle(("192.168.7.9", 40123))
    with lab.connect(lab.rendezvous, device.ip) as neighbour, lab.connect(lab.rendezvous, device.ip) as answering:
        neighbour.send(lab.punch(device.id))
        told = device.receive()
        assert told is not None
        fields = {"local_addr": local, "relay_server": RELAY, "id": device.id, "version": "1.4.9"}
        answering.send(msg("local_addr", socket_addr=told["socket_addr"], **fields))
        answer = neighbour.receive()
        assert answer is not None
        assert answer.name == "punch_hole_response"
        assert answer["is_local"] is True
        assert answer["socket_addr"] == local, "the local address is passed on as it is"
        assert answer["relay_server"] == RELAY
        assert identity(lab, answer["pk"]) == identity_of(device)
        assert answering.is_closed()


def test_a_changed_key_is_the_one_that_is_signed(lab: Lab, device: Device, client: Connection) -> None:
    device.pk = bytes(range(32))
    assert device.register_pk() == msg("register_pk_response")
    client.send(lab.punch(device.id))
    assert device.receive() is not None
    with lab.connect(lab.rendezvous) as answering:
        answering.send(sent(client, device))
        answer = client.receive()
    assert answer is not None
    assert identity(lab, answer["pk"]) == identity_of(device)


@pytest.mark.parametrize("other", [{"version": ""}, {"id": "nobody-at-all"}], ids=["no version", "unknown id"])
def test_no_key_is_signed_for(lab: Lab, device: Device, client: Connection, other: dict[str, str]) -> None:
    client.send(lab.punch(device.id))
    assert device.receive() is not None
    with lab.connect(lab.rendezvous) as answering:
        answering.send(sent(client, device, **other))
        answer = client.receive()
    assert answer is not None
    assert answer.name == "punch_hole_response"
    assert answer["pk"] == b""


def test_an_answer_for_nobody_disturbs_nobody(lab: Lab, device: Device, client: Connection) -> None:
    client.send(lab.punch(device.id))
    assert device.receive() is not None
    with lab.connect(lab.rendezvous) as answering:
        wrong = mangle((client.address[0], client.address[1] ^ 1))
        answering.send(msg("punch_hole_sent", socket_addr=wrong, id=device.id, version="1.4.9"))
        assert answering.is_closed()
    assert client.is_silent()


# --- relay through hbbs ------------------------------------------------------------------------------------------


def test_a_relay_request_reaches_b_with_as_address(device: Device, client: Connection) -> None:
    fields = {"uuid": "a-session", "relay_server": RELAY, "secure": True, "conn_type": 1, "token": "t"}
    client.send(msg("request_relay", id=device.id, **fields))  # without a key: hbbs asks for none here
    told = device.receive()
    assert told is not None
    assert told.name == "request_relay"
    assert unmangle(told.fields.pop("socket_addr")) == client.address
    assert told == msg("request_relay", id=device.id, **fields)
    assert client.is_silent(), "A waits for B"


def test_a_relay_request_for_an_unknown_id_gets_no_answer(client: Connection) -> None:
    client.send(msg("request_relay", id="nobody-at-all", uuid="a-session"))
    assert client.is_silent()


def test_a_relay_response_reaches_a_with_bs_signed_key(lab: Lab, device: Device, client: Connection) -> None:
    client.send(msg("request_relay", id=device.id, uuid="a-session", relay_server=RELAY, secure=True))
    told = device.receive()
    assert told is not None
    with lab.connect(lab.rendezvous, device.ip) as answering:
        fields = {"uuid": "a-session", "relay_server": RELAY, "version": "1.4.9"}
        answering.send(msg("relay_response", socket_addr=told["socket_addr"], id=device.id, **fields))
        answer = client.receive()
        assert answering.is_closed()
    assert answer is not None
    assert identity(lab, answer.fields.pop("pk")) == identity_of(device)
    assert answer == msg("relay_response", **fields), "A's address and B's id are taken out"


def test_a_refusal_reaches_a(lab: Lab, device: Device, client: Connection) -> None:
    client.send(msg("request_relay", id=device.id, uuid="a-session"))
    assert device.receive() is not None
    with lab.connect(lab.rendezvous) as answering:
        answering.send(msg("relay_response", socket_addr=mangle(client.address), refuse_reason="busy"))
    assert client.receive() == msg("relay_response", refuse_reason="busy")
