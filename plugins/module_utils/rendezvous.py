"""RustDesk's rendezvous protocol: framing, the messages, and mangled addresses.

What hbbs and hbbr speak on 21115/tcp, 21116/tcp+udp and 21117/tcp. One message is a
protobuf (proto3) `RendezvousMessage`, a union of the dataclasses below. Over TCP a message
travels in a frame (`encode_frame`, `FrameDecoder`), over UDP one datagram is one message
without a frame (hbb_common `src/udp.rs`).

Written from hbb_common `protos/rendezvous.proto` (numbers and types of the fields),
`src/bytes_codec.rs` (framing) and `src/lib.rs` (`AddrMangle`). No dependency beyond the
standard library, Python 3.9 or later, so that it runs wherever a check must run.

Decoding hostile input raises `WireError` and nothing else, never recurses deeper than the
messages nest (two levels), and holds no more than the input and one frame of the maximum
size the caller allows.
"""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, Union, cast

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FRAME = 64 * 1024
"""Largest payload in bytes that a `FrameDecoder` accepts unless told otherwise.

Upstream's servers set no limit (hbb_common `src/bytes_codec.rs`, `max_packet_length`).
"""

_MAX_PAYLOAD = (1 << 30) - 1
_VARINT_BYTES = 10


class WireError(ValueError):
    """Bytes that are not RustDesk's protocol, or a message that cannot be put into it."""


# --- Framing ----------------------------------------------------------------------------


def encode_frame(payload: bytes) -> bytes:
    """Put the length header of a TCP frame before the payload.

    The header is a little-endian integer of 1 to 4 bytes, `length << 2 | header bytes - 1`
    (hbb_common `src/bytes_codec.rs`, `Encoder::encode`).

    Raises:
        WireError: the payload is longer than 0x3FFFFFFF bytes.
    """
    length = len(payload)
    if length > _MAX_PAYLOAD:
        raise WireError(f"a frame carries at most {_MAX_PAYLOAD} bytes, not {length}")
    size = 1 + (length > 0x3F) + (length > 0x3FFF) + (length > 0x3FFFFF)
    return (length << 2 | size - 1).to_bytes(size, "little") + payload


class FrameDecoder:
    """Cuts a TCP byte stream into frames, however the stream was split.

    Headers longer than necessary are accepted, as upstream does. `max_frame` bounds what is
    held: a header that announces more is refused before any of its payload is kept.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        """Start at a frame boundary; `max_frame` is the largest payload in bytes."""
        self._max_frame = max_frame
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream; read all complete frames before feeding more."""
        self._buffer += data

    def next_frame(self) -> bytes | None:
        """Return the next payload, or None until more bytes are fed.

        Raises:
            WireError: a header announces a payload larger than `max_frame`.
        """
        if not self._buffer:
            return None
        size = (self._buffer[0] & 3) + 1
        if len(self._buffer) < size:
            return None
        length = int.from_bytes(self._buffer[:size], "little") >> 2
        if length > self._max_frame:
            raise WireError(f"a frame of {length} bytes is announced, at most {self._max_frame} accepted")
        if len(self._buffer) < size + length:
            return None
        payload = bytes(self._buffer[size : size + length])
        del self._buffer[: size + length]
        return payload

    def frames(self) -> Iterator[bytes]:
        """Yield the complete payloads one by one; stop early and the rest stays `pending`."""
        while (payload := self.next_frame()) is not None:
            yield payload

    @property
    def pending(self) -> bytes:
        """Bytes fed and not returned yet.

        Once hbbr has paired two TCP connections it stops framing (rustdesk-server
        `src/relay_server.rs`, `set_raw`): what is pending then is the other side's data.
        """
        return bytes(self._buffer)


# --- Protobuf: how a dataclass field stands on the wire -----------------------------------


class _Kind(enum.Enum):
    INT32 = "int32"  # enumerations as well: proto3 enumerations are open
    BOOL = "bool"
    STRING = "string"
    BYTES = "bytes"
    MESSAGE = "message"


