# SPDX-License-Identifier: MIT
"""The release archive of rustdesk-server: what a good one looks like, and what of it is installed.

Upstream publishes one zip per architecture. It holds a single directory named like the architecture with the three
programs in it (upstream ``.github/workflows/build.yaml``), and comes without a checksum, so the digest is always given by
the caller. Runs on a target's Python 3.9+ and on the controller, without any dependency.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import zipfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

PROGRAMS = ("hbbr", "hbbs", "rustdesk-utils")
"""What every release archive contains, and what gets installed."""

DIRECTORIES = {"amd64": "amd64", "arm64": "arm64v8", "armv7": "armv7", "i386": "i386"}
"""Architecture as the role names it: directory (and file name part) as upstream names it."""

MACHINES = {
    "x86_64": "amd64",
    "amd64": "amd64",
    "aarch64": "arm64",
    "arm64": "arm64",
    "armv7l": "armv7",
    "armv8l": "armv7",
    "i386": "i386",
    "i586": "i386",
    "i686": "i386",
}
"""``uname -m``: architecture as the role names it."""

MANIFEST = "manifest.json"
STAGING = ".staging"
CURRENT = "current"

_CHUNK = 1024 * 1024
_LARGEST_PROGRAM = 256 * 1024 * 1024


class ReleaseError(Exception):
    """The archive or the installed release cannot be used; the text is one sentence for the operator."""


@dataclass(frozen=True)
class Installed:
    """What is installed below an installation directory.

    ``version`` is what the ``current`` link names ("" when there is none), ``fault`` why the wanted release does not count
    as installed ("" when it does).
    """

    version: str
    fault: str


def sha256_of(path: Path) -> str:
    """Return the hexadecimal sha256 of a file, read in pieces."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        for piece in iter(lambda: stream.read(_CHUNK), b""):
            digest.update(piece)
    return digest.hexdigest()


def archive_fault(path: Path, architecture: str, sha256: str) -> str:
    """Say why an archive cannot be installed, or return "".

    :param path: the zip on this machine
    :param architecture: a key of :data:`DIRECTORIES`
    :param sha256: the digest the archive must have, hexadecimal; compared before anything of the archive is interpreted
    """
    if not path.is_file():
        return f"there is no file {path}"
    found = sha256_of(path)
    if found != sha256.lower():
        return f"{path} has the sha256 {found}, but {sha256.lower()} is expected; fetch it again, or correct the pin if the release is to change"
    try:
        with zipfile.ZipFile(path) as archive:
            return _member_fault(archive, architecture)
    except zipfile.BadZipFile as error:
        return f"{path} is not a usable zip archive ({error})"
    except OSError as error:
        return f"{path} cannot be read ({error.strerror})"


def _member_fault(archive: zipfile.ZipFile, architecture: str) -> str:
    for info in archive.infolist():
        member = PurePosixPath(info.filename.replace("\\", "/"))
        if member.is_absolute() or ".." in member.parts:
            return f"the archive has a member outside its own directory ({info.filename}); it is not a release of rustdesk-server"
        if stat.S_ISLNK(info.external_attr >> 16):
            return f"the archive has a symbolic link ({info.filename}); it is not a release of rustdesk-server"
    wanted = [f"{DIRECTORIES[architecture]}/{program}" for program in PROGRAMS]
    missing = [name for name in wanted if name not in archive.namelist()]
    if missing:
        return f"the archive lacks {', '.join(missing)}; it is not a release of rustdesk-server for {architecture}"
    for name in wanted:
        size = archive.getinfo(name).file_size
        if not 0 < size <= _LARGEST_PROGRAM:
            return f"{name} in the archive has {size} bytes; a program of 1 to {_LARGEST_PROGRAM} bytes is expected"
    damaged = archive.testzip()
    return f"{damaged} in the archive is damaged; fetch it again" if damaged else ""


