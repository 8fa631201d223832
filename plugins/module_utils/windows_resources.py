# SPDX-License-Identifier: MIT
"""Resources of a Windows program, as an object file that linkers take: version, manifest and icon.

Written from Microsoft's "PE Format" (COFF header, section table, relocations, the .rsrc section) and the descriptions
of VS_VERSIONINFO and of application manifests. Tools for this come with compilers or work for one architecture only;
this is the same few bytes on every controller, so that a build of the launchers is reproducible.
"""

from __future__ import annotations

import array
import re
import struct
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MACHINES = {"amd64": 0x8664, "arm64": 0xAA64}
"""Machine types by Go's names of architectures."""

_RELATIVE_ADDRESS = {"amd64": 0x0003, "arm64": 0x0002}
"""Relocation types of an address without the image's base (IMAGE_REL_AMD64_ADDR32NB, IMAGE_REL_ARM64_ADDR32NB)."""

ICON, GROUP_ICON, VERSION, MANIFEST = 3, 14, 16, 24
"""Types of resources."""

ENGLISH = 0x0409
UNICODE = 0x04B0


@dataclass(frozen=True)
class Resource:
    """One resource: its type, its number among those of the type, and its bytes."""

    kind: int
    number: int
    content: bytes


@dataclass(frozen=True)
class Icon:
    """A square picture: its edge in pixels, and its bytes as an icon resource has them."""

    edge: int
    content: bytes


def object_file(architecture: str, resources: Sequence[Resource]) -> bytes:
    """Return the resources as a COFF object file.

    Args:
        architecture: a key of `MACHINES`.
        resources: in any order, no two of one type with one number.
    """
    section, places = _section(sorted(resources, key=lambda resource: (resource.kind, resource.number)))
    header_bytes, section_header_bytes = 20, 40
    relocations_at = header_bytes + section_header_bytes + len(section)
    relocations = b"".join(struct.pack("<IIH", place, 0, _RELATIVE_ADDRESS[architecture]) for place in places)
    symbols_at = relocations_at + len(relocations)
    header = struct.pack("<HHIIIHH", MACHINES[architecture], 1, 0, symbols_at, 1, 0, 0)
    characteristics = 0x40000040  # initialised data, readable
    section_header = struct.pack(
        "<8sIIIIIIHHI",
        b".rsrc",
        0,
        0,
        len(section),
        header_bytes + section_header_bytes,
        relocations_at,
        0,
        len(places),
        0,
        characteristics,
    )
    static = 3
    symbol = struct.pack("<8sIhHBB", b".rsrc", 0, 1, 0, static, 0)
    empty_string_table = struct.pack("<I", 4)
    return header + section_header + section + relocations + symbol + empty_string_table


def _section(resources: Sequence[Resource]) -> tuple[bytes, list[int]]:
    """Return the section's bytes, and where in it addresses of resources stand.

    A directory of types holds one of numbers for each type, and that one of languages for each number.
    """
    kinds = sorted({resource.kind for resource in resources})
    of_kind = {kind: [resource for resource in resources if resource.kind == kind] for kind in kinds}
    table, entry = 16, 8
    numbers_at: dict[int, int] = {}
    at = table + entry * len(kinds)
    for kind in kinds:
        numbers_at[kind] = at
        at += table + entry * len(of_kind[kind])
    languages_at = at
    leaves_at = languages_at + (table + entry) * len(resources)
    contents_at = leaves_at + 16 * len(resources)

    below = 0x80000000
    out = _directory([(kind, numbers_at[kind] | below) for kind in kinds])
    index = {id(resource): number for number, resource in enumerate(resources)}
    for kind in kinds:
        entries = [
            (resource.number, (languages_at + (table + entry) * index[id(resource)]) | below)
            for resource in of_kind[kind]
        ]
        out += _directory(entries)
    for number in range(len(resources)):
        out += _directory([(ENGLISH, leaves_at + 16 * number)])
    contents = b""
    for resource in resources:
        out += struct.pack("<IIII", contents_at + len(contents), len(resource.content), 0, 0)
        contents += _padded(resource.content, 8)
    return out + contents, [leaves_at + 16 * number for number in range(len(resources))]


def _directory(entries: Sequence[tuple[int, int]]) -> bytes:
    return struct.pack("<IIHHHH", 0, 0, 0, 0, 0, len(entries)) + b"".join(struct.pack("<II", *item) for item in entries)


def _padded(content: bytes, multiple: int) -> bytes:
    return content + bytes(-len(content) % multiple)