_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5
_VARINT_KINDS = (_Kind.INT32, _Kind.BOOL)


class _Spec(NamedTuple):
    """One field of a message: its number, its kind, and how often it may occur."""

    number: int
    kind: _Kind
    repeated: bool = False
    oneof: bool = False
    message: type | None = None

    @property
    def wire_type(self) -> int:
        return _VARINT if self.kind in _VARINT_KINDS else _LENGTH


def _field(default: Any, spec: _Spec) -> Any:
    return field(default=default, metadata={"wire": spec})


def _int32(number: int) -> int:
    return cast("int", _field(0, _Spec(number, _Kind.INT32)))


def _bool(number: int) -> bool:
    return cast("bool", _field(default=False, spec=_Spec(number, _Kind.BOOL)))


def _string(number: int) -> str:
    return cast("str", _field("", _Spec(number, _Kind.STRING)))


def _bytes(number: int) -> bytes:
    return cast("bytes", _field(b"", _Spec(number, _Kind.BYTES)))


def _strings(number: int) -> tuple[str, ...]:
    return cast("tuple[str, ...]", _field((), _Spec(number, _Kind.STRING, repeated=True)))


def _byte_strings(number: int) -> tuple[bytes, ...]:
    return cast("tuple[bytes, ...]", _field((), _Spec(number, _Kind.BYTES, repeated=True)))


def _oneof(number: int, kind: _Kind) -> Any:
    """Member of the union inside a message: None is absent, a default value is sent."""
    return _field(None, _Spec(number, kind, oneof=True))


# --- Messages (hbb_common `protos/rendezvous.proto`) ----------------------------------------


class NatType(enum.IntEnum):
    """Values of `nat_type`."""

    UNKNOWN_NAT = 0
    ASYMMETRIC = 1
    SYMMETRIC = 2


class ConnType(enum.IntEnum):
    """Values of `conn_type`."""

    DEFAULT_CONN = 0
    FILE_TRANSFER = 1
    PORT_FORWARD = 2
    RDP = 3
    VIEW_CAMERA = 4
    TERMINAL = 5


class PunchFailure(enum.IntEnum):
    """Values of `PunchHoleResponse.failure`."""

    ID_NOT_EXIST = 0
    OFFLINE = 2
    LICENSE_MISMATCH = 3
    LICENSE_OVERUSE = 4


class RegisterResult(enum.IntEnum):
    """Values of `RegisterPkResponse.result`."""

    OK = 0
    UUID_MISMATCH = 2
    ID_EXISTS = 3
    TOO_FREQUENT = 4
    INVALID_ID_FORMAT = 5
    NOT_SUPPORT = 6
    SERVER_ERROR = 7
    NOT_DEPLOYED = 8


@dataclass(frozen=True)
class RegisterPeer:
    """Heartbeat of a controlled client (UDP)."""

    id: str = _string(1)
    serial: int = _int32(2)


@dataclass(frozen=True)
class RegisterPeerResponse:
    """Answer to a heartbeat; `request_pk` asks for a `RegisterPk`."""

    request_pk: bool = _bool(2)


@dataclass(frozen=True)
class PunchHoleRequest:
    """Wish to connect to `id`; `licence_key` is the server's public key as text."""

    id: str = _string(1)
    nat_type: int = _int32(2)
    licence_key: str = _string(3)
    conn_type: int = _int32(4)
    token: str = _string(5)
    version: str = _string(6)
    udp_port: int = _int32(7)
    force_relay: bool = _bool(8)
    upnp_port: int = _int32(9)
    socket_addr_v6: bytes = _bytes(10)
    switch_code: str = _string(11)


