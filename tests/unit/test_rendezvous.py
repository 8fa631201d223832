"""The wire codec: round trips, its own errors only, bounded memory."""

from __future__ import annotations

import contextlib
import ipaddress
import itertools
import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from ansible.module_utils import rendezvous as wire
from hypothesis import example, given, settings
from hypothesis import strategies as st

from .wire_examples import vectors
from .wire_strategies import MESSAGES

if TYPE_CHECKING:
    from collections.abc import Callable

FUZZ_ROUNDS = 20_000
SAMPLES = [bytes.fromhex(case["payload"]) for case in vectors("messages")["cases"]]


def decode_frames(chunks: list[bytes], max_frame: int = wire.MAX_FRAME) -> list[bytes]:
    decoder = wire.FrameDecoder(max_frame)
    frames: list[bytes] = []
    for chunk in chunks:
        decoder.feed(chunk)
        frames.extend(decoder.frames())
    assert decoder.pending == b""
    return frames


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


# --- Round trips --------------------------------------------------------------------------


@settings(max_examples=300)
@given(MESSAGES)
def test_every_message_is_read_as_it_was_written(message: wire.Message) -> None:
    assert wire.decode_message(wire.encode_message(message)) == message


@given(st.lists(st.binary(max_size=300), max_size=5), st.lists(st.integers(0, 2000), max_size=8))
@example([bytes(0x3F), bytes(0x40), bytes(0x3FFF), bytes(0x4000)], [1, 2, 64, 65, 66])
def test_frames_survive_any_cutting_of_the_stream(payloads: list[bytes], places: list[int]) -> None:
    stream = b"".join(map(wire.encode_frame, payloads))
    assert decode_frames(cut(stream, places)) == payloads


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_what_follows_a_frame_stays_untouched(payload: bytes, rest: bytes) -> None:
    decoder = wire.FrameDecoder()
    decoder.feed(wire.encode_frame(payload) + rest)
    assert decoder.next_frame() == payload
    assert decoder.pending == rest


@given(
    st.ip_addresses().filter(lambda ip: wire._as_ipv4(str(ip)) is None or ip.version == 4),
    st.integers(0, 0xFFFF),
    st.integers(0, 2**70),
)
def test_addresses_survive_mangling(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address, port: int, microseconds: int
) -> None:
    assert wire.unmangle_address(wire.mangle_address(str(address), port, microseconds)) == (str(address), port)


@given(st.binary(max_size=40))
def test_every_mangled_address_can_be_read(mangled: bytes) -> None:
    address, port = wire.unmangle_address(mangled)
    assert str(ipaddress.ip_address(address)) == address
    assert 0 <= port <= 0xFFFF


# --- Refusals -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        wire.TestNatRequest(serial=1 << 31),
        wire.TestNatRequest(serial=-(1 << 31) - 1),
        wire.RegisterPeer(id="\ud800"),
        wire.PunchHoleResponse(nat_type=1, is_local=True),
        wire.RelayResponse(id="", pk=b""),
    ],
)
def test_a_message_that_cannot_be_written_is_refused(message: wire.Message) -> None:
    with pytest.raises(wire.WireError):
        wire.encode_message(message)


@pytest.mark.parametrize(("address", "port"), [("no address", 1), ("192.0.2.1", -1), ("192.0.2.1", 65536), ("", 1)])
def test_an_address_that_cannot_be_mangled_is_refused(address: str, port: int) -> None:
    with pytest.raises(wire.WireError):
        wire.mangle_address(address, port, 0)


