"""Release archives that are not what they should be, and installations that end in the middle."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import stat
import struct
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_release
from ansible.module_utils import release
from ansible.module_utils.release import ReleaseError, archive_fault, install, installed
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .support import (
    PROGRAMS,
    ROLE,
    Archive,
    as_nobody,
    in_child,
    killings,
    release_archive,
    run_module,
    sealed,
    tree,
)

if TYPE_CHECKING:
    from collections.abc import Callable

VERSION = "1.1.16"

STEPS: list[tuple[Any, str]] = [
    (Path, "chmod"),
    (Path, "mkdir"),
    (Path, "open"),
    (Path, "replace"),
    (Path, "symlink_to"),
    (Path, "unlink"),
    (Path, "write_text"),
    (os, "chown"),
    (os, "fchmod"),
    (os, "fsync"),
    (os, "rename"),
    (os, "rmdir"),
    (os, "unlink"),
    (shutil, "copyfile"),
    (shutil, "copyfileobj"),
    (shutil, "rmtree"),
]
"""Everything an installation changes files with."""


@pytest.fixture(autouse=True)
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Wait for no disk; return the names of the files that would have been waited for."""
    names: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: names.append(Path(f"/proc/self/fd/{handle}").readlink().name))
    return names


@pytest.fixture
def install_dir(tmp_path: Path) -> Path:
    directory = tmp_path / "rustdesk-server"
    directory.mkdir()
    return directory


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return release_archive(tmp_path / "good.zip")


def put(archive: Archive, install_dir: Path, version: str = VERSION) -> None:
    install(archive.path, install_dir, version, "amd64", archive.sha256)


def fault(archive: Archive, install_dir: Path, version: str = VERSION) -> str:
    return installed(install_dir, version, archive.sha256).fault


# --- Archives that are refused ----------------------------------------------------------------------------------------


def missing(path: Path) -> Archive:
    return Archive(path, "0" * 64)


def directory(path: Path) -> Archive:
    path.mkdir()
    return Archive(path, "0" * 64)


def other_digest(path: Path) -> Archive:
    return Archive(release_archive(path).path, "0" * 64)


def text(path: Path) -> Archive:
    path.write_text("<html>404</html>", encoding="ascii")
    return sealed(path)


def empty(path: Path) -> Archive:
    path.touch()
    return sealed(path)


def cut(keep: float) -> Callable[[Path], Archive]:
    def build(path: Path) -> Archive:
        whole = release_archive(path).path.read_bytes()
        path.write_bytes(whole[: int(len(whole) * keep)])
        return sealed(path)

    return build


def without(program: str) -> Callable[[Path], Archive]:
    def build(path: Path) -> Archive:
        with (
            zipfile.ZipFile(release_archive(path.with_suffix(".all")).path) as whole,
            zipfile.ZipFile(path, "w") as sink,
        ):
            for name in whole.namelist():
                if name != f"amd64/{program}":
                    sink.writestr(name, whole.read(name))
        return sealed(path)

    return build


def with_member(name: str) -> Callable[[Path], Archive]:
    return lambda path: release_archive(path, members={name: b"planted"})


def with_link(path: Path) -> Archive:
    release_archive(path)
    info = zipfile.ZipInfo("amd64/config")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(info, "/etc/shadow")
    return sealed(path)


def for_arm(path: Path) -> Archive:
    return release_archive(path, directory="arm64v8")


def empty_program(path: Path) -> Archive:
    return release_archive(path, members={"amd64/hbbs": b""})


def huge_program(path: Path) -> Archive:
    """Claim a size that the member does not have, in the central directory (PKWARE APPNOTE.TXT section 4.3.12)."""
    content = bytearray(release_archive(path).path.read_bytes())
    entry = content.rindex(b"amd64/hbbs") - 46
    struct.pack_into("<L", content, entry + 24, 0xFFFFFFF0)
    path.write_bytes(content)
    return sealed(path)