@dataclass(frozen=True)
class PunchHole:
    """hbbs tells the controlled client that somebody behind another address wants it."""

    socket_addr: bytes = _bytes(1)
    relay_server: str = _string(2)
    nat_type: int = _int32(3)
    udp_port: int = _int32(4)
    force_relay: bool = _bool(5)
    upnp_port: int = _int32(6)
    socket_addr_v6: bytes = _bytes(7)


@dataclass(frozen=True)
class PunchHoleSent:
    """The controlled client has opened its NAT."""

    socket_addr: bytes = _bytes(1)
    id: str = _string(2)
    relay_server: str = _string(3)
    nat_type: int = _int32(4)
    version: str = _string(5)
    upnp_port: int = _int32(6)
    socket_addr_v6: bytes = _bytes(7)


@dataclass(frozen=True)
class PunchHoleResponse:
    """Answer to a `PunchHoleRequest`: the peer's address and signed key, or a failure.

    `failure` 0 is ID_NOT_EXIST, so a failure is told from a success by an empty `socket_addr`.
    """

    socket_addr: bytes = _bytes(1)
    pk: bytes = _bytes(2)
    failure: int = _int32(3)
    relay_server: str = _string(4)
    nat_type: int | None = _oneof(5, _Kind.INT32)
    is_local: bool | None = _oneof(6, _Kind.BOOL)
    other_failure: str = _string(7)
    feedback: int = _int32(8)
    is_udp: bool = _bool(9)
    upnp_port: int = _int32(10)
    socket_addr_v6: bytes = _bytes(11)


@dataclass(frozen=True)
class FetchLocalAddr:
    """hbbs asks a controlled client for its local address: the other one shares its IP."""

    socket_addr: bytes = _bytes(1)
    relay_server: str = _string(2)
    socket_addr_v6: bytes = _bytes(3)


@dataclass(frozen=True)
class LocalAddr:
    """Answer to `FetchLocalAddr`."""

    socket_addr: bytes = _bytes(1)
    local_addr: bytes = _bytes(2)
    relay_server: str = _string(3)
    id: str = _string(4)
    version: str = _string(5)
    socket_addr_v6: bytes = _bytes(6)


@dataclass(frozen=True)
class ConfigUpdate:
    """Newer list of rendezvous servers (deprecated upstream)."""

    serial: int = _int32(1)
    rendezvous_servers: tuple[str, ...] = _strings(2)


@dataclass(frozen=True)
class RegisterPk:
    """Registration of a controlled client: `uuid` is its machine id, `pk` its public key."""

    id: str = _string(1)
    uuid: bytes = _bytes(2)
    pk: bytes = _bytes(3)
    old_id: str = _string(4)
    no_register_device: bool = _bool(5)


@dataclass(frozen=True)
class RegisterPkResponse:
    """Answer to a registration, `result` as in `RegisterResult`."""

    result: int = _int32(1)
    keep_alive: int = _int32(2)


@dataclass(frozen=True)
class SoftwareUpdate:
    """Question for and answer with a download address (deprecated upstream)."""

    url: str = _string(1)


@dataclass(frozen=True)
class RequestRelay:
    """Wish to be relayed; to hbbr the first message, two with one `uuid` are paired."""

    id: str = _string(1)
    uuid: str = _string(2)
    socket_addr: bytes = _bytes(3)
    relay_server: str = _string(4)
    secure: bool = _bool(5)
    licence_key: str = _string(6)
    conn_type: int = _int32(7)
    token: str = _string(8)
    switch_code: str = _string(11)


@dataclass(frozen=True)
class RelayResponse:
    """The controlled client accepts a relay; hbbs replaces `id` by the signed `pk`."""

    socket_addr: bytes = _bytes(1)
    uuid: str = _string(2)
    relay_server: str = _string(3)
    id: str | None = _oneof(4, _Kind.STRING)
    pk: bytes | None = _oneof(5, _Kind.BYTES)
    refuse_reason: str = _string(6)
    version: str = _string(7)
    feedback: int = _int32(9)
    socket_addr_v6: bytes = _bytes(10)
    upnp_port: int = _int32(11)


