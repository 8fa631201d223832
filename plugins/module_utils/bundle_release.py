# SPDX-License-Identifier: MIT
"""The releases that are published on a host, and how one takes the place of another.

Below the web root, `releases/<name>` holds a release, `MANIFEST` in it the digest of each of its files, and the link
`current` names the one that is served. Runs on a target's Python 3.9+, without any dependency.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import re
import shutil
import tarfile
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ansible.module_utils.bundle_build import CHECKSUMS, MANIFEST, parse_list
from ansible.module_utils.release import sha256_of

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASES = "releases"
CURRENT = "current"
STAGING = ".staging"
INCOMING = ".incoming"
"""Where the role puts an archive that is on its way."""

RELEASE = re.compile(r"[0-9][0-9A-Za-z.]{0,30}-[0-9a-f]{8}\Z")
"""The name of a release: the client's version, and the beginning of a digest."""

DIRECTORY_MODE = 0o755
FILE_MODE = 0o644

_CHUNK = 1024 * 1024
_LARGEST = 2 * 1024 * 1024 * 1024
"""Bytes that a release may take; a client has 25 MB."""
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
"""Of renameat2(2)."""


class BundleError(Exception):
    """A release cannot be published; the text is one sentence for the operator."""


@dataclass(frozen=True)
class Published:
    """What is published: all releases, the last served first, the one that is served now, and what is wrong with it."""

    releases: tuple[str, ...]
    current: str
    fault: str


# --- What is there ------------------------------------------------------------------------------------------------


def manifest_digest(release: Path) -> str:
    """Return the digest of a release's manifest, which stands for all of it; "" when it has none."""
    manifest = release / MANIFEST
    return sha256_of(manifest) if manifest.is_file() and not manifest.is_symlink() else ""


