# SPDX-License-Identifier: MIT
"""The release archive of rustdesk-server: what a good one looks like, and what of it is installed.

Upstream publishes one zip per architecture. It holds a single directory named like the architecture with the three
programs in it (upstream `.github/workflows/build.yaml`), and comes without a checksum, so the digest is always given by
the caller. Runs on a target's Python 3.9+ and on the controller, without any dependency.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import stat
import zipfile
import zlib
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
"""`uname -m`: architecture as the role names it."""

MANIFEST = "manifest.json"
STAGING = ".staging"
CURRENT = "current"

PROGRAM_MODE = 0o755

_ANOTHER = "give an archive of upstream's for Linux"
_CHUNK = 1024 * 1024
_LARGEST_PROGRAM = 256 * 1024 * 1024
_COMPRESSIONS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
"""Bit of a member's flags (PKWARE APPNOTE.TXT section 4.4.4)."""

# What zipfile lets through when a file is not what its directory says.
_BROKEN_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


class ReleaseError(Exception):
    """The archive or the installed release cannot be used; the text is one sentence for the operator."""


@dataclass(frozen=True)
class Installed:
    """What is installed below an installation directory.

    `version` is what the `current` link names ("" when there is none), `fault` why the wanted release does not count as
    installed ("" when it does).
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

    Args:
        path: the zip on this machine.
        architecture: a key of `DIRECTORIES`.
        sha256: the digest the archive must have, hexadecimal; compared before anything of the archive is interpreted.
    """
    try:
        if not path.is_file():
            return f"there is no file {path}; put the archive there, or correct the path"
        found = sha256_of(path)
        if found != sha256.lower():
            return (
                f"{path} has the sha256 {found}, but {sha256.lower()} is expected; "
                "fetch it again, or correct the pin if the release is to change"
            )
        with zipfile.ZipFile(path) as archive:
            return _member_fault(archive, architecture)
    except OSError as error:
        return f"{path} cannot be read ({error.strerror or error}); correct its mode, or the path"
    except _BROKEN_ZIP as error:
        return f"{path} is not a usable zip archive ({error}); fetch it again"


def _member_fault(archive: zipfile.ZipFile, architecture: str) -> str:
    for info in archive.infolist():
        fault = _foreign(info)
        if fault:
            return f"the archive has {fault} ({info.filename}) and is no release of rustdesk-server; {_ANOTHER}"
    wanted = [f"{DIRECTORIES[architecture]}/{program}" for program in PROGRAMS]
    names = archive.namelist()
    missing = [name for name in wanted if name not in names]
    if missing:
        return f"the archive lacks {', '.join(missing)} and is no release for {architecture}; {_ANOTHER}"
    for name in wanted:
        size = archive.getinfo(name).file_size
        if not 0 < size <= _LARGEST_PROGRAM:
            return f"{name} in the archive has {size} bytes and is no program; {_ANOTHER}"
    damaged = archive.testzip()
    return f"{damaged} in the archive is damaged; fetch it again" if damaged else ""


def _foreign(info: zipfile.ZipInfo) -> str:
    """Name what no release has in a member, or return ""."""
    member = PurePosixPath(info.filename.replace("\\", "/"))
    if member.is_absolute() or ".." in member.parts:
        return "a member outside its own directory"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "a symbolic link"
    if info.compress_type not in _COMPRESSIONS or info.flag_bits & _ENCRYPTED:
        return "a member that is encrypted or compressed in an unusual way"
    return ""


def unpacked_size(path: Path) -> int:
    """Return how many bytes the members of a zip take when unpacked; 0 when it cannot be read."""
    try:
        with zipfile.ZipFile(path) as archive:
            return sum(info.file_size for info in archive.infolist())
    except (OSError, *_BROKEN_ZIP):
        return 0


def installed(install_dir: Path, version: str, sha256: str) -> Installed:
    """Compare what is installed with the wanted release, down to the digest of every program.

    Programs count only with the mode they were installed with and as the property of the user this runs as, root.
    """
    link = install_dir / CURRENT
    now = link.readlink().name if link.is_symlink() else ""
    release = install_dir / version
    if not release.is_dir():
        return Installed(now, f"version {version} is not installed")
    fault = _release_fault(release, version, sha256.lower())
    if not fault and link.resolve() != release.resolve():
        fault = f"version {now or 'none'} is the current one" if now != version else f"{link} leads elsewhere"
    if not fault and (install_dir / STAGING).exists():
        fault = "an earlier installation was interrupted"
    return Installed(now, fault)