@dataclass(frozen=True)
class TestNatRequest:
    """Question for the source port the server sees."""

    __test__ = False  # the name is upstream's, pytest would collect it

    serial: int = _int32(1)


@dataclass(frozen=True)
class TestNatResponse:
    """Answer with the source port."""

    __test__ = False

    port: int = _int32(1)
    cu: ConfigUpdate | None = field(default=None, metadata={"wire": _Spec(2, _Kind.MESSAGE, message=ConfigUpdate)})


@dataclass(frozen=True)
class PeerDiscovery:
    """LAN discovery between clients (UDP 21119), never handled by a server."""

    cmd: str = _string(1)
    mac: str = _string(2)
    id: str = _string(3)
    username: str = _string(4)
    hostname: str = _string(5)
    platform: str = _string(6)
    misc: str = _string(7)


@dataclass(frozen=True)
class OnlineRequest:
    """Question which of `peers` are registered (21115/tcp)."""

    id: str = _string(1)
    peers: tuple[str, ...] = _strings(2)


@dataclass(frozen=True)
class OnlineResponse:
    """One bit per peer asked for, the highest bit of the first byte first."""

    states: bytes = _bytes(1)


@dataclass(frozen=True)
class KeyExchange:
    """Offer of an encrypted TCP channel; the free server never sends or answers it."""

    keys: tuple[bytes, ...] = _byte_strings(1)


Message = Union[
    RegisterPeer,
    RegisterPeerResponse,
    PunchHoleRequest,
    PunchHole,
    PunchHoleSent,
    PunchHoleResponse,
    FetchLocalAddr,
    LocalAddr,
    ConfigUpdate,
    RegisterPk,
    RegisterPkResponse,
    SoftwareUpdate,
    RequestRelay,
    RelayResponse,
    TestNatRequest,
    TestNatResponse,
    PeerDiscovery,
    OnlineRequest,
    OnlineResponse,
    KeyExchange,
]
"""What `RendezvousMessage.union` holds. Numbers 26 to 28 belong to the paid server only."""

MESSAGE_NUMBERS: dict[int, type[Any]] = {
    6: RegisterPeer,
    7: RegisterPeerResponse,
    8: PunchHoleRequest,
    9: PunchHole,
    10: PunchHoleSent,
    11: PunchHoleResponse,
    12: FetchLocalAddr,
    13: LocalAddr,
    14: ConfigUpdate,
    15: RegisterPk,
    16: RegisterPkResponse,
    17: SoftwareUpdate,
    18: RequestRelay,
    19: RelayResponse,
    20: TestNatRequest,
    21: TestNatResponse,
    22: PeerDiscovery,
    23: OnlineRequest,
    24: OnlineResponse,
    25: KeyExchange,
}
_NUMBER_OF = {message: number for number, message in MESSAGE_NUMBERS.items()}


def _wire_fields(message: type[Any]) -> dict[int, tuple[str, _Spec]]:
    """Return the attribute and the wire form of every field of a message, by number."""
    specs = {item.name: cast("_Spec", item.metadata["wire"]) for item in fields(message)}
    by_number = sorted(specs.items(), key=lambda item: item[1].number)
    return {spec.number: (name, spec) for name, spec in by_number}


_FIELDS: dict[Any, dict[int, tuple[str, _Spec]]] = {
    message: _wire_fields(message) for message in MESSAGE_NUMBERS.values()
}


# --- Protobuf: encoding -------------------------------------------------------------------