def damaged(offset: int) -> Callable[[Path], Archive]:
    """Flip bits in the compressed data of hbbs, `offset` bytes after its beginning."""

    def build(path: Path) -> Archive:
        content = bytearray(release_archive(path).path.read_bytes())
        content[content.index(b"amd64/hbbs") + len("amd64/hbbs") + offset] ^= 0xFF
        path.write_bytes(content)
        return sealed(path)

    return build


def wrong_crc(path: Path) -> Archive:
    content = bytearray(release_archive(path).path.read_bytes())
    for name, distance in ((content.index(b"amd64/hbbs"), 16), (content.rindex(b"amd64/hbbs"), 30)):
        content[name - distance] ^= 0xFF
    path.write_bytes(content)
    return sealed(path)


def encrypted(path: Path) -> Archive:
    content = bytearray(release_archive(path).path.read_bytes())
    for name, distance in ((content.index(b"amd64/hbbs"), 24), (content.rindex(b"amd64/hbbs"), 38)):
        content[name - distance] |= 1
    path.write_bytes(content)
    return sealed(path)


def unusual_compression(path: Path) -> Archive:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        for name, content in PROGRAMS.items():
            archive.writestr(f"amd64/{name}", content)
    return sealed(path)


REFUSED: dict[str, tuple[Callable[[Path], Archive], str]] = {
    "missing": (missing, "there is no file"),
    "directory": (directory, "there is no file"),
    "other digest": (other_digest, f"but {'0' * 64} is expected; fetch it again, or correct the pin"),
    "text": (text, "is not a usable zip archive"),
    "empty": (empty, "is not a usable zip archive"),
    "cut in the middle": (cut(0.5), "is not a usable zip archive"),
    "cut in the directory": (cut(0.97), "is not a usable zip archive"),
    "cut before the end": (cut(0.9999), "is not a usable zip archive"),
    "without hbbr": (without("hbbr"), "lacks amd64/hbbr"),
    "without hbbs": (without("hbbs"), "lacks amd64/hbbs"),
    "without the utilities": (without("rustdesk-utils"), "lacks amd64/rustdesk-utils"),
    "traversing": (with_member("../../etc/cron.d/evil"), "outside its own directory (../../etc/cron.d/evil)"),
    "traversing inside": (with_member("amd64/../../evil"), "outside its own directory"),
    "absolute": (with_member("/etc/cron.d/evil"), "outside its own directory (/etc/cron.d/evil)"),
    "traversing with backslashes": (with_member("..\\evil"), "outside its own directory"),
    "symbolic link": (with_link, "a symbolic link (amd64/config)"),
    "other architecture": (for_arm, "lacks amd64/hbbr, amd64/hbbs, amd64/rustdesk-utils"),
    "empty program": (empty_program, "amd64/hbbs in the archive has 0 bytes"),
    "huge program": (huge_program, "amd64/hbbs in the archive has 4294967280 bytes"),
    "damaged stream": (damaged(40), "amd64/hbbs in the archive is damaged; fetch it again"),
    "damaged start of the stream": (damaged(0), "is not a usable zip archive"),
    "damaged digest": (wrong_crc, "amd64/hbbs in the archive is damaged; fetch it again"),
    "encrypted": (encrypted, "encrypted or compressed in an unusual way (amd64/hbbs)"),
    "unusual compression": (unusual_compression, "encrypted or compressed in an unusual way (amd64/hbbr)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_bad_archive_is_refused_and_nothing_of_it_unpacked(name: str, tmp_path: Path, install_dir: Path) -> None:
    build, sentence = REFUSED[name]
    bad = build(tmp_path / "bad.zip")
    old = release_archive(tmp_path / "old.zip", mark="old")
    put(old, install_dir, "1.1.15")
    before = tree(install_dir)
    with pytest.raises(ReleaseError) as refusal:
        put(bad, install_dir)
    assert sentence in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert tree(install_dir) == before


@pytest.mark.parametrize("name", REFUSED)
def test_the_module_tells_a_bad_archive_in_one_sentence(name: str, tmp_path: Path, install_dir: Path) -> None:
    build, sentence = REFUSED[name]
    bad = build(tmp_path / "bad.zip")
    before = tree(install_dir)
    result = module(bad, install_dir)
    assert result["failed"] is True
    assert sentence in result["msg"]
    assert "Traceback" not in json.dumps(result)
    assert tree(install_dir) == before


def test_the_digest_is_compared_before_anything_is_interpreted(
    tmp_path: Path, install_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = other_digest(tmp_path / "bad.zip")

    def interpreted(*_arguments: object) -> None:
        raise AssertionError("the archive was interpreted")

    monkeypatch.setattr(zipfile, "ZipFile", interpreted)
    with pytest.raises(ReleaseError, match=r"but 0+ is expected"):
        put(bad, install_dir)


def test_an_archive_of_another_architecture_fits_that_one(tmp_path: Path) -> None:
    arm = for_arm(tmp_path / "arm.zip")
    assert archive_fault(arm.path, "arm64", arm.sha256) == ""
    assert "arm64v8" not in archive_fault(arm.path, "armv7", arm.sha256)


def test_a_digest_may_be_written_in_capitals(archive: Archive, install_dir: Path) -> None:
    install(archive.path, install_dir, VERSION, "amd64", archive.sha256.upper())
    assert installed(install_dir, VERSION, archive.sha256.upper()).fault == ""
    assert fault(archive, install_dir) == ""


def test_an_unreadable_archive_is_told(archive: Archive) -> None:
    archive.path.chmod(0)
    for name in (archive.path, *archive.path.parents):
        if "pytest" in name.name:
            name.chmod(0o711 if name.is_dir() else 0)
    told = as_nobody(lambda: archive_fault(archive.path, "amd64", archive.sha256))
    assert told == f"{archive.path} cannot be read (Permission denied); correct its mode, or the path"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("small") / "small.zip"
    members = {f"amd64/{name}": name.encode() * 3 for name in PROGRAMS}
    return release_archive(path, members=members).path.read_bytes()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4))
def test_no_damage_to_an_archive_surprises(edits: list[tuple[int, int]], small: bytes, tmp_path: Path) -> None:
    content = bytearray(small)
    for offset, value in edits:
        content[offset % len(content)] = value
    path = tmp_path / "damaged.zip"
    path.write_bytes(content)
    told = archive_fault(path, "amd64", sealed(path).sha256)
    assert "\n" not in told
    assert release.unpacked_size(path) >= 0
    if not told:
        install_dir = tmp_path / "install"
        install_dir.mkdir(exist_ok=True)
        put(sealed(path), install_dir)
        assert (install_dir / "current" / "hbbs").read_bytes()


# --- Installations ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_programs_get_their_modes_and_nothing_else_is_left(mask: int, archive: Archive, install_dir: Path) -> None:
    before = os.umask(mask)
    try:
        put(archive, install_dir)
    finally:
        os.umask(before)
    place = install_dir / VERSION
    assert sorted(path.name for path in install_dir.iterdir()) == [VERSION, "current"]
    assert sorted(path.name for path in place.iterdir()) == ["hbbr", "hbbs", "manifest.json", "rustdesk-utils"]
    # The archive asks for 4777: no bit of a member's mode is taken over.
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in place.iterdir()}
    assert modes == {"hbbr": 0o755, "hbbs": 0o755, "rustdesk-utils": 0o755, "manifest.json": 0o644}
    assert stat.S_IMODE(place.stat().st_mode) == 0o755
    assert {path.stat().st_uid for path in (place, *place.iterdir())} == {os.geteuid()}
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.name in PROGRAMS} == PROGRAMS
    assert (install_dir / "current").readlink() == Path(VERSION)
    assert fault(archive, install_dir) == ""


