"""What happens after half a minute. Each scenario runs in the background from the start of the session."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from .lab import assert_passes
from .wire import OFFLINE, TOO_FREQUENT, header, msg

if TYPE_CHECKING:
    from .lab import Lab

EARLIEST_S, LATEST_S = 29.0, 34.0
"""When a time-out of 30 s may be seen."""
PATIENCE_S = 40.0


# --- scenarios ---------------------------------------------------------------------------------------------------


def silent_on_rendezvous(lab: Lab) -> float:
    with lab.connect(lab.rendezvous) as client:
        return client.seconds_until_closed(PATIENCE_S)


def silent_on_nat_test(lab: Lab) -> float:
    with lab.connect(lab.nat_test) as client:
        return client.seconds_until_closed(PATIENCE_S)


def silent_on_relay(lab: Lab) -> float:
    with lab.connect(lab.relay) as client:
        return client.seconds_until_closed(PATIENCE_S)


def unfinished_frame_on_rendezvous(lab: Lab) -> float:
    with lab.connect(lab.rendezvous) as client:
        client.socket.sendall(header(100) + b"1")
        return client.seconds_until_closed(PATIENCE_S)


def waiting_for_an_answer(lab: Lab) -> float:
    with lab.connect(lab.rendezvous) as client:
        client.send(msg("request_relay", id="nobody-at-all"))
        return client.seconds_until_closed(PATIENCE_S)


@dataclass(frozen=True)
class Unpaired:
    """A connection nobody came for."""

    seconds: float
    latecomer_is_paired: bool


def unpaired(lab: Lab) -> Unpaired:
    uuid = secrets.token_hex(16)
    with lab.connect(lab.relay) as client:
        client.send(lab.relay_request(uuid))
        seconds = client.seconds_until_closed(PATIENCE_S)
    with lab.connect(lab.relay) as latecomer, lab.connect(lab.relay) as partner:
        latecomer.send(lab.relay_request(uuid))
        kept = latecomer.is_silent()
        partner.send(lab.relay_request(uuid))
        assert_passes(latecomer, partner)
    return Unpaired(seconds, not kept)


def idle_pair(lab: Lab) -> float:
    with lab.pair() as (first, second):
        assert_passes(first, second)
        seconds = first.seconds_until_closed(PATIENCE_S)
        assert second.is_closed()
        return seconds


def pair_with_a_byte_now_and_then(lab: Lab) -> None:
    with lab.pair() as (first, second):
        for _ in range(4):
            assert_passes(first, second, size=1)
            time.sleep(9.5)
        assert_passes(first, second, size=1)


@dataclass(frozen=True)
class Life:
    """What others see of a device: just before and after 30 s."""

    before: bytes
    after: bytes
    punch_after: object
    last: bytes


def _states(lab: Lab, peer_id: str) -> bytes:
    with lab.connect(lab.nat_test) as client:
        answer = client.ask(msg("online_request", id="me", peers=[peer_id]))
        assert answer is not None
        return bytes(answer["states"])


def _sleep_until(moment: float) -> None:
    time.sleep(max(0.0, moment - time.monotonic()))


def device_that_falls_silent(lab: Lab) -> Life:
    device = lab.device().join()
    start = time.monotonic()
    _sleep_until(start + 28)
    before = _states(lab, device.id)
    _sleep_until(start + 31)
    after = _states(lab, device.id)
    with lab.connect(lab.rendezvous) as client:
        punch = client.ask(lab.punch(device.id))
    assert device.register_peer() == msg("register_peer_response"), "it is still known"
    return Life(before, after, punch, _states(lab, device.id))


def device_with_heartbeats(lab: Lab) -> bytes:
    device = lab.device().join()
    start = time.monotonic()
    for beat in (15, 30):
        _sleep_until(start + beat)
        assert device.register_peer() == msg("register_peer_response")
    _sleep_until(start + 32)
    return _states(lab, device.id)


def device_that_only_repeats_its_registration(lab: Lab) -> bytes:
    device = lab.device().join()
    start = time.monotonic()
    _sleep_until(start + 20)
    assert device.register_pk() == msg("register_pk_response")
    _sleep_until(start + 31)
    return _states(lab, device.id)


def registering_again_after_a_pause(lab: Lab) -> None:
    device = lab.device().join()
    for _ in range(2):
        assert device.register_pk() == msg("register_pk_response")
    assert device.register_pk() == msg("register_pk_response", result=TOO_FREQUENT)
    time.sleep(7.2)
    assert device.register_pk() == msg("register_pk_response")


# --- judged at the end -------------------------------------------------------------------------------------------


@pytest.mark.hbbs
@pytest.mark.background(scenario=silent_on_rendezvous)
def test_hbbs_closes_a_silent_connection_after_30_s(outcome: float) -> None:
    assert EARLIEST_S < outcome < LATEST_S


@pytest.mark.hbbs
@pytest.mark.background(scenario=silent_on_nat_test)
def test_hbbs_closes_a_silent_nat_test_after_30_s(outcome: float) -> None:
    assert EARLIEST_S < outcome < LATEST_S


@pytest.mark.hbbs
@pytest.mark.background(scenario=unfinished_frame_on_rendezvous)
def test_hbbs_closes_on_a_frame_not_finished_within_30_s(outcome: float) -> None:
    assert EARLIEST_S < outcome < LATEST_S


@pytest.mark.hbbs
@pytest.mark.background(scenario=waiting_for_an_answer)
def test_hbbs_closes_a_connection_that_waits_for_an_answer_after_30_s(outcome: float) -> None:
    assert EARLIEST_S < outcome < LATEST_S


@pytest.mark.background(scenario=silent_on_relay)
def test_hbbr_closes_a_connection_without_a_request_after_30_s(outcome: float) -> None:
    assert EARLIEST_S < outcome < LATEST_S


@pytest.mark.background(scenario=unpaired)
def test_hbbr_closes_a_connection_without_a_partner_after_30_s(outcome: Unpaired) -> None:
    assert EARLIEST_S < outcome.seconds < LATEST_S
    assert not outcome.latecomer_is_paired


@pytest.mark.background(scenario=idle_pair)
def test_hbbr_closes_a_pair_without_traffic_after_30_s_checked_every_3_s(outcome: float) -> None:
    assert 30.0 < outcome < 37.0


@pytest.mark.background(scenario=pair_with_a_byte_now_and_then)
def test_hbbr_keeps_a_pair_with_a_little_traffic(outcome: None) -> None:
    assert outcome is None


@pytest.mark.hbbs
@pytest.mark.background(scenario=device_that_falls_silent)
def test_hbbs_takes_a_device_for_offline_30_s_after_its_last_sign(outcome: Life) -> None:
    assert outcome.before == b"\x80"
    assert outcome.after == b"\x00"
    assert outcome.punch_after == msg("punch_hole_response", failure=OFFLINE)
    assert outcome.last == b"\x80", "a heartbeat brings it back"


@pytest.mark.hbbs
@pytest.mark.background(scenario=device_with_heartbeats)
def test_hbbs_keeps_a_device_with_heartbeats_online(outcome: bytes) -> None:
    assert outcome == b"\x80"


@pytest.mark.hbbs
@pytest.mark.background(scenario=device_that_only_repeats_its_registration)
def test_hbbs_takes_a_repeated_registration_for_no_sign_of_life(outcome: bytes) -> None:
    assert outcome == b"\x00"


@pytest.mark.hbbs
@pytest.mark.background(scenario=registering_again_after_a_pause)
def test_hbbs_takes_an_id_again_after_7_s_without_registration(outcome: None) -> None:
    assert outcome is None