def _encode_varint(value: int) -> bytes:
    value &= (1 << 64) - 1  # a negative int32 travels as its 64-bit two's complement
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _encode_value(name: str, spec: _Spec, value: Any) -> bytes:
    """Encode one value with its tag."""
    tag = _encode_varint(spec.number << 3 | spec.wire_type)
    if spec.kind in _VARINT_KINDS:
        if not -(1 << 31) <= value < 1 << 31:
            raise WireError(f"{name} does not fit into 32 bits")
        return tag + _encode_varint(int(value))
    if spec.kind is _Kind.STRING:
        try:
            raw = str(value).encode("utf-8")
        except UnicodeEncodeError:
            raise WireError(f"{name} cannot be written as UTF-8") from None
    else:
        raw = _encode_fields(value) if spec.kind is _Kind.MESSAGE else bytes(value)
    return tag + _encode_varint(len(raw)) + raw


def _encode_fields(message: Any) -> bytes:
    """Encode the fields of one message in the order of their numbers, defaults left out."""
    out = bytearray()
    members = 0
    for name, spec in _FIELDS[type(message)].values():
        value = getattr(message, name)
        if spec.repeated:
            for item in value:
                out += _encode_value(name, spec, item)
        elif spec.oneof or spec.kind is _Kind.MESSAGE:
            if value is not None:
                members += spec.oneof
                out += _encode_value(name, spec, value)
        elif value:
            out += _encode_value(name, spec, value)
    if members > 1:
        raise WireError(f"{type(message).__name__} holds more than one member of its union")
    return bytes(out)


def encode_message(message: Message) -> bytes:
    """Encode a message as the `RendezvousMessage` that carries it.

    Raises:
        WireError: a number does not fit into 32 bits, a text is not UTF-8, or two members of
            an inner union are set.
    """
    body = _encode_fields(message)
    tag = _encode_varint(_NUMBER_OF[type(message)] << 3 | _LENGTH)
    return tag + _encode_varint(len(body)) + body


# --- Protobuf: decoding -------------------------------------------------------------------


def _decode_varint(data: bytes, start: int) -> tuple[int, int]:
    """Return an unsigned 64-bit number and the offset behind it."""
    value = 0
    for index in range(_VARINT_BYTES):
        if start + index >= len(data):
            raise WireError("a number is cut off")
        byte = data[start + index]
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            if value >> 64:
                break
            return value, start + index + 1
    raise WireError("a number is longer than 64 bits")


def _iterate_fields(data: bytes) -> Iterator[tuple[int, int, int | bytes]]:
    """Yield number, wire type and raw value of every field, known or not."""
    at = 0
    while at < len(data):
        tag, at = _decode_varint(data, at)
        number, wire_type = tag >> 3, tag & 7
        if number == 0 or tag >> 32:
            raise WireError("a field number is out of range")
        if wire_type == _VARINT:
            value, at = _decode_varint(data, at)
            yield number, wire_type, value
            continue
        if wire_type == _LENGTH:
            length, at = _decode_varint(data, at)
        elif wire_type in (_FIXED32, _FIXED64):
            length = 4 if wire_type == _FIXED32 else 8
        else:
            # Groups: proto3 has none, and skipping them is what exhausts parsers' stacks.
            raise WireError(f"wire type {wire_type} does not occur in this protocol")
        if length > len(data) - at:
            raise WireError("a field is cut off")
        yield number, wire_type, data[at : at + length]
        at += length


def _decode_value(name: str, spec: _Spec, raw: int | bytes) -> Any:
    """Convert a raw value of the right wire type to the attribute's type."""
    if isinstance(raw, int):
        if spec.kind is _Kind.BOOL:
            return raw != 0
        low = raw & 0xFFFFFFFF
        return low - (1 << 32) if low >> 31 else low
    if spec.kind is _Kind.STRING:
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            raise WireError(f"{name} is not UTF-8") from None
    if spec.kind is _Kind.MESSAGE:
        return _decode_fields(raw, cast("type[Any]", spec.message))
    return raw


_T = TypeVar("_T")


