"""hbbs over TCP: the NAT test on both ports and the online query."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .wire import msg

if TYPE_CHECKING:
    from .lab import Lab

pytestmark = pytest.mark.hbbs


@pytest.mark.parametrize("port", ["rendezvous", "nat_test"])
def test_the_nat_test_reports_the_true_source_port(lab: Lab, port: str) -> None:
    for _ in range(2):
        with lab.connect(getattr(lab, port)) as client:
            assert client.ask(msg("test_nat_request")) == msg("test_nat_response", port=client.address[1])
            assert client.is_closed(), "the connection ends with the answer"


def test_online_states_are_one_bit_per_id_the_first_in_the_highest(lab: Lab) -> None:
    here, there = lab.device().join(), lab.device().join()
    for position in range(18):
        ids = ["nobody"] * 18
        ids[position] = here.id
        expected = bytearray(3)
        expected[position // 8] = 0x80 >> position % 8
        assert online(lab, ids) == bytes(expected), f"position {position}"
    assert online(lab, [here.id, "nobody", there.id]) == bytes([0b10100000])


def test_the_online_query_asks_for_no_key_and_closes(lab: Lab) -> None:
    with lab.connect(lab.nat_test) as client:
        assert client.ask(msg("online_request", id="me", peers=["nobody"])) == msg("online_response", states=b"\0")
        assert client.is_closed()


def test_no_ids_give_no_states(lab: Lab) -> None:
    assert online(lab, []) == b""


def test_the_rendezvous_port_does_not_answer_the_online_query(lab: Lab) -> None:
    with lab.connect(lab.rendezvous) as client:
        client.send(msg("online_request", id="me", peers=["nobody"]))
        assert client.is_closed()


def test_the_nat_test_port_does_not_answer_punch_requests(lab: Lab) -> None:
    with lab.connect(lab.nat_test) as client:
        client.send(lab.punch("nobody"))
        assert client.is_closed()


def online(lab: Lab, ids: list[str]) -> bytes:
    """Return the states of the ids."""
    with lab.connect(lab.nat_test) as client:
        answer = client.ask(msg("online_request", id="me", peers=ids))
    assert answer is not None
    assert answer.name == "online_response"
    return bytes(answer["states"])
