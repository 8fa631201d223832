"""Which archive of hbbs and hbbr the lab deploys.

In this order: the file that ``RUSTDESK_SERVER_ARCHIVE`` names; the release pinned in the role, downloaded once
and kept; the lab server, packed in the same layout. ``RUSTDESK_SERVER_ARCHIVE=lab`` goes straight to the last.
The choice is written to ``.cache/archive.json`` and said in one sentence.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import platform
import subprocess
import sys
import time
import urllib.request
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache"
ROLE = ROOT / "roles" / "rustdesk_server"
VARIABLE = "RUSTDESK_SERVER_ARCHIVE"
CONNECT_TIMEOUT = 5.0
PROGRESS_INTERVAL = 10.0
CHUNK = 1 << 16

# Kernel's machine name: the role's architecture, and the directory in upstream's archive.
ARCHITECTURES = {
    "x86_64": ("amd64", "amd64"),
    "aarch64": ("arm64", "arm64v8"),
    "armv7l": ("armv7", "armv7"),
    "i686": ("i386", "i386"),
}


class ArchiveError(Exception):
    """The lab cannot go on with what it was given; the text is one sentence for the person who gave it."""


class UnreachableError(Exception):
    """The release cannot be downloaded from here."""


@dataclass(frozen=True)
class Release:
    """The pinned release for this machine's architecture."""

    version: str
    architecture: str
    directory: str
    file: str
    sha256: str
    url: str


@dataclass(frozen=True)
class Choice:
    """What ``.cache/archive.json`` holds. ``kind`` is given, release or lab; ``path`` is absolute."""

    kind: str
    path: str
    sha256: str
    version: str
    architecture: str
    file: str
    sentence: str


def pinned(role: Path = ROLE, machine: str = "") -> Release:
    """The release that the role pins and deploys by default; ``machine`` as the kernel names it (default: here).

    Raises ArchiveError where the role has no pin for this architecture.
    """
    machine = machine or platform.machine()
    defaults: dict[str, Any] = yaml.safe_load((role / "defaults/main.yml").read_text(encoding="utf-8"))
    pins: dict[str, Any] = yaml.safe_load((role / "vars/main/releases.yml").read_text(encoding="utf-8"))
    version = str(defaults["rustdesk_server_version"])
    architecture, directory = ARCHITECTURES.get(machine, (machine, machine))
    try:
        pin = pins["__rustdesk_server_releases"][version][architecture]
    except KeyError:
        raise ArchiveError(f"no archive of release {version} is pinned for {machine} machines") from None
    url = f"{defaults['rustdesk_server_archive_mirror']}/{version}/{pin['file']}"
    return Release(version, architecture, directory, pin["file"], pin["sha256"], url)