def _decode_fields(data: bytes, message: type[_T]) -> _T:
    """Decode one message; unknown fields and fields of another wire type are skipped."""
    specs = _FIELDS[message]
    values: dict[str, Any] = {}
    repeated: dict[str, list[Any]] = {}
    member = None
    for number, wire_type, raw in _iterate_fields(data):
        name, spec = specs.get(number, ("", None))
        if spec is None or spec.wire_type != wire_type:
            continue
        value = _decode_value(name, spec, raw)
        if spec.repeated:
            repeated.setdefault(name, []).append(value)
            continue
        if spec.oneof:
            if member is not None:
                del values[member]
            member = name
        values[name] = value
    values.update((name, tuple(items)) for name, items in repeated.items())
    return message(**values)


def decode_message(payload: bytes) -> Message | None:
    """Decode a `RendezvousMessage`: the content of a frame, or a datagram.

    Returns None for an empty payload (a heartbeat on long-lived connections) and for a
    message whose kind is not in `MESSAGE_NUMBERS`. Of several messages in one payload the
    last one counts, as for every protobuf union.

    Raises:
        WireError: the payload is not a well-formed protobuf message.
    """
    found: Message | None = None
    for number, wire_type, raw in _iterate_fields(payload):
        kind = MESSAGE_NUMBERS.get(number)
        if kind is not None and wire_type == _LENGTH:
            found = cast("Message", _decode_fields(cast("bytes", raw), kind))
    return found


# --- Mangled addresses (hbb_common `src/lib.rs`, AddrMangle) ----------------------------------

_IPV4_MANGLED_MAX = 16
_IPV6_MANGLED = 18


def _as_ipv4(address: str) -> ipaddress.IPv4Address | None:
    """Return the IPv4 address in `address`, also from an IPv6 spelling, or None.

    Upstream converts IPv4-mapped and the old IPv4-compatible IPv6 addresses but never
    `::1` (hbb_common `src/lib.rs`, `try_into_v4`).
    """
    ip = ipaddress.ip_address(address)
    if isinstance(ip, ipaddress.IPv4Address):
        return ip
    if ip.is_loopback or ip.packed[:10] != bytes(10) or ip.packed[10:12] not in (b"\0\0", b"\xff\xff"):
        return None
    return ipaddress.IPv4Address(ip.packed[12:])


def mangle_address(address: str, port: int, microseconds: int) -> bytes:
    """Hide an address from NATs that rewrite addresses they recognise in payloads.

    `microseconds` is the Unix time in microseconds; only its low 32 bits matter, and any
    number is decoded again by `unmangle_address`. This is obfuscation, not encryption.

    Raises:
        WireError: not an IP address, or a port outside 0 to 65535.
    """
    if not 0 <= port <= 0xFFFF:
        raise WireError(f"{port} is not a port")
    try:
        ipv4 = _as_ipv4(address)
        packed = ipaddress.ip_address(address).packed
    except ValueError:
        raise WireError(f"{address} is not an IP address") from None
    if ipv4 is None:
        return packed + port.to_bytes(2, "little")
    salt = microseconds & 0xFFFFFFFF
    ip = int.from_bytes(ipv4.packed, "little")
    value = (ip + salt) << 49 | salt << 17 | (port + (salt & 0xFFFF))
    return value.to_bytes(_IPV4_MANGLED_MAX, "little").rstrip(b"\0")


def unmangle_address(mangled: bytes) -> tuple[str, int]:
    """Return address and port of a mangled address.

    Any bytes decode to something: 17 bytes or more than 18 give `::` and port 0, as upstream.
    """
    if len(mangled) == _IPV6_MANGLED:
        return str(ipaddress.IPv6Address(mangled[:16])), int.from_bytes(mangled[16:], "little")
    if len(mangled) > _IPV4_MANGLED_MAX:
        return "::", 0
    value = int.from_bytes(mangled, "little")
    salt = value >> 17 & 0xFFFFFFFF
    ip = (value >> 49) - salt & 0xFFFFFFFF
    port = (value & 0xFFFFFF) - (salt & 0xFFFF) & 0xFFFF
    return str(ipaddress.IPv4Address(ip.to_bytes(4, "little"))), port