def _release_fault(release: Path, version: str, sha256: str) -> str:
    try:
        manifest = json.loads((release / MANIFEST).read_text(encoding="utf-8"))
        programs = dict(manifest["programs"])
        archive = manifest["archive_sha256"]
    except (OSError, ValueError, KeyError, TypeError):
        return f"version {version} has no readable manifest"
    if archive != sha256:
        return f"version {version} was installed from another archive"
    for program in PROGRAMS:
        path = release / program
        if not path.is_file() or path.is_symlink() or sha256_of(path) != programs.get(program):
            return f"{program} of version {version} is missing or was changed"
    for path in (release, *(release / program for program in PROGRAMS)):
        facts = path.stat()
        if stat.S_IMODE(facts.st_mode) != PROGRAM_MODE or facts.st_uid != os.geteuid():
            return f"{path} has another owner or mode"
    return ""


def install(archive_path: Path, install_dir: Path, version: str, architecture: str, sha256: str) -> None:
    """Unpack a release below `install_dir/<version>` and make it the current one.

    The programs are unpacked beside the final place, then each takes its place in one step, the manifest after them and
    the `current` link last. So `current` always leads to complete programs, and an interruption is visible to
    `installed`.

    Raises:
        ReleaseError: the archive is not what it should be, or the file system refused; the old release still works.
    """
    fault = archive_fault(archive_path, architecture, sha256)
    if fault:
        raise ReleaseError(fault)
    staging = install_dir / STAGING
    try:
        staging.mkdir(mode=0o700, exist_ok=True)
        archive = _own_copy(archive_path, staging, sha256)
        unpacked = staging / version
        shutil.rmtree(unpacked, ignore_errors=True)
        unpacked.mkdir()
        _unpack(archive, unpacked, architecture, sha256)
        release = install_dir / version
        release.mkdir(exist_ok=True)
        os.chown(release, os.geteuid(), os.getegid())
        release.chmod(PROGRAM_MODE)
        for name in (*PROGRAMS, MANIFEST):
            (unpacked / name).replace(release / name)
        _link(install_dir, version)
    except OSError as error:
        raise ReleaseError(_refusal(install_dir, error)) from error
    finally:
        clean(install_dir)


def _refusal(install_dir: Path, error: OSError) -> str:
    sentence = f"{install_dir} cannot take the release ({error.strerror or error})"
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"{sentence}; make room there or choose another directory"
    where = error.filename2 or error.filename
    return f"{sentence}: {where} is in the way" if where else sentence


def _own_copy(archive: Path, staging: Path, sha256: str) -> Path:
    """Return the archive where nobody else can change it between its check and its use."""
    if archive.parent.resolve() == staging.resolve():
        return archive
    copy = staging / "copy.zip"
    shutil.copyfile(archive, copy)
    if sha256_of(copy) != sha256.lower():
        raise ReleaseError(f"{archive} was changed while it was read; put it where only root can write")
    return copy


def _unpack(archive_path: Path, target: Path, architecture: str, sha256: str) -> None:
    programs = {}
    with zipfile.ZipFile(archive_path) as archive:
        for program in PROGRAMS:
            path = target / program
            with archive.open(f"{DIRECTORIES[architecture]}/{program}") as source, path.open("xb") as sink:
                shutil.copyfileobj(source, sink, _CHUNK)
                os.fchmod(sink.fileno(), PROGRAM_MODE)
                # Without it a power failure could leave an empty program behind the finished link.
                sink.flush()
                os.fsync(sink.fileno())
            programs[program] = sha256_of(path)
    manifest = target / MANIFEST
    content = {"archive_sha256": sha256.lower(), "programs": programs}
    manifest.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    manifest.chmod(0o644)


def _link(install_dir: Path, version: str) -> None:
    fresh = install_dir / STAGING / CURRENT
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(version)
    fresh.replace(install_dir / CURRENT)


def clean(install_dir: Path) -> None:
    """Remove what an installation, finished or interrupted, left beside the releases."""
    shutil.rmtree(install_dir / STAGING, ignore_errors=True)


def superseded(install_dir: Path, version: str, keep: int) -> list[Path]:
    """Return the releases beyond the newest ones.

    Args:
        install_dir: directory of the releases; only directories with a manifest count as one.
        version: the release that is, or is about to be, the current one: never among those returned.
        keep: how many releases stay, that one included.
    """
    others = [
        path.parent
        for path in install_dir.glob(f"*/{MANIFEST}")
        if path.parent.name != version and not path.parent.is_symlink()
    ]
    newest_first = sorted(others, key=lambda path: path.stat().st_mtime, reverse=True)
    return newest_first[max(keep - 1, 0) :]


def remove(release: Path) -> None:
    """Remove a release; the manifest goes last, so that an interrupted removal is taken up by the next one."""
    for entry in release.iterdir():
        if entry.name != MANIFEST and not entry.is_dir():
            entry.unlink()
    shutil.rmtree(release)