def digest(path: Path) -> str:
    """The file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def given(path: Path, release: Release) -> Choice:
    """The archive at ``path``, looked at before any machine sees it.

    Raises ArchiveError when it is missing, or no archive of the release's layout.
    """
    needed = [f"{release.directory}/{name}" for name in ("hbbr", "hbbs", "rustdesk-utils")]
    try:
        with zipfile.ZipFile(path) as archive:
            missing = sorted(set(needed) - set(archive.namelist()))
    except OSError as error:
        raise ArchiveError(f"{VARIABLE}={path}: {error.strerror or error}; name a readable file") from None
    except zipfile.BadZipFile:
        raise ArchiveError(f"{VARIABLE}={path}: this is no zip archive; name a release archive of upstream's") from None
    if missing:
        raise ArchiveError(f"{VARIABLE}={path}: {', '.join(missing)} missing; take the archive of this architecture")
    sha256 = digest(path)
    standing = f"the pinned release {release.version}" if sha256 == release.sha256 else f"taken for {release.version}"
    sentence = f"Using the archive given in {VARIABLE}: {path} ({standing}, sha256 {sha256})."
    return _choice("given", path.resolve(), sha256, release, sentence)


def downloaded(release: Release, target: Path, say: Callable[[str], None]) -> Choice:
    """The pinned release, fetched unless it is there already.

    Raises UnreachableError when it cannot be had from here, ArchiveError when what came is something else.
    """
    if not (target.exists() and digest(target) == release.sha256):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        try:
            _fetch(release.url, part, say)
            if (got := digest(part)) != release.sha256:
                raise ArchiveError(
                    f"{release.url} has sha256 {got}, but {release.sha256} is pinned: it was replaced or tampered with;"
                    f" do not use it, or give a file you trust in {VARIABLE}"
                )
            part.replace(target)
        finally:
            part.unlink(missing_ok=True)
    sentence = f"Using the pinned release {release.version} (sha256 {release.sha256}, checked)."
    return _choice("release", target, release.sha256, release, sentence)


def _fetch(url: str, target: Path, say: Callable[[str], None]) -> None:
    try:
        with urllib.request.urlopen(url, timeout=CONNECT_TIMEOUT) as response, target.open("wb") as file:  # noqa: S310
            size = int(response.headers.get("Content-Length") or 0)
            say(f"fetching {url} ({size / 1e6:.1f} MB)")
            _copy(response, file, size, say)
    except OSError as error:
        cause = getattr(error, "reason", error)
        raise UnreachableError(getattr(cause, "strerror", None) or str(cause)) from None


def _copy(source: Any, target: IO[bytes], size: int, say: Callable[[str], None]) -> None:
    done, said = 0, time.monotonic()
    while chunk := source.read(CHUNK):
        target.write(chunk)
        done += len(chunk)
        if time.monotonic() - said > PROGRESS_INTERVAL:
            said = time.monotonic()
            say(f"{done / 1e6:.1f} of {size / 1e6:.1f} MB")
    if size and done != size:
        raise OSError(f"the connection ended after {done} of {size} bytes")


def packed(release: Release, target: Path, why: str) -> Choice:
    """The lab server, packed like a release.

    Raises ArchiveError when it cannot be packed.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    command = [str(ROOT / "lab" / "pack"), "--output", str(target), "--arch", release.directory]
    result = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if result.returncode:
        raise ArchiveError(f"the lab server cannot be packed: {(result.stderr or result.stdout).strip()}")
    sha256 = digest(target)
    sentence = f"Using the lab server, which stands in for release {release.version}: {why}."
    return _choice("lab", target, sha256, release, sentence)


def _choice(kind: str, path: Path, sha256: str, release: Release, sentence: str) -> Choice:
    return Choice(kind, str(path), sha256, release.version, release.architecture, release.file, sentence)


def choose(environment: Mapping[str, str], cache: Path, say: Callable[[str], None]) -> Choice:
    """Decide by what ``environment`` says and what can be reached.

    Raises ArchiveError when what was given or fetched must not be used.
    """
    release = pinned()
    wish = environment.get(VARIABLE, "")
    if wish and wish != "lab":
        return given(Path(wish).expanduser(), release)
    lab = cache / "archives" / "lab" / release.file
    if wish == "lab":
        return packed(release, lab, f"{VARIABLE}=lab asks for it")
    try:
        return downloaded(release, cache / "archives" / release.version / release.file, say)
    except UnreachableError as error:
        return packed(release, lab, f"the release cannot be downloaded here ({error})")


def main() -> int:
    """Choose, write the choice down, say it; a fault is one sentence on stderr and exit status 1."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "archive.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            choice = choose(os.environ, CACHE, lambda line: print(f"==> {line}", file=sys.stderr, flush=True))
        except ArchiveError as error:
            print(f"error: {error}", file=sys.stderr)
            return 1
        new = CACHE / "archive.json.new"
        new.write_text(json.dumps(asdict(choice), indent=2) + "\n", encoding="utf-8")
        new.replace(CACHE / "archive.json")
    print(choice.sentence)
    return 0


if __name__ == "__main__":
    sys.exit(main())
