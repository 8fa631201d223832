"""The key pair: files in the working directory, and what the ``-k`` option of each daemon makes of them."""

from __future__ import annotations

import base64
import binascii
import contextlib
import logging
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nacl.bindings import crypto_sign, crypto_sign_keypair
from nacl.bindings import crypto_sign_SECRETKEYBYTES as SECRET_KEY_BYTES

from .errors import MalformedKeyFileError

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger(__name__)

PRIVATE_FILE = "id_ed25519"
PUBLIC_FILE = "id_ed25519.pub"
_FROM_FILE = ("-", "_")
_REROLLS = 300


@dataclass(frozen=True)
class ServerKey:
    """What a daemon does with keys."""

    required: str = ""
    """The text every client must present; empty means that nobody is asked for a key."""
    secret: bytes | None = None
    """64 bytes (seed and public key) to sign with; None means that nothing is signed."""

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature followed by the message; empty without a secret key."""
        return crypto_sign(message, self.secret) if self.secret else b""


def decode_base64(text: str) -> bytes:
    """Decode standard base64 with or without padding, as upstream's library does; raise ValueError otherwise."""
    bare = text.rstrip("=") if len(text) % 4 == 0 else text
    if len(text) - len(bare) > 2 or "=" in bare or not text.isascii():
        raise ValueError("not base64")
    try:
        decoded = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if base64.b64encode(decoded).decode().rstrip("=") != bare:
        raise ValueError("not base64: bits left over")
    return decoded


def encode_base64(data: bytes) -> str:
    """Encode as padded standard base64, the form of the key files."""
    return base64.b64encode(data).decode()


def generate_pair() -> tuple[str, bytes]:
    """Make a pair whose public text can stand in a file name: without ``/`` and ``:``, if luck allows."""
    for _ in range(_REROLLS + 1):
        public, secret = crypto_sign_keypair()
        text = encode_base64(public)
        if "/" not in text and ":" not in text:
            break
    return text, secret


def load_or_generate(directory: Path, wait_s: float = 0.0) -> tuple[str, bytes | None]:
    """Read the pair from ``directory``, generating it when the secret file cannot be opened.

    Returns the public key's text and the secret key. Like upstream it **fails open**: when the file can neither
    be read nor created the result is ``("", None)``, with which a daemon runs without any key check. A ``.pub``
    file is never read, and is overwritten before the attempt to create the secret one.

    ``wait_s``: how long to wait for a missing file, in seconds. Raises MalformedKeyFileError.
    """
    path = directory / PRIVATE_FILE
    if wait_s and not path.exists():
        time.sleep(wait_s)
    try:
        file = path.open(encoding="utf-8")
    except IsADirectoryError:
        return "", None
    except OSError:
        return _generate_files(directory)
    try:
        with file:
            content = file.read().strip()
    except (OSError, UnicodeDecodeError):
        return "", None
    secret = b""
    with contextlib.suppress(ValueError):
        secret = decode_base64(content)
    if len(secret) != SECRET_KEY_BYTES:
        raise MalformedKeyFileError(f"Fatal error: malformed private key in {PRIVATE_FILE}.")
    log.info("Private key comes from %s", PRIVATE_FILE)
    return encode_base64(secret[32:]), secret


def _generate_files(directory: Path) -> tuple[str, bytes | None]:
    public, secret = generate_pair()
    try:
        (directory / PUBLIC_FILE).write_text(public)
        (directory / PRIVATE_FILE).write_text(encode_base64(secret))
    except OSError:
        return "", None
    log.info("Private/public key written to %s/%s", PRIVATE_FILE, PUBLIC_FILE)
    log.debug("Public key: %s", public)
    return public, secret


def _secret_in_option(option: str) -> bytes | None:
    with contextlib.suppress(ValueError):
        secret = decode_base64(option)
        if len(secret) == SECRET_KEY_BYTES:
            log.info("The key is a crypto private key")
            return secret
    return None


def _log_key(required: str) -> None:
    if required:
        log.info("Key: %s", required)


def rendezvous_key(option: str, directory: Path) -> ServerKey:
    """Apply hbbs's ``-k``: ``-`` and ``_`` check and sign, empty only signs, a public key (or any text) only checks."""
    secret = _secret_in_option(option)
    required = encode_base64(secret[32:]) if secret else option
    if not required or required in _FROM_FILE:
        public, secret = load_or_generate(directory)
        required = public if required else ""
    _log_key(required)
    return ServerKey(required, secret)


def relay_key(option: str, directory: Path) -> ServerKey:
    """Apply hbbr's ``-k``: ``-`` and ``_`` check against the file (waiting 0.3 s for it), empty checks nothing."""
    secret = _secret_in_option(option)
    required = encode_base64(secret[32:]) if secret else option
    if required in _FROM_FILE:
        required, _ = load_or_generate(directory, wait_s=0.3)
    _log_key(required)
    return ServerKey(required)