def unpacked_size(path: Path) -> int:
    """Return how many bytes the members of a zip take when unpacked; 0 when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(info.file_size for info in archive.infolist())
    except (OSError, zipfile.BadZipFile):
        return 0


def installed(install_dir: Path, version: str, sha256: str) -> Installed:
    """Compare what is installed with the wanted release, down to the digest of every program."""
    link = install_dir / CURRENT
    now = PurePosixPath(os.readlink(link)).name if link.is_symlink() else ""
    return Installed(version=now, fault=_installed_fault(install_dir, now, version, sha256))


def _installed_fault(install_dir: Path, now: str, version: str, sha256: str) -> str:
    release = install_dir / version
    if (install_dir / STAGING).exists():
        return "an earlier installation was interrupted"
    if not release.is_dir():
        return f"version {version} is not installed"
    try:
        manifest = json.loads((release / MANIFEST).read_text(encoding="utf-8"))
        programs = dict(manifest["programs"])
        archive = manifest["archive_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"version {version} has no readable manifest"
    if archive != sha256.lower():
        return f"version {version} was installed from another archive"
    for program in PROGRAMS:
        path = release / program
        if not path.is_file() or path.is_symlink() or sha256_of(path) != programs.get(program):
            return f"{program} of version {version} is missing or was changed"
        if stat.S_IMODE(path.stat().st_mode) != 0o755 or path.stat().st_uid != 0:
            return f"{program} of version {version} has another owner or mode"
    return "" if now == version else f"version {now or 'none'} is the current one"


def install(archive_path: Path, install_dir: Path, version: str, architecture: str, sha256: str) -> None:
    """Unpack a release below ``install_dir/<version>`` and make it the current one.

    The programs are unpacked beside the final place, then each takes its place in one step, the manifest after them and the
    ``current`` link last. So ``current`` always leads to complete programs, and an interruption is visible to
    :func:`installed`.

    :raises ReleaseError: the archive is not what it should be, or the file system refused; nothing of the old release is changed
    """
    fault = archive_fault(archive_path, architecture, sha256)
    if fault:
        raise ReleaseError(fault)
    unpacked = install_dir / STAGING / version
    try:
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir(parents=True, mode=0o755)
        _unpack(archive_path, unpacked, architecture, sha256)
        release = install_dir / version
        release.mkdir(mode=0o755, exist_ok=True)
        release.chmod(0o755)
        for name in (*PROGRAMS, MANIFEST):
            os.replace(unpacked / name, release / name)
        _link(install_dir, version)
    except OSError as error:
        raise ReleaseError(
            f"{install_dir} cannot take the release ({error.strerror}); make room there or choose another directory"
        ) from error


def _unpack(archive_path: Path, target: Path, architecture: str, sha256: str) -> None:
    target.chmod(0o755)
    programs = {}
    with zipfile.ZipFile(archive_path) as archive:
        for program in PROGRAMS:
            path = target / program
            with archive.open(f"{DIRECTORIES[architecture]}/{program}") as source, path.open("xb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
            path.chmod(0o755)
            programs[program] = sha256_of(path)
    manifest = target / MANIFEST
    manifest.write_text(
        json.dumps({"archive_sha256": sha256.lower(), "programs": programs}, indent=2) + "\n", encoding="utf-8"
    )
    manifest.chmod(0o644)


def _link(install_dir: Path, version: str) -> None:
    fresh = install_dir / STAGING / CURRENT
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(version)
    os.replace(fresh, install_dir / CURRENT)


def clean(install_dir: Path) -> None:
    """Remove what an installation, finished or interrupted, left beside the releases."""
    shutil.rmtree(install_dir / STAGING, ignore_errors=True)


def superseded(install_dir: Path, keep: int) -> list[Path]:
    """Return the releases beyond the newest ``keep`` ones, never the current one; only directories with a manifest count."""
    link = install_dir / CURRENT
    now = link.resolve() if link.is_symlink() else None
    releases = [path.parent for path in install_dir.glob(f"*/{MANIFEST}") if path.parent.name != STAGING]
    newest_first = sorted(releases, key=lambda path: path.stat().st_mtime, reverse=True)
    others = [path for path in newest_first if path.resolve() != now]
    return others[max(keep - 1, 0) :]