def test_programs_are_on_the_disk_before_anything_leads_to_them(
    archive: Archive, install_dir: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def checked(source: Path, target: Path) -> Path:
        assert sorted(synced) == sorted(PROGRAMS)
        return replace(source, target)

    monkeypatch.setattr(Path, "replace", checked)
    put(archive, install_dir)
    assert fault(archive, install_dir) == ""


def test_an_archive_in_the_staging_directory_is_taken_from_there(archive: Archive, install_dir: Path) -> None:
    staging = install_dir / ".staging"
    staging.mkdir()
    staged = Archive(archive.path.rename(staging / "archive.zip"), archive.sha256)
    put(staged, install_dir)
    assert fault(archive, install_dir) == ""
    assert not staging.exists()


def test_an_archive_that_changes_behind_its_check_is_refused(
    archive: Archive, install_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = release_archive(tmp_path / "other.zip", mark="other")
    copyfile = shutil.copyfile

    def exchanged(source: Path, target: Path) -> None:
        copyfile(other.path, source)
        copyfile(source, target)

    monkeypatch.setattr(shutil, "copyfile", exchanged)
    with pytest.raises(ReleaseError, match="was changed while it was read; put it where only root can write"):
        put(archive, install_dir)
    assert list(install_dir.iterdir()) == []


def changed_program(place: Path) -> None:
    (place / "hbbs").write_bytes(b"#!/bin/sh\necho another\n")


def missing_program(place: Path) -> None:
    (place / "hbbr").unlink()


def linked_program(place: Path) -> None:
    (place / "hbbs").rename(place.parent / "elsewhere")
    (place / "hbbs").symlink_to(place.parent / "elsewhere")


def writable_program(place: Path) -> None:
    (place / "hbbs").chmod(0o777)


def privileged_program(place: Path) -> None:
    (place / "hbbs").chmod(0o4755)


def writable_directory(place: Path) -> None:
    place.chmod(0o777)


def no_manifest(place: Path) -> None:
    (place / "manifest.json").unlink()


def manifest(content: object) -> Callable[[Path], None]:
    def damage(place: Path) -> None:
        (place / "manifest.json").write_text(json.dumps(content), encoding="utf-8")

    return damage


def binary_manifest(place: Path) -> None:
    (place / "manifest.json").write_bytes(b"\xff\xfe\x00")


def no_release(place: Path) -> None:
    shutil.rmtree(place)


def no_link(place: Path) -> None:
    (place.parent / "current").unlink()


def older_link(place: Path) -> None:
    no_link(place)
    (place.parent / "current").symlink_to("1.1.15")


def foreign_link(place: Path) -> None:
    no_link(place)
    shutil.copytree(place, place.parents[1] / "elsewhere" / VERSION)
    (place.parent / "current").symlink_to(place.parents[1] / "elsewhere" / VERSION)


def interrupted(place: Path) -> None:
    (place.parent / ".staging" / VERSION).mkdir(parents=True)


DAMAGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "changed program": (changed_program, "hbbs of version 1.1.16 is missing or was changed"),
    "missing program": (missing_program, "hbbr of version 1.1.16 is missing or was changed"),
    "linked program": (linked_program, "hbbs of version 1.1.16 is missing or was changed"),
    "writable program": (writable_program, "hbbs has another owner or mode"),
    "privileged program": (privileged_program, "hbbs has another owner or mode"),
    "writable directory": (writable_directory, "1.1.16 has another owner or mode"),
    "no manifest": (no_manifest, "has no readable manifest"),
    "manifest of nothing": (manifest([]), "has no readable manifest"),
    "manifest of numbers": (manifest({"programs": 7, "archive_sha256": 7}), "has no readable manifest"),
    "manifest of another archive": (manifest({"programs": {}, "archive_sha256": "0"}), "was installed from another"),
    "binary manifest": (binary_manifest, "has no readable manifest"),
    "no release": (no_release, "version 1.1.16 is not installed"),
    "no link": (no_link, "version none is the current one"),
    "older link": (older_link, "version 1.1.15 is the current one"),
    "foreign link": (foreign_link, "current leads elsewhere"),
    "interrupted": (interrupted, "an earlier installation was interrupted"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_noticed_and_healed(name: str, archive: Archive, install_dir: Path) -> None:
    damage, sentence = DAMAGES[name]
    put(archive, install_dir)
    damage(install_dir / VERSION)
    assert sentence in fault(archive, install_dir)
    result = module(archive, install_dir)
    assert result["changed"] is True
    assert sentence in result["reason"]
    assert fault(archive, install_dir) == ""
    assert (install_dir / "current" / "hbbs").read_bytes() == PROGRAMS["hbbs"]
    assert not (install_dir / ".staging").exists()


def test_a_program_of_somebody_else_is_noticed(
    archive: Archive, install_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(archive, install_dir)
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    assert "has another owner or mode" in fault(archive, install_dir)


def test_a_release_of_another_archive_is_replaced(archive: Archive, install_dir: Path, tmp_path: Path) -> None:
    put(archive, install_dir)
    rebuilt = release_archive(tmp_path / "rebuilt.zip", mark="rebuilt")
    assert fault(rebuilt, install_dir) == "version 1.1.16 was installed from another archive"
    put(rebuilt, install_dir)
    assert (install_dir / "current" / "hbbs").read_bytes() == PROGRAMS["hbbs"] + b"rebuilt"


# --- Full disks -------------------------------------------------------------------------------------------------------

WRITES: list[tuple[Any, str]] = [
    (Path, "mkdir"),
    (Path, "write_text"),
    (Path, "symlink_to"),
    (Path, "replace"),
    (os, "fsync"),
    (shutil, "copyfile"),
    (shutil, "copyfileobj"),
]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize(("owner", "name"), WRITES, ids=[name for _, name in WRITES])
def test_a_full_disk_leaves_the_old_release_and_no_rest(
    owner: Any,
    name: str,
    number: int,
    archive: Archive,
    install_dir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    put(release_archive(tmp_path / "old.zip", mark="old"), install_dir, "1.1.15")

    def full(*_arguments: object, **_options: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patches:
        patches.setattr(owner, name, full)
        with pytest.raises(ReleaseError) as refusal:
            put(archive, install_dir)
    assert str(refusal.value) == (
        f"{install_dir} cannot take the release ({os.strerror(number)}); make room there or choose another directory"
    )
    assert not (install_dir / ".staging").exists()
    assert (install_dir / "current" / "hbbs").read_bytes() == PROGRAMS["hbbs"] + b"old"
    put(archive, install_dir)
    assert fault(archive, install_dir) == ""


def test_a_file_system_that_takes_no_more_is_told(archive: Archive, install_dir: Path) -> None:
    def limited() -> None:
        # Room for the archive and not for what it unpacks to.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        with pytest.raises(ReleaseError, match=r"cannot take the release \(File too large\)"):
            put(archive, install_dir)
        assert list(install_dir.iterdir()) == []

    assert in_child(limited) == 0


def test_something_in_the_way_is_named(archive: Archive, install_dir: Path) -> None:
    (install_dir / VERSION / "hbbs").mkdir(parents=True)
    with pytest.raises(ReleaseError, match=r"\(Is a directory\): .*/1\.1\.16/hbbs is in the way"):
        put(archive, install_dir)
    assert not (install_dir / ".staging").exists()


# --- Interruptions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["nothing", "an older release", "the same version", "a damaged one", "a half one"])
def test_interrupted_anywhere_the_next_run_heals(start: str, install_dir: Path, tmp_path: Path) -> None:
    new, old = (release_archive(tmp_path / f"{mark}.zip", mark=mark) for mark in ("new", "old"))
    complete = {name: {PROGRAMS[name] + mark for mark in (b"new", b"old")} for name in PROGRAMS}
    current = install_dir / "current"

    def prepare() -> None:
        for path in install_dir.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        if start == "an older release":
            put(old, install_dir, "1.1.15")
        elif start == "the same version":
            put(old, install_dir)
        elif start == "a damaged one":
            put(new, install_dir)
            writable_program(install_dir / VERSION)
            missing_program(install_dir / VERSION)
        elif start == "a half one":
            put(old, install_dir, "1.1.15")
            (install_dir / ".staging" / VERSION).mkdir(parents=True)
            (install_dir / ".staging" / VERSION / "hbbs").write_bytes(b"half")
            (install_dir / ".staging" / "current").symlink_to("1.1.15")

    prepare()
    steps = 0
    for _step in killings(STEPS, lambda: put(new, install_dir)):
        steps += 1
        if current.is_symlink():
            found = {name: (current / name).read_bytes() for name in PROGRAMS if (current / name).exists()}
            assert all(content in complete[name] for name, content in found.items())
            assert start == "a damaged one" or found.keys() == PROGRAMS.keys()
        else:
            assert start == "nothing"
        put(new, install_dir)
        assert fault(new, install_dir) == ""
        assert (current / "hbbs").read_bytes() == PROGRAMS["hbbs"] + b"new"
        assert not (install_dir / ".staging").exists()
        prepare()
    assert steps > 20


def test_an_interruption_shows_until_it_is_healed(install_dir: Path, archive: Archive) -> None:
    last = ""
    for _step in killings(STEPS, lambda: put(archive, install_dir)):
        last = fault(archive, install_dir)
        if (install_dir / ".staging").exists() or not (install_dir / "current").exists():
            assert last
        for path in install_dir.iterdir():
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    assert last == ""


# --- Old releases -----------------------------------------------------------------------------------------------------


def releases(install_dir: Path, *versions: str) -> None:
    """Install versions, the first one as the oldest."""
    for age, version in enumerate(versions):
        place = install_dir / version
        place.mkdir()
        (place / "hbbs").touch()
        (place / "manifest.json").write_text("{}", encoding="ascii")
        os.utime(place, (age, age))


@pytest.mark.parametrize(
    ("keep", "current", "gone"),
    [
        (5, "1.1.19", []),
        (4, "1.1.19", []),
        (3, "1.1.19", ["1.1.16"]),
        (2, "1.1.19", ["1.1.17", "1.1.16"]),
        (1, "1.1.19", ["1.1.18", "1.1.17", "1.1.16"]),
        (0, "1.1.19", ["1.1.18", "1.1.17", "1.1.16"]),
        (-3, "1.1.19", ["1.1.18", "1.1.17", "1.1.16"]),
        # Back to an old one: it stays, whatever its age.
        (1, "1.1.16", ["1.1.19", "1.1.18", "1.1.17"]),
        (2, "1.1.16", ["1.1.18", "1.1.17"]),
    ],
)
def test_the_newest_releases_stay_and_the_current_one_always(
    keep: int, current: str, gone: list[str], install_dir: Path
) -> None:
    releases(install_dir, "1.1.16", "1.1.17", "1.1.18", "1.1.19")
    (install_dir / "current").symlink_to(current)
    assert [path.name for path in release.superseded(install_dir, current, keep)] == gone


def test_only_releases_are_ever_removed(install_dir: Path) -> None:
    releases(install_dir, "1.1.15", "1.1.16")
    (install_dir / "notes").mkdir()
    (install_dir / "check-key").touch()
    (install_dir / "old").symlink_to("1.1.15")
    (install_dir / "current").symlink_to("1.1.16")
    assert [path.name for path in release.superseded(install_dir, "1.1.16", 1)] == ["1.1.15"]


def test_an_interrupted_removal_is_taken_up(install_dir: Path) -> None:
    place = install_dir / "1.1.15"

    def prepare() -> None:
        shutil.rmtree(place, ignore_errors=True)
        releases(install_dir, "1.1.15")
        # Enough of them that the manifest is not the last one by chance.
        for number in range(30):
            (place / f"{number}").touch()

    prepare()
    for _step in killings(STEPS, lambda: release.remove(place)):
        left = [path.name for path in place.iterdir()] if place.exists() else []
        assert not left or "manifest.json" in left
        prepare()


def test_a_release_with_more_in_it_is_removed_whole(install_dir: Path) -> None:
    releases(install_dir, "1.1.15")
    (install_dir / "1.1.15" / "debug").mkdir()
    (install_dir / "1.1.15" / "debug" / "hbbs.dbg").touch()
    (install_dir / "1.1.15" / "link").symlink_to("/etc")
    release.remove(install_dir / "1.1.15")
    assert list(install_dir.iterdir()) == []
    assert Path("/etc").is_dir()


def test_the_size_of_an_archive_is_that_of_its_members(archive: Archive, tmp_path: Path) -> None:
    assert release.unpacked_size(archive.path) == sum(map(len, PROGRAMS.values()))
    assert release.unpacked_size(tmp_path / "nothing") == 0
    assert release.unpacked_size(text(tmp_path / "text.zip").path) == 0


# --- The module -------------------------------------------------------------------------------------------------------


def module(archive: Archive, install_dir: Path, *, check: bool = False, **more: object) -> dict[str, Any]:
    arguments = {
        "archive": str(archive.path),
        "install_dir": str(install_dir),
        "version": VERSION,
        "architecture": "amd64",
        "sha256": archive.sha256,
    }
    return run_module(rustdesk_release.main, arguments | more, check=check)


def test_check_mode_tells_the_truth_and_changes_nothing(archive: Archive, install_dir: Path, tmp_path: Path) -> None:
    old = release_archive(tmp_path / "old.zip", mark="old")
    put(old, install_dir, "1.1.14")
    put(old, install_dir, "1.1.15")
    before = tree(install_dir)
    for keep in (1, 2, 3):
        assert module(archive, install_dir, check=True, keep=keep)["changed"] is True
        assert tree(install_dir) == before
    promised = module(archive, install_dir, check=True, keep=1)
    kept = module(archive, install_dir, keep=1)
    assert promised == kept
    assert kept["removed"] == ["1.1.14", "1.1.15"]
    assert kept["reason"] == "version 1.1.16 is not installed"
    assert kept["diff"] == {"before": "current: 1.1.15\n", "after": "current: 1.1.16\n"}
    after = tree(install_dir)
    for check in (True, False):
        steady = module(archive, install_dir, check=check, keep=1)
        assert (steady["changed"], steady["reason"], steady["removed"]) == (False, "", [])
        assert steady["diff"]["before"] == steady["diff"]["after"]
    assert tree(install_dir) == after


def test_fewer_releases_to_keep_is_a_change_of_its_own(archive: Archive, install_dir: Path) -> None:
    put(archive, install_dir, "1.1.15")
    put(archive, install_dir)
    for check in (True, False):
        result = module(archive, install_dir, check=check, keep=1)
        assert (result["changed"], result["reason"], result["removed"]) == (True, "", ["1.1.15"])
    assert not (install_dir / "1.1.15").exists()


def test_an_installed_release_needs_no_archive(archive: Archive, install_dir: Path) -> None:
    put(archive, install_dir)
    archive.path.unlink()
    assert module(archive, install_dir)["changed"] is False


def test_check_mode_waits_for_an_archive_that_a_real_run_would_bring(install_dir: Path, tmp_path: Path) -> None:
    assert module(missing(tmp_path / "later.zip"), install_dir, check=True)["changed"] is True


def test_check_mode_refuses_an_archive_that_is_there_and_bad(install_dir: Path, tmp_path: Path) -> None:
    result = module(other_digest(tmp_path / "bad.zip"), install_dir, check=True)
    assert result["failed"] is True
    assert "is expected" in result["msg"]


@pytest.mark.parametrize("version", ["../../etc", "..", ".staging", "current", "1.1/16", "", "latest"])
def test_a_version_leads_nowhere_else(version: str, archive: Archive, install_dir: Path) -> None:
    before = tree(install_dir.parent)
    result = module(archive, install_dir, version=version)
    assert result["failed"] is True
    assert f"version '{version}' is not the name of a release" in result["msg"]
    assert tree(install_dir.parent) == before


def test_a_missing_installation_directory_is_named(archive: Archive, tmp_path: Path) -> None:
    result = module(archive, tmp_path / "nowhere")
    assert result["failed"] is True
    assert f"{tmp_path / 'nowhere'} cannot take the release (No such file or directory)" in result["msg"]


def test_the_architectures_are_those_that_upstream_has_archives_for() -> None:
    pins = (ROLE / "vars" / "main" / "releases.yml").read_text(encoding="utf-8")
    for name, part in release.DIRECTORIES.items():
        assert f"    {name}:\n      file: rustdesk-server-linux-{part}.zip" in pins
    assert set(release.MACHINES.values()) == set(release.DIRECTORIES)
