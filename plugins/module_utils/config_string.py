"""RustDesk's configuration string: the one line that carries a server to a client.

A JSON object with `host`, `relay`, `api` and `key`, in UTF-8, as URL-safe base64 without
padding, its characters reversed (rustdesk `src/naming.rs`, `src/custom_server.rs`). The
client's settings page writes the keys in the order used here (rustdesk
`flutter/lib/common.dart`, `ServerConfig.encode`) but with padding, which `rustdesk --config`
silently refuses: padding is accepted on input and never written.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from typing import TYPE_CHECKING

from .ed25519 import KeyFormatError, parse_public

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

PARTS = ("host", "relay", "api", "key")
"""The parts of a configuration, in the order in which they are written."""

_TO_STANDARD = str.maketrans("-_", "+/")
_PRINTABLE_ASCII = re.compile(r"[!-~]*")
_EXECUTABLE = re.compile(r"(\.exe)+$", re.IGNORECASE)
_ASSIGNMENTS = re.compile(r"host=.*", re.IGNORECASE | re.DOTALL)
_FILE_NAME_SEPARATOR = re.compile(r"-licensed-{1,3}|--")


class ConfigStringError(ValueError):
    """A configuration that a client could not use; the text is one sentence."""


def encode(config: Mapping[str, str | None]) -> str:
    """Return the configuration string of `host`, `relay`, `api` and `key`.

    Absent parts, None and "" are the same: written as "". Surrounding whitespace is dropped,
    as the client's settings page does.

    Raises:
        ConfigStringError: no host, an unknown part, a part that is not text or not printable
            ASCII without spaces, or a key that is not base64 of a 32-byte public key.
    """
    unknown = sorted(str(name) for name in set(config) - set(PARTS))
    if unknown:
        raise ConfigStringError(f"a configuration has the parts {', '.join(PARTS)}, not {', '.join(unknown)}")
    parts = {name: _part(name, config.get(name)) for name in PARTS}
    if not parts["host"]:
        raise ConfigStringError("host is empty: a client ignores a configuration without a host")
    if parts["key"]:
        try:
            parse_public(parts["key"])
        except KeyFormatError as error:
            raise ConfigStringError(f"key is not the content of id_ed25519.pub: {error}") from None
    text = json.dumps(parts, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode("ascii")).decode("ascii").rstrip("=")[::-1]


def _part(name: str, value: object) -> str:
    """Return one part as it is written."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ConfigStringError(f"{name} must be text, not {type(value).__name__}")
    value = value.strip()
    # Upstream's two writers disagree about everything else, and file names split at "--",
    # which base64 of ASCII never holds (rustdesk `src/custom_server.rs`).
    if not _PRINTABLE_ASCII.fullmatch(value):
        raise ConfigStringError(f"{name} must be printable ASCII without spaces")
    return value


def parse(text: str) -> dict[str, str]:
    """Return `host`, `relay`, `api` and `key` of a configuration, "" where it has none.

    Takes what upstream's two readers take together (rustdesk `src/custom_server.rs`,
    `flutter/lib/common.dart`): the string with or without padding, in either base64 alphabet,
    the JSON itself, `host=…,key=…,api=…,relay=…`, any of them behind `config=` (QR code), and
    the name of an executable that carries one. A string signed by RustDesk is not accepted.

    Raises:
        ConfigStringError: none of these, or no host in it.
    """
    text = text.strip()
    text = text.removeprefix("config=")
    if text.startswith("{"):
        parts = _from_json(text)
    else:
        text = _EXECUTABLE.sub("", text)
        assignments = _ASSIGNMENTS.search(text)
        parts = _from_assignments(assignments[0]) if assignments else _from_name(text)
    if parts is None:
        raise ConfigStringError("this is not a RustDesk configuration string")
    if not parts["host"]:
        raise ConfigStringError("this RustDesk configuration string names no host")
    return parts


def _from_assignments(text: str) -> dict[str, str]:
    """Read `host=…,key=…`: names in any case, unknown ones ignored."""
    parts = dict.fromkeys(PARTS, "")
    for item in text.split(","):
        name, _equals, value = item.partition("=")
        if name.strip().lower() in parts:
            parts[name.strip().lower()] = value.strip()
    return parts


def _from_name(text: str) -> dict[str, str] | None:
    """Return the first configuration in a bare string or in an executable's name."""
    for candidate in _candidates(text):
        padded = candidate.strip().lstrip("=")[::-1].translate(_TO_STANDARD)
        padded += "=" * (-len(padded) % 4)
        try:
            raw = base64.b64decode(padded.encode("ascii"), validate=True)
            parts = _from_json(raw.decode("utf-8"))
        except (binascii.Error, UnicodeError):
            continue
        if parts is not None:
            return parts
    return None


def _candidates(text: str) -> Iterator[str]:
    """Yield what may be the string: the whole, and the pieces of a file name."""
    yield text
    for piece in _FILE_NAME_SEPARATOR.split(text):
        yield piece
        yield from piece.split("(")  # a browser's "name (1).exe"


def _from_json(text: str) -> dict[str, str] | None:
    """Read the JSON object; keys other than the four are ignored."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    parts = {name: "" if found.get(name) is None else found[name] for name in PARTS}
    return parts if all(isinstance(value, str) for value in parts.values()) else None
