# SPDX-License-Identifier: MIT
"""What a bundle is made of: archives that are the same whenever they are made from the same files, and their list.

Runs on the controller.
"""

from __future__ import annotations

import hashlib
import io
import stat
import tarfile
import zipfile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest time of a zip (PKWARE APPNOTE.TXT section 4.4.6): a build's own would make each differ."""
DEFLATE_LEVEL = 6

CHECKSUMS = "SHA256SUMS"
SIGNATURES = (f"{CHECKSUMS}.minisig", f"{CHECKSUMS}.asc")
MANIFEST = "MANIFEST"
RELEASE_MARK = "__RELEASE__"
"""Stands in a page for the name of the release, which is known only when the page is."""

_TEXTS = (".html", ".txt", ".xml", ".json", ".webmanifest")


def write_if_other(path: Path, content: bytes) -> bool:
    """Give a file its content in one step; returns whether it had another."""
    if path.is_file() and path.read_bytes() == content:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_bytes(content)
    fresh.chmod(0o644)
    fresh.replace(path)
    return True


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Return a zip of these files, byte for byte the same for the same files.

    They stand in the order of their names, with one time and one mode, whatever the file system says of them.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (stat.S_IFREG | (0o755 if name.endswith(".exe") else 0o644)) << 16
            archive.writestr(info, members[name], compresslevel=DEFLATE_LEVEL)
    return buffer.getvalue()


def for_notepad(text: str) -> bytes:
    """Return text as every Notepad reads it: marked as UTF-8, lines ended as on Windows."""
    return text.replace("\r\n", "\n").replace("\n", "\r\n").encode("utf-8-sig")


def listed(digests: Mapping[str, str]) -> str:
    """Return digests by name in the form that sha256sum writes and checks."""
    return "".join(f"{digests[name]}  {name}\n" for name in sorted(digests))


def parse_list(text: str) -> dict[str, str]:
    """Return the digests by name of a list in sha256sum's form.

    Raises:
        ValueError: a line has another form, or a name is there twice.
    """
    found: dict[str, str] = {}
    for line in text.splitlines():
        digest, separator, name = line.partition("  ")
        if not separator or len(digest) != 64 or set(digest) - set("0123456789abcdef") or not name or name in found:
            raise ValueError(line)
        found[name] = digest
    return found


def files_below(directory: Path) -> dict[str, Path]:
    """Return the files below a directory by their relative names."""
    return {
        str(path.relative_to(directory)): path
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.startswith(".")
    }


def release_name(version: str, digests: Mapping[str, str]) -> str:
    """Return the name of what these files are: the client's version, and the beginning of a digest over all of them."""
    return f"{version}-{hashlib.sha256(listed(digests).encode()).hexdigest()[:8]}"


def versioned(name: str, release: str) -> str:
    """Return the name of an archive that says of which release it is."""
    stem, dot, suffix = name.rpartition(".")
    return f"{stem}-{release}{dot}{suffix}"


def filled(name: str, content: bytes, release: str) -> bytes:
    """Return what a file of the page is for a release."""
    return content.replace(RELEASE_MARK.encode(), release.encode()) if name.endswith(_TEXTS) else content


def checksums(archives: Mapping[str, str], release: str) -> str:
    """Return the public list of digests: each archive under its lasting name, and under that of its release."""
    return listed(dict(archives) | {versioned(name, release): digest for name, digest in archives.items()})


def packed(files: Mapping[str, bytes]) -> bytes:
    """Return a tar of these files, byte for byte the same for the same files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size = len(files[name])
            info.mode = 0o644
            archive.addfile(info, io.BytesIO(files[name]))
    return buffer.getvalue()