def archives(release: Path) -> dict[str, str]:
    """Return the digests of a release's archives, by the names that last; none when it has no readable list."""
    try:
        told = parse_list((release / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: digest for name, digest in told.items() if (release / name).is_file()}


def release_fault(release: Path) -> str:
    """Say in what a release differs from its own manifest and checksums, or return ""."""
    try:
        wanted = parse_list((release / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{release.name} has no readable {MANIFEST}"
    found = {str(path.relative_to(release)) for path in release.rglob("*") if not path.is_dir() or path.is_symlink()}
    for name in sorted(found ^ (set(wanted) | {MANIFEST})):
        return f"{name} of {release.name} is {'missing' if name in wanted else 'not of it'}"
    for name, digest in sorted(wanted.items()):
        path = release / name
        if path.is_symlink() or not path.is_file() or sha256_of(path) != digest:
            return f"{name} of {release.name} is not what was built"
    return _checksum_fault(release, wanted)


def _checksum_fault(release: Path, wanted: dict[str, str]) -> str:
    """Say in what the list that customers compare with differs from the files that they get, or return ""."""
    try:
        told = parse_list((release / CHECKSUMS).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return f"{release.name} has no readable {CHECKSUMS}"
    for name in sorted(name for name in wanted if name.endswith(".zip")):
        if told.get(name) != wanted[name]:
            return f"{name} of {release.name} is not what {CHECKSUMS} says"
    return ""


def published(root: Path) -> Published:
    """Return what is published below a web root."""
    link, directory = root / CURRENT, root / RELEASES
    current = link.readlink().name if link.is_symlink() else ""
    names = _last_served_first(directory)
    fault = ""
    if current and link.resolve() != (directory / current).resolve():
        fault = f"{link} leads out of {directory}"
    elif current not in names:
        fault = f"{current or 'no release'} is not there"
    else:
        fault = release_fault(directory / current)
    if not fault and any((root / name).exists() for name in (STAGING, INCOMING)):
        fault = "an earlier publication was interrupted"
    return Published(tuple(names), current, fault)


def _last_served_first(directory: Path) -> list[str]:
    if not directory.is_dir() or directory.is_symlink():
        return []
    found = [path for path in directory.iterdir() if RELEASE.match(path.name) and (path / MANIFEST).is_file()]
    return [path.name for path in sorted(found, key=lambda path: (path.stat().st_mtime_ns, path.name), reverse=True)]


# --- What is brought ----------------------------------------------------------------------------------------------


def members(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """Yield the members of an archive of a release.

    Raises:
        BundleError: one is no plain file, or would lie outside the release.
    """
    room = _LARGEST
    for info in archive:
        name = PurePosixPath(info.name)
        if name.is_absolute() or ".." in name.parts or str(name) != info.name or "\\" in info.name:
            raise BundleError(f"the archive has a member outside its own directory ({info.name})")
        if not info.isreg():
            raise BundleError(f"the archive has a member that is no file ({info.name})")
        room -= info.size
        if room < 0:
            raise BundleError("the archive is larger than any bundle")
        yield info


def unpack(archive_path: Path, target: Path) -> None:
    """Write the members of an archive below a new directory, so that they survive a power failure.

    Raises:
        BundleError: the archive is torn, or has what no release has.
        OSError: the file system refuses.
    """
    target.mkdir(mode=DIRECTORY_MODE, parents=True)
    try:
        with tarfile.open(archive_path, "r:") as archive:
            for info in members(archive):
                path = target / info.name
                path.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(info)
                if source is None or path.exists():
                    raise BundleError(f"the archive has {info.name} twice")
                with path.open("xb") as sink:
                    shutil.copyfileobj(source, sink, _CHUNK)
                    os.fchmod(sink.fileno(), FILE_MODE)
                    sink.flush()
                    os.fsync(sink.fileno())
    except tarfile.TarError as error:
        raise BundleError(f"the archive is torn ({error})") from error
    for directory in (*(path for path in target.rglob("*") if path.is_dir()), target):
        directory.chmod(DIRECTORY_MODE)
        _sync(directory)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


# --- Publishing ---------------------------------------------------------------------------------------------------


def obstacle(root: Path) -> str:
    """Say what stands where the releases are to be, or return ""."""
    for path in (root, root / RELEASES, root / STAGING):
        if path.is_symlink() or (path.exists() and not path.is_dir()):
            return f"{path} is in the way: it has to be a directory, or not to be there"
    link = root / CURRENT
    if link.exists() and not link.is_symlink():
        return f"{link} is in the way: it has to be a link, or not to be there"
    return ""


def bring(root: Path, archive: Path, sha256: str, release: str, manifest: str) -> None:
    """Unpack a release and put it beside the others, after a look at each of its files; what is served stays as it is.

    Args:
        root: the web root; it must exist.
        archive: the tar that was built on the controller.
        sha256: its digest.
        release: the name of the release.
        manifest: the digest of its manifest.

    Raises:
        BundleError: the archive is not what was built.
        OSError: the file system refuses.
    """
    if not RELEASE.match(release):
        raise BundleError(f"'{release}' is not the name of a release")
    fault = obstacle(root)
    if fault:
        raise BundleError(fault)
    found = sha256_of(archive)
    if found != sha256:
        raise BundleError(f"the archive has the sha256 {found}, but {sha256} was built; it was damaged on its way")
    staging = root / STAGING
    clean(root)
    try:
        staging.mkdir(mode=0o700)
        fresh = staging / release
        unpack(archive, fresh)
        if manifest_digest(fresh) != manifest:
            raise BundleError(f"the archive has another {MANIFEST} than was built")
        fault = release_fault(fresh)
        if fault:
            raise BundleError(fault)
        releases = root / RELEASES
        releases.mkdir(mode=DIRECTORY_MODE, exist_ok=True)
        place(fresh, releases / release)
        _sync(releases)
    finally:
        clean(root)


def place(fresh: Path, release: Path) -> None:
    """Give a release its place; one that is there under this name, and damaged, changes places with it in one step."""
    if not release.exists():
        fresh.rename(release)
        return
    call = ctypes.CDLL(None, use_errno=True).renameat2
    arguments = (_AT_FDCWD, os.fsencode(fresh), _AT_FDCWD, os.fsencode(release), _RENAME_EXCHANGE)
    if call(*arguments) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS, errno.EXDEV):
        raise OSError(number, os.strerror(number), str(release))
    # A file system that cannot exchange: for an instant there is neither.
    release.rename(fresh.with_name("damaged"))
    fresh.rename(release)


def serve(root: Path, release: str) -> None:
    """Serve a release from the next request on; downloads that run go on with the file they have opened.

    The time of a release's directory says when it was served last.

    Raises:
        BundleError: it is not there as it was built.
    """
    directory = root / RELEASES / release
    if not RELEASE.match(release) or not directory.is_dir() or directory.is_symlink():
        raise BundleError(f"there is no release {release}; {_choice(published(root).releases)}")
    fault = release_fault(directory)
    if fault:
        raise BundleError(f"{fault}; publish it anew")
    staging = root / STAGING
    staging.mkdir(mode=0o700, exist_ok=True)
    fresh = staging / CURRENT
    with contextlib.suppress(FileNotFoundError):
        fresh.unlink()
    fresh.symlink_to(f"{RELEASES}/{release}")
    before = root / CURRENT
    if before.is_dir():
        os.utime(before)
    os.utime(directory)
    fresh.replace(root / CURRENT)
    _sync(root)
    clean(root)


def _choice(releases: tuple[str, ...]) -> str:
    return f"there are {', '.join(releases)}" if releases else "there is none at all"


def clean(root: Path) -> None:
    """Remove what a publication, finished or interrupted, left beside the releases."""
    shutil.rmtree(root / STAGING, ignore_errors=True)


def finish(root: Path) -> None:
    """Remove all that publications leave, the archive included."""
    clean(root)
    shutil.rmtree(root / INCOMING, ignore_errors=True)


def superseded(root: Path, current: str, before: str, keep: int) -> list[str]:
    """Return the releases beyond those that were served last.

    Args:
        root: the web root.
        current: the release that is served; it is never among them.
        before: the one that was served until now; it is the last to go, whatever the clock has done.
        keep: how many releases stay.
    """
    names = [name for name in _last_served_first(root / RELEASES) if name != current]
    names.sort(key=lambda name: name != before)
    return sorted(names[max(keep - 1, 0) :])


def remove(root: Path, release: str) -> None:
    """Remove a release; its manifest goes first, so that half of one never counts as one."""
    directory = root / RELEASES / release
    with contextlib.suppress(FileNotFoundError):
        (directory / MANIFEST).unlink()
    shutil.rmtree(directory)


def leftovers(root: Path) -> list[Path]:
    """Return what removals that were interrupted left of releases."""
    directory = root / RELEASES
    if not directory.is_dir() or directory.is_symlink():
        return []
    return [path for path in directory.iterdir() if RELEASE.match(path.name) and not (path / MANIFEST).exists()]
