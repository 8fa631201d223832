# SPDX-License-Identifier: MIT
"""The key pair of a rustdesk-server as it lies in the daemons' working directory.

hbbs and hbbr read `id_ed25519` only and derive the public key from its last 32 bytes; `id_ed25519.pub` is what people
copy to clients, so the two must agree (rustdesk-server `src/common.rs`, `gen_sk`).

The directory belongs to the service user, so whatever lies in it may be what a service that was broken into has put
there for root to stumble over. Files are therefore read without following links, never changed in place, and made
beside their place and moved there.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ansible.module_utils.ed25519 import KeyFormatError, KeyPair, parse_public

PRIVATE_FILE = "id_ed25519"
PUBLIC_FILE = "id_ed25519.pub"
PREVIOUS = ".previous"
"""What the names of the pair that a rotation replaced end with."""

_LARGEST = 4096
"""More bytes than any spelling of a key has."""

_TEMPORARY = ".new"


class KeyFileError(Exception):
    """A file cannot be used as a key file; the text is a clause for the operator and holds nothing of the file."""


@dataclass(frozen=True)
class KeyState:
    """What lies in a state directory; holds nothing secret.

    `state` is `absent`, `valid`, `public_only` (the secret half is missing) or `malformed`; `public_key` is empty when
    there is none to tell; `detail` says what is wrong; `public_file_fits` tells whether `id_ed25519.pub` holds the
    public key of `id_ed25519`.
    """

    state: str
    public_key: str = ""
    fingerprint: str = ""
    detail: str = ""
    public_file_fits: bool = False


@dataclass(frozen=True)
class Attributes:
    """What a file must have: user number, group number and mode."""

    uid: int
    gid: int
    mode: int


def read(path: Path) -> str | None:
    """Return the text of a key file, None when there is none.

    Raises:
        KeyFileError: it is something else than a small regular file, or cannot be read.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        reason = "is a link" if error.errno == errno.ELOOP else f"cannot be read ({error.strerror})"
        raise KeyFileError(f"{path} {reason}") from error
    try:
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise KeyFileError(f"{path} is not a regular file")
        content = os.read(handle, _LARGEST + 1)
    finally:
        os.close(handle)
    if len(content) > _LARGEST:
        raise KeyFileError(f"{path} is too large for a key")
    try:
        return content.decode("ascii")
    except UnicodeDecodeError:
        raise KeyFileError(f"{path} holds something else than text") from None


def inspect(state_dir: Path) -> KeyState:
    """Look at the key pair in a directory."""
    path = state_dir / PRIVATE_FILE
    try:
        public = read(state_dir / PUBLIC_FILE)
    except KeyFileError:
        public = ""
    try:
        private = read(path)
        pair = KeyPair.parse(private) if private is not None else None
    except KeyFileError as error:
        return KeyState("malformed", detail=str(error))
    except KeyFormatError as error:
        return KeyState("malformed", detail=f"{path}: {error}")
    if pair:
        fits = public is not None and public.rstrip("\n") == pair.public_text
        return KeyState("valid", pair.public_text, pair.fingerprint, public_file_fits=fits)
    if public is None:
        return KeyState("absent")
    return KeyState("public_only", _public(public), detail=f"{state_dir / PUBLIC_FILE} is there without {PRIVATE_FILE}")


def _public(text: str) -> str:
    """Return the public key in a text, "" when it is none; a private key by mistake is none."""
    try:
        parse_public(text)
    except KeyFormatError:
        return ""
    return text.strip()


def is_as_wanted(path: Path, text: str, attributes: Attributes) -> bool:
    """Tell whether a file holds a text and has its attributes."""
    try:
        content = read(path)
        facts = path.lstat()
    except (KeyFileError, FileNotFoundError):
        return False
    found = Attributes(facts.st_uid, facts.st_gid, stat.S_IMODE(facts.st_mode))
    return content is not None and content.rstrip("\n") == text and found == attributes


def write(path: Path, text: str, attributes: Attributes) -> None:
    """Write a file in one step; it never exists with a wider mode, or for another owner, than its own.

    Raises:
        OSError: the file system refused; what was there before still is.
    """
    prefix = f".{path.name}."
    for left_behind in path.parent.glob(f"{prefix}*{_TEMPORARY}"):
        left_behind.unlink(missing_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=prefix, suffix=_TEMPORARY)
    try:
        with os.fdopen(handle, "w", encoding="ascii") as stream:
            stream.write(text)
            stream.flush()
            os.fchown(handle, attributes.uid, attributes.gid)
            os.fchmod(handle, attributes.mode)
            os.fsync(handle)
        Path(name).replace(path)
    finally:
        Path(name).unlink(missing_ok=True)
    _sync(path.parent)


def _sync(directory: Path) -> None:
    """Make a new name last through a power failure."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def keep_previous(state_dir: Path, now: KeyState) -> None:
    """Keep the pair that is about to be replaced beside it, under names that end with `PREVIOUS`.

    A public key that does not belong to the private one is not kept: an interrupted rotation leaves one behind.

    Raises:
        OSError: the file system refused.
    """
    kept = {PRIVATE_FILE: now.state != "public_only", PUBLIC_FILE: now.public_file_fits or now.state != "valid"}
    for name, wanted in kept.items():
        previous = state_dir / f"{name}{PREVIOUS}"
        if wanted and os.path.lexists(state_dir / name):
            previous.unlink(missing_ok=True)
            os.link(state_dir / name, previous, follow_symlinks=False)
