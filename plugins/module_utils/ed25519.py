"""Ed25519 identity of a RustDesk server: derive, read, write, check and make key pairs.

A rendezvous server is known by an Ed25519 key. hbbs keeps it in two files of its working
directory (rustdesk-server `src/common.rs`, `gen_sk`):

* `id_ed25519`: standard base64 of the 64 bytes seed followed by public key, no newline.
* `id_ed25519.pub`: standard base64 of the 32-byte public key. hbbs never reads it, clients
  are given its text and hbbs compares that text character by character.

The arithmetic is RFC 8032 section 5.1 in plain Python, for machines where no cryptography
library can be assumed. It takes a few milliseconds and is not constant-time: use it on the
machine that owns the key, never on behalf of a stranger. No exception raised here contains
a byte of a private key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SEED_BYTES = 32
PUBLIC_BYTES = 32
PRIVATE_BYTES = SEED_BYTES + PUBLIC_BYTES

# Upstream tries this often before it takes a key whose text has a forbidden character.
_GENERATE_ATTEMPTS = 300

# RFC 8032 section 5.1: the field, the curve constant and the base point.
_P = 2**255 - 19
_D = -121665 * pow(121666, _P - 2, _P) % _P
_BASE_X = 0x216936D3CD6E53FEC0A4E231FDD6DC5C692CC7609525A7B2C9562D608F25D51A
_BASE_Y = 4 * pow(5, _P - 2, _P) % _P

# Extended homogeneous coordinates X, Y, Z, T with x = X/Z, y = Y/Z, x*y = T/Z.
_Point = tuple[int, int, int, int]
_NEUTRAL: _Point = (0, 1, 1, 0)
_BASE: _Point = (_BASE_X, _BASE_Y, 1, _BASE_X * _BASE_Y % _P)


class KeyFormatError(ValueError):
    """A key is malformed or its parts do not belong together; the text names no secret."""


def _add(p: _Point, q: _Point) -> _Point:
    """Add two points (RFC 8032 section 5.1.4)."""
    a = (p[1] - p[0]) * (q[1] - q[0]) % _P
    b = (p[1] + p[0]) * (q[1] + q[0]) % _P
    c = 2 * p[3] * q[3] * _D % _P
    d = 2 * p[2] * q[2] % _P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % _P, g * h % _P, f * g % _P, e * h % _P)


def _multiply(scalar: int, point: _Point) -> _Point:
    """Return scalar times point by doubling and adding."""
    result = _NEUTRAL
    while scalar > 0:
        if scalar & 1:
            result = _add(result, point)
        point = _add(point, point)
        scalar >>= 1
    return result


def _compress(point: _Point) -> bytes:
    """Encode a point as y with the lowest bit of x on top (RFC 8032 section 5.1.2)."""
    inverse = pow(point[2], _P - 2, _P)
    x, y = point[0] * inverse % _P, point[1] * inverse % _P
    return (y | (x & 1) << 255).to_bytes(PUBLIC_BYTES, "little")


def public_key(seed: bytes) -> bytes:
    """Derive the 32-byte public key of a 32-byte seed (RFC 8032 section 5.1.5).

    Raises:
        KeyFormatError: the seed is not 32 bytes long.
    """
    if len(seed) != SEED_BYTES:
        raise KeyFormatError(f"an Ed25519 seed has {SEED_BYTES} bytes, this one has {len(seed)}")
    scalar = int.from_bytes(hashlib.sha512(seed).digest()[:32], "little")
    scalar &= (1 << 254) - 8
    scalar |= 1 << 254
    return _compress(_multiply(scalar, _BASE))


def fingerprint(public: bytes) -> str:
    """Return `SHA256:…` of a raw public key: unpadded base64, the way ssh prints one.

    Raises:
        KeyFormatError: the public key is not 32 bytes long.
    """
    if len(public) != PUBLIC_BYTES:
        raise KeyFormatError(f"an Ed25519 public key has {PUBLIC_BYTES} bytes, this one has {len(public)}")
    digest = base64.b64encode(hashlib.sha256(public).digest()).decode("ascii")
    return "SHA256:" + digest.rstrip("=")


def _decode(text: str, length: int, what: str) -> bytes:
    """Decode canonical standard base64 of exactly `length` bytes.

    Canonical, because hbbs and hbbr compare the text of a key: two spellings of the same
    bytes are two different keys to them.
    """
    text = text.strip()
    if not text:
        raise KeyFormatError(f"the {what} is empty")
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise KeyFormatError(f"the {what} is not standard base64 with its padding") from None
    if len(raw) != length:
        raise KeyFormatError(f"the {what} must hold {length} bytes, it holds {len(raw)}")
    if base64.b64encode(raw).decode("ascii") != text:
        raise KeyFormatError(f"the {what} is not spelt as base64 spells it (stray last bits)")
    return raw


def parse_public(text: str) -> bytes:
    """Decode the content of `id_ed25519.pub` (surrounding whitespace allowed) to 32 bytes.

    Raises:
        KeyFormatError: not canonical base64 of 32 bytes. A private key given by mistake is
            named as such and not repeated.
    """
    try:
        return _decode(text, PUBLIC_BYTES, "public key")
    except KeyFormatError:
        if is_private(text):
            raise KeyFormatError(
                "this is a private key (id_ed25519) where the public key (id_ed25519.pub) belongs"
            ) from None
        raise


def format_public(public: bytes) -> str:
    """Return the content of `id_ed25519.pub`: standard base64, padded, no newline.

    Raises:
        KeyFormatError: the public key is not 32 bytes long.
    """
    if len(public) != PUBLIC_BYTES:
        raise KeyFormatError(f"an Ed25519 public key has {PUBLIC_BYTES} bytes, this one has {len(public)}")
    return base64.b64encode(public).decode("ascii")


def is_private(text: str) -> bool:
    """Tell whether the text decodes to the 64 bytes of a private key, valid or not."""
    try:
        return len(base64.b64decode(text.strip().encode("utf-8"))) == PRIVATE_BYTES
    except binascii.Error:
        return False


@dataclass(frozen=True)
class KeyPair:
    """A seed with the public key that belongs to it; its repr shows the public half only."""

    seed: bytes = field(repr=False)
    public: bytes

    def __post_init__(self) -> None:
        """Refuse halves that do not belong together."""
        if self.public != public_key(self.seed):
            raise KeyFormatError("the private key's second half is not the public key that its seed derives")

    @classmethod
    def parse(cls, private_text: str, public_text: str | None = None) -> KeyPair:
        """Read the content of `id_ed25519` and, if given, of `id_ed25519.pub`.

        Raises:
            KeyFormatError: naming the first fault: base64, length, a public half that the
                seed does not derive, or a public file that belongs to another private key.
        """
        raw = _decode(private_text, PRIVATE_BYTES, "private key")
        pair = cls(seed=raw[:SEED_BYTES], public=raw[SEED_BYTES:])
        if public_text is not None:
            public = parse_public(public_text)
            if public != pair.public:
                raise KeyFormatError(
                    f"the public key {fingerprint(public)} does not belong to the private key, "
                    f"whose public key is {pair.fingerprint}"
                )
        return pair

    @classmethod
    def generate(cls, randbytes: Callable[[int], bytes]) -> KeyPair:
        """Make a new pair from a source of random bytes such as `secrets.token_bytes`.

        Re-rolled until the public text has neither `/` nor `:`, as upstream does, because
        that text can become part of a Windows file name (rustdesk-server `src/common.rs`).

        Raises:
            KeyFormatError: the source keeps giving unusable or too few bytes.
        """
        for _attempt in range(_GENERATE_ATTEMPTS):
            seed = randbytes(SEED_BYTES)
            pair = cls(seed=seed, public=public_key(seed))
            if not set("/:") & set(pair.public_text):
                return pair
        raise KeyFormatError(f"no usable key after {_GENERATE_ATTEMPTS} attempts: the random source is broken")

    @property
    def private_text(self) -> str:
        """Content of `id_ed25519`: secret."""
        return base64.b64encode(self.seed + self.public).decode("ascii")

    @property
    def public_text(self) -> str:
        """Content of `id_ed25519.pub`: the key clients are given."""
        return format_public(self.public)

    @property
    def fingerprint(self) -> str:
        """`SHA256:…` of the public key."""
        return fingerprint(self.public)


def validate(private_text: str, public_text: str | None = None) -> str | None:
    """Return what is wrong with the content of the key files as one sentence, or None."""
    try:
        KeyPair.parse(private_text, public_text)
    except KeyFormatError as error:
        return str(error)
    return None
