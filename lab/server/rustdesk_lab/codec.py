"""The wire: length-prefixed frames, the protobuf messages of the rendezvous protocol, and mangled addresses.

Only what the two daemons read or write is described. Written independently of
``plugins/module_utils/rendezvous.py`` on purpose: each of the two finds the other's errors.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

Address = tuple[str, int]
"""An IP address in text form and a port."""

MAX_FRAME = 0x3FFFFFFF
"""The longest payload a frame header can announce, in bytes."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_UINT64 = (1 << 64) - 1

T = TypeVar("T")


class WireError(ValueError):
    """The bytes are not a message of this protocol."""


# --- frames ------------------------------------------------------------------------------------------------------


def encode_frame(payload: bytes) -> bytes:
    """Put the shortest length header in front of a payload; raise WireError when it is longer than MAX_FRAME."""
    size = len(payload)
    if size > MAX_FRAME:
        raise WireError(f"a frame cannot carry {size} bytes")
    width = 1 if size <= 0x3F else 2 if size <= 0x3FFF else 3 if size <= 0x3FFFFF else 4
    return (size << 2 | width - 1).to_bytes(width, "little") + payload


class FrameDecoder:
    """Cuts a byte stream into frames. Headers longer than necessary are accepted, as upstream does."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Append received bytes."""
        self._buffer += data

    def next_frame(self) -> bytes | None:
        """Take the next complete payload, or None when more bytes are needed."""
        buffer = self._buffer
        if not buffer:
            return None
        width = (buffer[0] & 3) + 1
        if len(buffer) < width:
            return None
        end = width + (int.from_bytes(buffer[:width], "little") >> 2)
        if len(buffer) < end:
            return None
        payload = bytes(buffer[width:end])
        del buffer[:end]
        return payload

    def take_rest(self) -> bytes:
        """Take everything that was received after the last frame."""
        rest = bytes(self._buffer)
        self._buffer.clear()
        return rest


# --- protobuf ----------------------------------------------------------------------------------------------------


