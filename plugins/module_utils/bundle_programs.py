# SPDX-License-Identifier: MIT
"""Whether a file is a whole program for Windows, by its headers (Microsoft, PE Format).

Runs on the controller.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

MACHINES = {"amd64": 0x8664, "arm64": 0xAA64}
"""IMAGE_FILE_MACHINE_* of each architecture."""

_NAMES = {0x014C: "x86, 32 bit", 0x8664: "amd64", 0xAA64: "arm64"}
_SECTION = 40
_SECURITY = 4
"""Index of the directory of the signature, the only one that holds a position in the file instead of in memory."""
_HEADERS = 64 * 1024


def program_fault(path: Path, architecture: str) -> str:
    """Say why a file is no whole program for Windows on an architecture, or return ""."""
    with path.open("rb") as stream:
        head = stream.read(_HEADERS)
    size = path.stat().st_size
    try:
        return _fault(head, size, architecture)
    except struct.error:
        return "ends in the middle of its headers; get it anew"


def _fault(head: bytes, size: int, architecture: str) -> str:
    another = "is not a program for Windows; give rustdesk's .exe"
    if head[:2] != b"MZ":
        return another
    (start,) = struct.unpack_from("<I", head, 0x3C)
    if head[start : start + 4] != b"PE\0\0":
        return another
    machine, sections, _time, _table, _count, optional = struct.unpack_from("<HHIIIH", head, start + 4)
    if machine != MACHINES[architecture]:
        return f"is a program for {_NAMES.get(machine, hex(machine))} and not for {architecture}; give that one"
    if _end(head, start + 24, optional, sections) > size:
        return (
            f"is cut off: it has {size} bytes and its headers tell of {_end(head, start + 24, optional, sections)}; "
            "get it anew"
        )
    return ""


def _end(head: bytes, start: int, optional: int, sections: int) -> int:
    """Return the end of what the headers say is in the file: its sections, and its signature."""
    end = 0
    for number in range(sections):
        length, position = struct.unpack_from("<II", head, start + optional + number * _SECTION + 16)
        end = max(end, position + length if length else 0)
    # Of a 64-bit program: 112 bytes, then the directories, eight bytes each.
    (directories,) = struct.unpack_from("<I", head, start + 108)
    if directories > _SECURITY:
        position, length = struct.unpack_from("<II", head, start + 112 + _SECURITY * 8)
        end = max(end, position + length if length else 0)
    return end
