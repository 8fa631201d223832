# SPDX-License-Identifier: MIT
"""The key pair of a rustdesk-server as it lies in the daemons' working directory.

hbbs and hbbr read ``id_ed25519`` only and derive the public key from its last 32 bytes; ``id_ed25519.pub`` is what people
copy to clients, so the two must agree (rustdesk-server ``src/common.rs``, ``gen_sk``).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ansible.module_utils.ed25519 import KeyFormatError, KeyPair

PRIVATE_FILE = "id_ed25519"
PUBLIC_FILE = "id_ed25519.pub"


@dataclass(frozen=True)
class KeyState:
    """What lies in a state directory; holds nothing secret.

    ``state`` is ``absent``, ``valid``, ``public_only`` (the secret half is missing) or ``malformed``; ``detail`` says what is
    wrong; ``public_file_fits`` tells whether ``id_ed25519.pub`` holds the public key of ``id_ed25519``.
    """

    state: str
    public_key: str = ""
    fingerprint: str = ""
    detail: str = ""
    public_file_fits: bool = False


def _text(path: Path) -> Optional[str]:
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError):
        return ""


def inspect(state_dir: Path) -> KeyState:
    """Look at the key pair in a directory."""
    private, public = _text(state_dir / PRIVATE_FILE), _text(state_dir / PUBLIC_FILE)
    if private is None:
        if public is None:
            return KeyState("absent")
        return KeyState(
            "public_only", public.strip(), detail=f"{state_dir / PUBLIC_FILE} is there without {PRIVATE_FILE}"
        )
    try:
        pair = KeyPair.parse(private)
    except KeyFormatError as error:
        return KeyState("malformed", detail=f"{state_dir / PRIVATE_FILE}: {error}")
    fits = public is not None and public.strip() == pair.public_text
    return KeyState("valid", pair.public_text, pair.fingerprint, public_file_fits=fits)
