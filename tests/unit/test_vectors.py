"""The wire examples hold for the Python implementation."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils import config_string
from ansible.module_utils import rendezvous as wire

from .wire_examples import vectors

FRAMING = vectors("framing")
MESSAGES = vectors("messages")
ADDRESSES = vectors("addr_mangle")
CONFIGS = vectors("config_string")


def named(cases: list[dict[str, Any]]) -> list[Any]:
    assert cases
    return [pytest.param(case, id=case.get("name")) for case in cases]


def build(kind: type[Any], fields: dict[str, Any]) -> Any:
    """Make a message from its JSON form."""
    values = {}
    for name, value in fields.items():
        if name == "cu":
            values[name] = build(wire.ConfigUpdate, value)
        elif isinstance(value, list):
            values[name] = tuple(from_json(item) for item in value)
        else:
            values[name] = from_json(value)
    return kind(**values)


def from_json(value: Any) -> Any:
    return bytes.fromhex(value["hex"]) if isinstance(value, dict) else value


def message(case: dict[str, Any]) -> Any:
    return build(getattr(wire, case["kind"]), case["fields"])


def decoded(frame: bytes) -> tuple[bytes | None, bytes]:
    decoder = wire.FrameDecoder()
    decoder.feed(frame)
    return decoder.next_frame(), decoder.pending


class OfLength(bytes):
    """Claims a length without holding it; a frame of a gigabyte is not worth a test."""

    length: int

    def __len__(self) -> int:
        return self.length


@pytest.mark.parametrize("case", FRAMING["headers"], ids=lambda case: f"{case['length']:#x}")
def test_header(case: dict[str, Any]) -> None:
    payload = OfLength()
    payload.length = case["length"]
    assert wire.encode_frame(payload).hex() == case["header"]


@pytest.mark.parametrize("case", FRAMING["headers"], ids=lambda case: f"{case['length']:#x}")
def test_header_is_read_with_that_length(case: dict[str, Any]) -> None:
    header, length = bytes.fromhex(case["header"]), case["length"]
    if length:
        too_small = wire.FrameDecoder(max_frame=length - 1)
        too_small.feed(header)
        with pytest.raises(wire.WireError, match=f"frame of {length} bytes"):
            too_small.next_frame()
    decoder = wire.FrameDecoder(max_frame=length)
    decoder.feed(header)
    assert decoder.next_frame() == (None if length else b"")


@pytest.mark.parametrize("case", named(FRAMING["frames"]))
def test_frame(case: dict[str, Any]) -> None:
    payload, frame = bytes.fromhex(case["payload"]), bytes.fromhex(case["frame"])
    assert wire.encode_frame(payload) == frame
    assert decoded(frame) == (payload, b"")


@pytest.mark.parametrize("case", named(FRAMING["longer_headers"]))
def test_longer_header_than_necessary(case: dict[str, Any]) -> None:
    assert decoded(bytes.fromhex(case["frame"])) == (bytes.fromhex(case["payload"]), b"")


@pytest.mark.parametrize("case", named(MESSAGES["cases"]))
def test_message(case: dict[str, Any]) -> None:
    payload = bytes.fromhex(case["payload"])
    assert wire.encode_message(message(case)).hex() == case["payload"]
    assert wire.decode_message(payload) == message(case)


@pytest.mark.parametrize("case", named(MESSAGES["decode_only"]))
def test_message_read_only(case: dict[str, Any]) -> None:
    assert wire.decode_message(bytes.fromhex(case["payload"])) == message(case)


@pytest.mark.parametrize("case", named(MESSAGES["nothing"]))
def test_no_message(case: dict[str, Any]) -> None:
    assert wire.decode_message(bytes.fromhex(case["payload"])) is None


@pytest.mark.parametrize("case", named(MESSAGES["malformed"]))
def test_malformed_message(case: dict[str, Any]) -> None:
    with pytest.raises(wire.WireError):
        wire.decode_message(bytes.fromhex(case["payload"]))


@pytest.mark.parametrize("case", ADDRESSES["cases"] + ADDRESSES["same_as_ipv4"])
def test_mangled_address(case: dict[str, Any]) -> None:
    mangled = wire.mangle_address(case["address"], case["port"], case["microseconds"])
    assert mangled.hex() == case["mangled"]


@pytest.mark.parametrize("case", ADDRESSES["cases"] + ADDRESSES["decode_only"])
def test_address_is_read(case: dict[str, Any]) -> None:
    assert wire.unmangle_address(bytes.fromhex(case["mangled"])) == (case["address"], case["port"])


@pytest.mark.parametrize("case", named(CONFIGS["cases"]))
def test_config_string(case: dict[str, Any]) -> None:
    assert config_string.encode(case["config"]) == case["string"]
    assert config_string.parse(case["string"]) == case["config"]


@pytest.mark.parametrize("case", named(CONFIGS["parse_only"]))
def test_config_string_read_only(case: dict[str, Any]) -> None:
    assert config_string.parse(case["string"]) == case["config"]


@pytest.mark.parametrize("case", named(CONFIGS["malformed"]))
def test_malformed_config_string(case: dict[str, Any]) -> None:
    with pytest.raises(config_string.ConfigStringError):
        config_string.parse(case["string"])