def with_checksum(program: bytes) -> bytes:
    """Return a program with the checksum of its optional header, which Go leaves empty and signing fills in.

    With it, a signed program whose signature is taken off is the unsigned one byte for byte.
    """
    field = struct.unpack_from("<I", program, 0x3C)[0] + 0x58
    empty = program[:field] + bytes(4) + program[field + 4 :]
    words = array.array("H", _padded(empty, 2))
    if sys.byteorder == "big":
        words.byteswap()
    total = sum(words)
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return program[:field] + struct.pack("<I", total + len(program)) + program[field + 4 :]


# --- Version --------------------------------------------------------------------------------------------------------


def version(numbers: str, strings: Mapping[str, str]) -> Resource:
    """Return the version resource of a program.

    Args:
        numbers: the version; its first four numbers count for programs.
        strings: what Explorer shows, by Microsoft's names (CompanyName, FileDescription, …).
    """
    parts = [min(int(number), 0xFFFF) for number in re.findall(r"[0-9]+", numbers)[:4]]
    high, middle, low, last = (*parts, 0, 0, 0, 0)[:4]
    windows, application = 0x00040004, 1
    fixed = struct.pack(
        "<13I",
        0xFEEF04BD,
        0x00010000,
        *(high << 16 | middle, low << 16 | last) * 2,
        0x3F,
        0,
        windows,
        application,
        0,
        0,
        0,
    )
    texts = [_block(name, text, b"") for name, text in strings.items()]
    table = _block(f"{ENGLISH:04x}{UNICODE:04x}", "", _joined(texts))
    translation = _block("Translation", struct.pack("<HH", ENGLISH, UNICODE), b"")
    children = _joined([_block("StringFileInfo", "", table), _block("VarFileInfo", "", translation)])
    return Resource(VERSION, 1, _block("VS_VERSION_INFO", fixed, children))


def _block(key: str, value: bytes | str, children: bytes) -> bytes:
    """Return one block: lengths, kind, key, value and blocks in it, each part on a multiple of four bytes."""
    is_text = isinstance(value, str)
    raw = (
        value.encode("utf-16-le") + b"\0\0"
        if isinstance(value, str) and value
        else value
        if isinstance(value, bytes)
        else b""
    )
    length = len(raw) // 2 if is_text else len(raw)
    head = _padded(bytes(6) + key.encode("utf-16-le") + b"\0\0", 4)
    body = _padded(head + raw, 4) + children if children else head + raw
    return struct.pack("<HHH", len(body), length, int(is_text)) + body[6:]


def _joined(blocks: Sequence[bytes]) -> bytes:
    return b"".join(_padded(block, 4) for block in blocks[:-1]) + (blocks[-1] if blocks else b"")


# --- Manifest -------------------------------------------------------------------------------------------------------

_MANIFEST = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <trustInfo xmlns="urn:schemas-microsoft-com:asm.v3">
    <security>
      <requestedPrivileges>
        <requestedExecutionLevel level="asInvoker" uiAccess="false"/>
      </requestedPrivileges>
    </security>
  </trustInfo>
  <compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1">
    <application>
      <supportedOS Id="{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"/>
    </application>
  </compatibility>
  <application xmlns="urn:schemas-microsoft-com:asm.v3">
    <windowsSettings>
      <activeCodePage xmlns="http://schemas.microsoft.com/SMI/2019/WindowsSettings">UTF-8</activeCodePage>
      <longPathAware xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">true</longPathAware>
      <dpiAwareness xmlns="http://schemas.microsoft.com/SMI/2016/WindowsSettings">PerMonitorV2</dpiAwareness>
    </windowsSettings>
  </application>
</assembly>
"""


def manifest() -> Resource:
    """Return the manifest: no more rights than whoever starts it, UTF-8, long paths, Windows 10 and newer."""
    return Resource(MANIFEST, 1, _MANIFEST.replace("\n", "\r\n").encode())


# --- Icon -----------------------------------------------------------------------------------------------------------


def icons(pictures: Sequence[Icon]) -> list[Resource]:
    """Return an icon in several sizes: the pictures, and the group that names them."""
    group = struct.pack("<HHH", 0, 1, len(pictures))
    for number, picture in enumerate(pictures, 1):
        edge = picture.edge % 256  # 0 stands for 256
        group += struct.pack("<BBBBHHIH", edge, edge, 0, 0, 1, 32, len(picture.content), number)
    return [
        *(Resource(ICON, number, picture.content) for number, picture in enumerate(pictures, 1)),
        Resource(GROUP_ICON, 1, group),
    ]
