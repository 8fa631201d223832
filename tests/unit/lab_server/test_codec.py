"""The lab server's codec agrees with the wire examples, which it shares with the probe's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rustdesk_lab import codec

from ..wire_examples import vectors  # noqa: TID252 - the tests are no installed package

FRAMING, MESSAGES, ADDRESSES = vectors("framing"), vectors("messages"), vectors("addr_mangle")
KNOWN = [case for case in MESSAGES["cases"] if hasattr(codec, case["kind"])]


def named(cases: list[dict[str, Any]]) -> list[Any]:
    assert cases
    return [pytest.param(case, id=case.get("name")) for case in cases]


def plain(value: Any) -> Any:
    """Turn a field into its JSON form."""
    if isinstance(value, codec.Message):
        return {name: plain(item) for name, item in vars(value).items() if item and name != "unknown"}
    return {"hex": value.hex()} if isinstance(value, bytes) else value


def frames_of(decoder: codec.FrameDecoder) -> list[bytes]:
    return list(iter(decoder.next_frame, None))


def test_the_examples_cover_what_the_daemons_speak() -> None:
    assert len(KNOWN) >= 20


@pytest.mark.parametrize("case", named(KNOWN))
def test_messages_are_read_and_written_as_in_the_examples(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    message = codec.decode_message(payload)
    assert type(message).__name__ == case["kind"]
    for name, value in case["fields"].items():
        if hasattr(message, name):
            assert plain(getattr(message, name)) == value
    assert message is not None
    assert codec.encode_message(message) == payload


@pytest.mark.parametrize("case", named(MESSAGES["decode_only"]))
def test_unusual_encodings_are_read(case: dict[str, Any]) -> None:
    message = codec.decode_message(bytes.fromhex(case["payload"]))
    assert type(message).__name__ == case["kind"]
    assert plain(message) == case["fields"]


@pytest.mark.parametrize("case", named(MESSAGES["nothing"]))
def test_what_the_daemons_do_not_know_is_nothing(case: dict[str, Any]) -> None:
    assert codec.decode_message(bytes.fromhex(case["payload"])) is None


@pytest.mark.parametrize("case", named(MESSAGES["malformed"]))
def test_malformed_messages_are_refused(case: dict[str, Any]) -> None:
    with pytest.raises(codec.WireError):
        codec.decode_message(bytes.fromhex(case["payload"]))


@given(st.binary(max_size=200))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        codec.decode_message(data)
    except codec.WireError:
        return


def test_unknown_fields_of_a_forwarded_message_are_kept() -> None:
    payload = codec.encode_message(codec.RequestRelay("id", "uuid", unknown=bytes.fromhex("5a0178")))
    message = codec.decode_message(payload)
    assert isinstance(message, codec.RequestRelay)
    message.socket_addr = b"A"
    assert codec.encode_message(message).endswith(bytes.fromhex("5a0178"))


@pytest.mark.parametrize("case", [*FRAMING["frames"], *FRAMING["longer_headers"]], ids=lambda case: case["name"])
def test_frames_are_read_as_in_the_examples(case: dict[str, Any]) -> None:
    decoder = codec.FrameDecoder()
    for byte in bytes.fromhex(case["frame"]):
        assert decoder.next_frame() is None
        decoder.feed(bytes([byte]))
    assert frames_of(decoder) == [bytes.fromhex(case["payload"])]


@pytest.mark.parametrize("case", named(FRAMING["frames"]))
def test_frames_are_written_as_in_the_examples(case: dict[str, Any]) -> None:
    assert codec.encode_frame(bytes.fromhex(case["payload"])).hex() == case["frame"]


@pytest.mark.parametrize("case", [case for case in FRAMING["headers"] if case["length"] < 1 << 24], ids=str)
def test_headers_are_the_shortest(case: dict[str, Any]) -> None:
    frame = codec.encode_frame(bytes(case["length"]))
    assert frame[: len(frame) - case["length"]].hex() == case["header"]


@given(st.lists(st.binary(max_size=100), max_size=5), st.integers(1, 50))
def test_any_fragmentation_gives_the_same_frames(payloads: list[bytes], step: int) -> None:
    stream = b"".join(codec.encode_frame(payload) for payload in payloads)
    decoder, frames = codec.FrameDecoder(), []
    for start in range(0, len(stream), step):
        decoder.feed(stream[start : start + step])
        frames += frames_of(decoder)
    assert frames == payloads


def test_what_follows_the_last_frame_is_kept_apart() -> None:
    decoder = codec.FrameDecoder()
    decoder.feed(codec.encode_frame(b"request") + b"\x0c raw")
    assert decoder.next_frame() == b"request"
    assert decoder.take_rest() == b"\x0c raw"


def test_a_frame_too_long_for_a_header_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(codec, "MAX_FRAME", 10)
    with pytest.raises(codec.WireError):
        codec.encode_frame(bytes(11))


@pytest.mark.parametrize("case", [*ADDRESSES["cases"], *ADDRESSES["same_as_ipv4"]], ids=str)
def test_addresses_are_mangled_as_in_the_examples(case: dict[str, Any]) -> None:
    mangled = codec.mangle_address((case["address"], case["port"]), case["microseconds"])
    assert mangled.hex() == case["mangled"]


@pytest.mark.parametrize("case", [*ADDRESSES["cases"], *ADDRESSES["decode_only"]], ids=str)
def test_addresses_are_recovered_as_in_the_examples(case: dict[str, Any]) -> None:
    assert codec.unmangle_address(bytes.fromhex(case["mangled"])) == (case["address"], case["port"])