def _encode_varint(value: int) -> bytes:
    value &= _UINT64
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _decode_varint(data: bytes, position: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if position >= len(data):
            raise WireError("a number ends early")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    if byte > 0x7F or value > _UINT64:
        raise WireError("a number has more than 64 bits")
    return value, position


def _walk(data: bytes) -> Iterator[tuple[int, int, int | bytes, bytes]]:
    """Yield (field number, wire type, value, raw bytes of the whole field)."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _decode_varint(data, position)
        number, kind = tag >> 3, tag & 7
        value: int | bytes
        if not 0 < number < 1 << 29:
            raise WireError(f"field number {number} does not exist")
        if kind == _VARINT:
            value, position = _decode_varint(data, position)
        elif kind in (_BYTES, _FIXED64, _FIXED32):
            if kind == _BYTES:
                size, position = _decode_varint(data, position)
            else:
                size = 8 if kind == _FIXED64 else 4
            if size > len(data) - position:
                raise WireError("a field ends early")
            value = data[position : position + size]
            position += size
        else:
            raise WireError(f"wire type {kind} does not occur in this protocol")
        yield number, kind, value, data[start:position]


def _signed32(value: int) -> int:
    return ((value & 0xFFFFFFFF) ^ 0x80000000) - 0x80000000


def _encode_field(number: int, value: object) -> bytes:
    if isinstance(value, int):
        return _encode_varint(number << 3 | _VARINT) + _encode_varint(value)
    if isinstance(value, Message):
        content = value.encode()
    else:
        content = value.encode() if isinstance(value, str) else cast("bytes", value)
    return _encode_varint(number << 3 | _BYTES) + _encode_varint(len(content)) + content


def _decode_value(kind: type, value: int | bytes) -> object:
    """Convert a raw value to the field's type; the caller has matched the wire type."""
    if isinstance(value, int):
        return bool(value) if kind is bool else _signed32(value)
    if kind is str:
        try:
            return value.decode()
        except UnicodeDecodeError as error:
            raise WireError("a text is not UTF-8") from error
    if issubclass(kind, Message):
        return kind.decode(value)
    return value


def _wire(number: int, kind: type[T]) -> T:
    """Declare a field that is left out when it has its type's zero value."""
    return dataclasses.field(default=kind(), metadata={"number": number, "kind": kind})


def _present(number: int, kind: type[T]) -> T | None:
    """Declare a member of the message's oneof: at most one is set, and it is written whatever its value."""
    return dataclasses.field(default=None, metadata={"number": number, "kind": kind, "oneof": True})


def _repeated(number: int, kind: type) -> dict[str, Any]:
    """Return the metadata of a repeated field."""
    return {"number": number, "kind": kind, "repeated": True}


M = TypeVar("M", bound="Message")


@dataclasses.dataclass
class Message:
    """A protobuf message. Subclasses declare their fields; unknown ones are kept and written again."""

    UNION: ClassVar[int] = 0
    """Number of the message in ``RendezvousMessage.union``; 0 for a message that only occurs inside others."""

    unknown: bytes = dataclasses.field(default=b"", kw_only=True, repr=False)

    @classmethod
    def decode(cls: type[M], data: bytes) -> M:
        """Parse a message; raise WireError when the bytes are not one."""
        message, fields = cls(), _fields(cls)
        for number, wire_type, value, raw in _walk(data):
            field = fields.get(number)
            kind = field.metadata["kind"] if field else None
            if field is None or kind is None or wire_type != (_VARINT if kind in (int, bool) else _BYTES):
                message.unknown += raw
            elif field.metadata.get("repeated"):
                getattr(message, field.name).append(_decode_value(kind, value))
            else:
                if field.metadata.get("oneof"):
                    message._clear_oneof()
                setattr(message, field.name, _decode_value(kind, value))
        return message

    def _clear_oneof(self) -> None:
        for field in _fields(type(self)).values():
            if field.metadata.get("oneof"):
                setattr(self, field.name, None)

    def encode(self) -> bytes:
        """Serialise the message; fields with their zero value are left out."""
        out = bytearray()
        for number, field in _fields(type(self)).items():
            value = getattr(self, field.name)
            if field.metadata.get("repeated"):
                for item in value:
                    out += _encode_field(number, item)
            elif value is not None and (field.default is None or value != field.default):
                out += _encode_field(number, value)
        return bytes(out) + self.unknown


_FIELDS: dict[str, dict[int, dataclasses.Field[Any]]] = {}


def _fields(kind: type[Message]) -> dict[int, dataclasses.Field[Any]]:
    if kind.__name__ not in _FIELDS:
        numbered = {field.metadata["number"]: field for field in dataclasses.fields(kind) if field.metadata}
        _FIELDS[kind.__name__] = numbered
    return _FIELDS[kind.__name__]


@dataclasses.dataclass
class RegisterPeer(Message):
    """Heartbeat of a device, over UDP."""

    UNION = 6
    id: str = _wire(1, str)
    serial: int = _wire(2, int)


@dataclasses.dataclass
class RegisterPeerResponse(Message):
    """Answer to a heartbeat."""

    UNION = 7
    request_pk: bool = _wire(2, bool)


@dataclasses.dataclass
class PunchHoleRequest(Message):
    """A wants to reach B."""

    UNION = 8
    id: str = _wire(1, str)
    nat_type: int = _wire(2, int)
    licence_key: str = _wire(3, str)


@dataclasses.dataclass
class PunchHole(Message):
    """Tells B that A wants to reach it, over UDP."""

    UNION = 9
    socket_addr: bytes = _wire(1, bytes)
    relay_server: str = _wire(2, str)
    nat_type: int = _wire(3, int)


@dataclasses.dataclass
class PunchHoleSent(Message):
    """B is ready to be reached by A."""

    UNION = 10
    socket_addr: bytes = _wire(1, bytes)
    id: str = _wire(2, str)
    relay_server: str = _wire(3, str)
    nat_type: int = _wire(4, int)
    version: str = _wire(5, str)


@dataclasses.dataclass
class PunchHoleResponse(Message):
    """Answer to A: B's address and signed key, or why not."""

    UNION = 11
    socket_addr: bytes = _wire(1, bytes)
    pk: bytes = _wire(2, bytes)
    failure: int = _wire(3, int)
    relay_server: str = _wire(4, str)
    nat_type: int | None = _present(5, int)
    is_local: bool | None = _present(6, bool)


@dataclasses.dataclass
class FetchLocalAddr(Message):
    """Asks B, which shares A's public address, for its local address, over UDP."""

    UNION = 12
    socket_addr: bytes = _wire(1, bytes)
    relay_server: str = _wire(2, str)


@dataclasses.dataclass
class LocalAddr(Message):
    """B's local address for A."""

    UNION = 13
    socket_addr: bytes = _wire(1, bytes)
    local_addr: bytes = _wire(2, bytes)
    relay_server: str = _wire(3, str)
    id: str = _wire(4, str)
    version: str = _wire(5, str)


@dataclasses.dataclass
class ConfigUpdate(Message):
    """A newer list of rendezvous servers."""

    UNION = 14
    serial: int = _wire(1, int)
    rendezvous_servers: list[str] = dataclasses.field(default_factory=list, metadata=_repeated(2, str))


@dataclasses.dataclass
class RegisterPk(Message):
    """A device registers its id with its machine's uuid and its public key."""

    UNION = 15
    id: str = _wire(1, str)
    uuid: bytes = _wire(2, bytes)
    pk: bytes = _wire(3, bytes)


@dataclasses.dataclass
class RegisterPkResponse(Message):
    """Answer to a registration."""

    UNION = 16
    result: int = _wire(1, int)


@dataclasses.dataclass
class RequestRelay(Message):
    """A asks B (through hbbs) or hbbr for a relayed connection."""

    UNION = 18
    id: str = _wire(1, str)
    uuid: str = _wire(2, str)
    socket_addr: bytes = _wire(3, bytes)
    relay_server: str = _wire(4, str)
    secure: bool = _wire(5, bool)
    licence_key: str = _wire(6, str)
    conn_type: int = _wire(7, int)
    token: str = _wire(8, str)


@dataclasses.dataclass
class RelayResponse(Message):
    """B accepts a relayed connection."""

    UNION = 19
    socket_addr: bytes = _wire(1, bytes)
    uuid: str = _wire(2, str)
    relay_server: str = _wire(3, str)
    id: str | None = _present(4, str)
    pk: bytes | None = _present(5, bytes)
    refuse_reason: str = _wire(6, str)
    version: str = _wire(7, str)


@dataclasses.dataclass
class TestNatRequest(Message):
    """Which source port does the server see?"""

    __test__: ClassVar[bool] = False
    UNION = 20
    serial: int = _wire(1, int)


@dataclasses.dataclass
class TestNatResponse(Message):
    """The source port the server sees."""

    __test__: ClassVar[bool] = False
    UNION = 21
    port: int = _wire(1, int)
    cu: ConfigUpdate | None = dataclasses.field(default=None, metadata={"number": 2, "kind": ConfigUpdate})


@dataclasses.dataclass
class OnlineRequest(Message):
    """Which of these ids are online?"""

    UNION = 23
    id: str = _wire(1, str)
    peers: list[str] = dataclasses.field(default_factory=list, metadata=_repeated(2, str))


@dataclasses.dataclass
class OnlineResponse(Message):
    """One bit per asked id, the first in the most significant bit."""

    UNION = 24
    states: bytes = _wire(1, bytes)


@dataclasses.dataclass
class IdPk(Message):
    """A device's id and public key: what the server signs."""

    id: str = _wire(1, str)
    pk: bytes = _wire(2, bytes)


_UNION = {kind.UNION: kind for kind in Message.__subclasses__() if kind.UNION}


def encode_message(message: Message) -> bytes:
    """Serialise a message inside ``RendezvousMessage``."""
    return _encode_field(message.UNION, message)


def decode_message(data: bytes) -> Message | None:
    """Parse a ``RendezvousMessage``.

    Returns None when it carries nothing the daemons know; raises WireError when the bytes are not a message.
    """
    message: Message | None = None
    for number, wire_type, value, _ in _walk(data):
        kind = _UNION.get(number)
        if kind is not None and wire_type == _BYTES:
            message = kind.decode(cast("bytes", value))
    return message


# --- addresses ---------------------------------------------------------------------------------------------------


def mangle_address(address: Address, now_us: int) -> bytes:
    """Hide an address from NAT helpers that rewrite addresses in payloads (not an encryption).

    ``now_us`` is the Unix time in microseconds; its low 32 bits salt an IPv4 address.
    """
    ip = ipaddress.ip_address(address[0])
    port = address[1]
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.is_loopback or ip.packed[:12] not in (bytes(12), bytes(10) + b"\xff\xff"):
            return ip.packed + port.to_bytes(2, "little")
        ip = ipaddress.IPv4Address(ip.packed[12:])
    salt = now_us & 0xFFFFFFFF
    number = (int.from_bytes(ip.packed, "little") + salt) << 49 | salt << 17 | (port + (salt & 0xFFFF))
    return number.to_bytes(16, "little").rstrip(b"\0")


def unmangle_address(data: bytes) -> Address:
    """Recover a mangled address. A length that cannot be one gives the unspecified address, as upstream does."""
    if len(data) > 16:
        if len(data) != 18:
            return "::", 0
        return str(ipaddress.IPv6Address(data[:16])), int.from_bytes(data[16:], "little")
    number = int.from_bytes(data, "little")
    salt = number >> 17 & 0xFFFFFFFF
    ip = ((number >> 49) - salt) & 0xFFFFFFFF
    port = ((number & 0xFFFFFF) - (salt & 0xFFFF)) & 0xFFFF
    return str(ipaddress.IPv4Address(ip.to_bytes(4, "little"))), port