@given(st.integers(0, 3), st.integers(1, 0x3FFFFFFF))
def test_a_frame_beyond_the_limit_is_refused_before_its_payload(extra: int, length: int) -> None:
    size = max(extra + 1, (length.bit_length() + 2 + 7) // 8)
    header = (length << 2 | size - 1).to_bytes(size, "little")
    decoder = wire.FrameDecoder(max_frame=length - 1)
    decoder.feed(header)
    with pytest.raises(wire.WireError, match=f"frame of {length} bytes"):
        decoder.next_frame()


@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_half_a_header_waits_for_the_rest(size: int) -> None:
    decoder = wire.FrameDecoder()
    header = (3 << 2 | size - 1).to_bytes(size, "little")
    for byte in header[:-1]:
        decoder.feed(bytes([byte]))
        assert decoder.next_frame() is None
    decoder.feed(header[-1:] + b"abc")
    assert decoder.next_frame() == b"abc"


# --- Hostile input --------------------------------------------------------------------------


def only_wire_errors(function: Callable[..., Any], *arguments: Any) -> None:
    with contextlib.suppress(wire.WireError):
        function(*arguments)


def decode_stream(data: bytes) -> None:
    decoder = wire.FrameDecoder()
    decoder.feed(data)
    for payload in decoder.frames():
        wire.decode_message(payload)


@settings(max_examples=500)
@given(st.binary(max_size=400))
def test_any_bytes_decode_or_raise_the_codecs_error(data: bytes) -> None:
    only_wire_errors(wire.decode_message, data)
    only_wire_errors(decode_stream, data)


@settings(max_examples=500)
@given(MESSAGES, st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_messages_decode_or_raise_the_codecs_error(
    message: wire.Message, changes: list[tuple[int, int]]
) -> None:
    payload = bytearray(wire.encode_message(message))
    for place, value in changes:
        payload[place % len(payload)] = value
    only_wire_errors(wire.decode_message, bytes(payload))


def mutate(chance: random.Random, data: bytes) -> bytes:
    """Cut, double, insert and flip."""
    out = bytearray(data)
    for _ in range(chance.randint(1, 6)):
        place = chance.randrange(len(out) + 1)
        match chance.randrange(5):
            case 0:
                del out[place:]
            case 1:
                out[place:place] = out[: chance.randrange(len(out) + 1)]
            case 2:
                out[place:place] = chance.randbytes(chance.randint(1, 12))
            case 3 if out:
                out[place % len(out)] ^= 1 << chance.randrange(8)
            case _:
                out[place:place] = b"\xff" * chance.randint(1, 12)
        del out[2000:]
    return bytes(out)


def test_mutated_messages_decode_or_raise_the_codecs_error() -> None:
    chance = random.Random(20261122)
    outcomes = {"read": 0, "refused": 0}
    for _ in range(FUZZ_ROUNDS):
        data = mutate(chance, chance.choice(SAMPLES))
        try:
            wire.decode_message(data)
            outcomes["read"] += 1
        except wire.WireError:
            outcomes["refused"] += 1
        only_wire_errors(decode_stream, data)
    # A fuzz that only ever takes one way through the decoder tests nothing.
    assert min(outcomes.values()) > FUZZ_ROUNDS // 20


def nested(depth: int) -> bytes:
    """Wrap a field in a field, again and again, as deep as a stack would have to follow."""
    data = b""
    for _ in range(depth):
        data = b"\x12" + wire._encode_varint(len(data)) + data
    return data


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("deep nesting", b"\xaa\x01" + wire._encode_varint(len(nested(20_000))) + nested(20_000)),
        ("open groups", b"\x0b" * 60_000),
        ("many empty strings", b"\xba\x01" + wire._encode_varint(60_000) + b"\x12\x00" * 30_000),
        ("many unknown fields", b"\xb8\x3e\x01" * 20_000),
        ("one field of the largest size", b"\x32" + wire._encode_varint(65_000) + b"\x0a" + bytes(64_999)),
        ("an announced giant", b"\x32\xff\xff\xff\xff\x0f"),
    ],
)
def test_hostile_payload_takes_bounded_memory(name: str, data: bytes) -> None:
    assert name
    peak = peak_memory(lambda: only_wire_errors(wire.decode_message, data))
    # Thirty thousand empty strings cost a pointer each, and the list and the tuple of them.
    assert peak < 20 * len(data) + 64 * 1024


def peak_memory(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_a_stream_takes_no_more_memory_than_one_frame() -> None:
    max_frame = 4096
    chunk = wire.encode_frame(bytes(max_frame)) * 4

    def read() -> None:
        decoder = wire.FrameDecoder(max_frame)
        for _ in range(500):
            decoder.feed(chunk)
            assert sum(len(frame) for frame in decoder.frames()) == 4 * max_frame

    assert peak_memory(read) < 8 * len(chunk)


def test_an_endless_frame_is_refused_at_its_header() -> None:
    def read() -> None:
        decoder = wire.FrameDecoder(max_frame=1024)
        decoder.feed(b"\xff\xff\xff\xff")
        with pytest.raises(wire.WireError):
            decoder.next_frame()

    assert peak_memory(read) < 64 * 1024
