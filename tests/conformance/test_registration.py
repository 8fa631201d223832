"""hbbs over UDP: heartbeats and registrations of controlled devices."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .wire import NOT_SUPPORT, OK, TOO_FREQUENT, UUID_MISMATCH, Message, msg

if TYPE_CHECKING:
    from .lab import Lab

pytestmark = pytest.mark.hbbs

KEY_WANTED = msg("register_peer_response", request_pk=True)
WELCOME = msg("register_peer_response")


def result(number: int) -> Message:
    """Return hbbs's answer to a registration."""
    return msg("register_pk_response", result=number) if number else msg("register_pk_response")


def test_the_heartbeat_of_an_unknown_id_is_asked_for_its_key(lab: Lab) -> None:
    assert lab.device().register_peer() == KEY_WANTED


def test_an_unknown_heartbeat_leaves_nothing_behind(lab: Lab) -> None:
    device = lab.device()
    assert device.register_peer() == KEY_WANTED
    assert device.register_peer() == KEY_WANTED
    with lab.connect(lab.rendezvous) as client:
        assert client.ask(lab.punch(device.id)) == msg("punch_hole_response")  # ID_NOT_EXIST


def test_a_registered_device_is_not_asked_again(lab: Lab) -> None:
    device = lab.device()
    assert device.register_peer() == KEY_WANTED
    assert device.register_pk() == result(OK)
    assert device.register_peer() == WELCOME


def test_a_heartbeat_without_an_id_is_ignored(lab: Lab) -> None:
    device = lab.device()
    device.send(msg("register_peer", serial=3))
    assert device.is_silent()


def test_a_device_is_asked_for_its_key_when_its_address_changes(lab: Lab) -> None:
    device = lab.device().join()
    device.move(lab.sources.fresh())
    assert device.register_peer() == KEY_WANTED
    assert device.register_peer() == KEY_WANTED, "the heartbeat alone must not move the device"
    assert device.register_pk() == result(OK)
    assert device.register_peer() == WELCOME


def test_a_new_port_of_the_same_address_is_no_change(lab: Lab) -> None:
    device = lab.device().join()
    device.move(device.ip)
    assert device.register_peer() == WELCOME


def test_an_id_of_another_machine_is_refused(lab: Lab) -> None:
    device = lab.device().join()
    assert device.register_pk(uuid=b"another machine") == result(UUID_MISMATCH)
    assert device.register_peer() == WELCOME, "the owner keeps the id"


def test_the_same_machine_may_change_its_key_or_its_address(lab: Lab) -> None:
    device = lab.device().join()
    device.pk = b"k" * 32
    assert device.register_pk() == result(OK)
    device.move(lab.sources.fresh())
    assert device.register_pk() == result(OK)


def test_the_same_machine_may_not_change_key_and_address_at_once(lab: Lab) -> None:
    device = lab.device().join()
    device.move(lab.sources.fresh())
    assert device.register_pk(pk=b"k" * 32) == result(UUID_MISMATCH)
    assert device.register_pk() == result(OK)


@pytest.mark.parametrize(("length", "number"), [(1, UUID_MISMATCH), (5, UUID_MISMATCH), (6, OK)])
def test_an_id_shorter_than_six_bytes_is_refused(lab: Lab, length: int, number: int) -> None:
    device = lab.device()
    assert device.register_pk(id=device.id[-length:]) == result(number)


@pytest.mark.parametrize("missing", ["uuid", "pk"])
def test_a_registration_without_machine_or_key_is_ignored(lab: Lab, missing: str) -> None:
    device = lab.device()
    device.send(msg("register_pk", **{"id": device.id, "uuid": device.uuid, "pk": device.pk, missing: b""}))
    assert device.is_silent()


def test_a_fourth_registration_of_an_id_in_a_row_is_too_frequent(lab: Lab) -> None:
    device = lab.device()
    answers = [device.register_pk() for _ in range(5)]
    assert answers == [result(OK)] * 3 + [result(TOO_FREQUENT)] * 2


def test_an_address_may_register_32_ids_in_a_row(lab: Lab) -> None:
    address = lab.sources.fresh()
    devices = [lab.device(address) for _ in range(34)]
    answers = [device.register_pk() for device in devices]
    assert answers == [result(OK)] * 32 + [result(TOO_FREQUENT)] * 2
    assert devices[0].register_peer() == WELCOME, "heartbeats are not limited"
    assert lab.device().register_pk() == result(OK), "another address is not concerned"


def test_registration_over_tcp_is_not_supported(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as client:
        answer = client.ask(msg("register_pk", id="tcp-device", uuid=b"machine", pk=b"k" * 32))
        assert answer == result(NOT_SUPPORT)
        assert client.is_closed()


def test_a_heartbeat_over_tcp_closes_the_connection(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as client:
        client.send(msg("register_peer", id="tcp-device"))
        assert client.is_closed()
