"""A client's view of the wire, kept small: frames, the messages of the rendezvous protocol, mangled addresses."""

from __future__ import annotations

import ipaddress
import time
from dataclasses import dataclass, field
from typing import Any

Address = tuple[str, int]

# name: (number in RendezvousMessage.union, {field: (number, type)}); a list type is a repeated field
MESSAGES: dict[str, tuple[int, dict[str, tuple[int, Any]]]] = {
    "register_peer": (6, {"id": (1, str), "serial": (2, int)}),
    "register_peer_response": (7, {"request_pk": (2, bool)}),
    "punch_hole_request": (
        8,
        {
            "id": (1, str),
            "nat_type": (2, int),
            "licence_key": (3, str),
            "conn_type": (4, int),
            "token": (5, str),
            "version": (6, str),
        },
    ),
    "punch_hole": (9, {"socket_addr": (1, bytes), "relay_server": (2, str), "nat_type": (3, int)}),
    "punch_hole_sent": (
        10,
        {
            "socket_addr": (1, bytes),
            "id": (2, str),
            "relay_server": (3, str),
            "nat_type": (4, int),
            "version": (5, str),
        },
    ),
    "punch_hole_response": (
        11,
        {
            "socket_addr": (1, bytes),
            "pk": (2, bytes),
            "failure": (3, int),
            "relay_server": (4, str),
            "nat_type": (5, int),
            "is_local": (6, bool),
            "other_failure": (7, str),
        },
    ),
    "fetch_local_addr": (12, {"socket_addr": (1, bytes), "relay_server": (2, str)}),
    "local_addr": (
        13,
        {
            "socket_addr": (1, bytes),
            "local_addr": (2, bytes),
            "relay_server": (3, str),
            "id": (4, str),
            "version": (5, str),
        },
    ),
    "register_pk": (15, {"id": (1, str), "uuid": (2, bytes), "pk": (3, bytes)}),
    "register_pk_response": (16, {"result": (1, int), "keep_alive": (2, int)}),
    "request_relay": (
        18,
        {
            "id": (1, str),
            "uuid": (2, str),
            "socket_addr": (3, bytes),
            "relay_server": (4, str),
            "secure": (5, bool),
            "licence_key": (6, str),
            "conn_type": (7, int),
            "token": (8, str),
        },
    ),
    "relay_response": (
        19,
        {
            "socket_addr": (1, bytes),
            "uuid": (2, str),
            "relay_server": (3, str),
            "id": (4, str),
            "pk": (5, bytes),
            "refuse_reason": (6, str),
            "version": (7, str),
        },
    ),
    "test_nat_request": (20, {"serial": (1, int)}),
    "test_nat_response": (21, {"port": (1, int)}),
    "online_request": (23, {"id": (1, str), "peers": (2, [str])}),
    "online_response": (24, {"states": (1, bytes)}),
}
_NAMES = {number: name for name, (number, _) in MESSAGES.items()}

# RegisterPkResponse.result
OK, UUID_MISMATCH, TOO_FREQUENT, NOT_SUPPORT = 0, 2, 4, 6
# PunchHoleResponse.failure
ID_NOT_EXIST, OFFLINE, LICENSE_MISMATCH = 0, 2, 3
# NatType
ASYMMETRIC, SYMMETRIC = 1, 2


@dataclass
class Message:
    """A message with the fields that are on the wire, whatever their value."""

    name: str
    fields: dict[str, Any] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        """Return a field, its type's zero value when it is not on the wire."""
        kind = MESSAGES[self.name][1][name][1]
        return self.fields.get(name, [] if isinstance(kind, list) else kind())


def msg(name: str, **fields: Any) -> Message:
    """Write down a message."""
    return Message(name, fields)


def varint(value: int) -> bytes:
    """Encode an unsigned number."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + varint(rest) if rest else bytes([low])


def delimited(number: int, content: bytes) -> bytes:
    """Encode a field of bytes."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def _encode_field(number: int, value: Any) -> bytes:
    if isinstance(value, list):
        return b"".join(_encode_field(number, item) for item in value)
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return delimited(number, value.encode() if isinstance(value, str) else value)


def encode(message: Message, padding: int = 0) -> bytes:
    """Serialise a message; ``padding`` adds that many bytes in a field that no version of the protocol knows."""
    number, schema = MESSAGES[message.name]
    body = b"".join(_encode_field(schema[name][0], value) for name, value in message.fields.items())
    if padding:
        body += delimited(1000, bytes(padding))
    return delimited(number, body)


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position


def read_fields(data: bytes) -> list[tuple[int, Any]]:
    """Split a protobuf message into (field number, number or bytes)."""
    fields: list[tuple[int, Any]] = []
    position = 0
    while position < len(data):
        tag, position = _read_varint(data, position)
        value, position = _read_varint(data, position)
        if tag & 7 == 2:
            end = position + value
            assert end <= len(data), "a field ends early"
            fields.append((tag >> 3, data[position:end]))
            position = end
        else:
            assert tag & 7 == 0, f"wire type {tag & 7} is not expected"
            fields.append((tag >> 3, value))
    return fields


def decode(data: bytes) -> Message:
    """Parse what a server sent; an AssertionError or KeyError when it is not a known message with known fields."""
    ((number, body),) = read_fields(data)
    name = _NAMES[number]
    by_number = {field_number: (field, kind) for field, (field_number, kind) in MESSAGES[name][1].items()}
    message = Message(name)
    for field_number, value in read_fields(body):
        field_name, kind = by_number[field_number]
        if kind is str:
            message.fields[field_name] = value.decode()
        else:
            message.fields[field_name] = bool(value) if kind is bool else value
    return message


def header(size: int, width: int = 0) -> bytes:
    """Return the header of a frame of ``size`` bytes, of the shortest or of a given width (1 to 4 bytes)."""
    width = width or next(bytes_ for bytes_ in (1, 2, 3, 4) if size < 1 << 8 * bytes_ - 2)
    return (size << 2 | width - 1).to_bytes(width, "little")


def frame(payload: bytes, width: int = 0) -> bytes:
    """Put a header in front of a payload."""
    return header(len(payload), width) + payload


def mangle(address: Address, salt: int | None = None) -> bytes:
    """Mangle an IPv4 address as clients do."""
    salt = (time.time_ns() // 1000 if salt is None else salt) & 0xFFFFFFFF
    ip = int.from_bytes(ipaddress.IPv4Address(address[0]).packed, "little")
    number = (ip + salt << 49) + (salt << 17) + address[1] + (salt & 0xFFFF)
    return number.to_bytes((number.bit_length() + 7) // 8, "little")


def unmangle(data: bytes) -> Address:
    """Recover a mangled IPv4 address."""
    assert len(data) <= 16, "not a mangled IPv4 address"
    number = int.from_bytes(data, "little")
    salt = number >> 17 & 0xFFFFFFFF
    ip = (number >> 49) - salt & 0xFFFFFFFF
    return str(ipaddress.IPv4Address(ip.to_bytes(4, "little"))), (number & 0xFFFFFF) - (salt & 0xFFFF) & 0xFFFF
