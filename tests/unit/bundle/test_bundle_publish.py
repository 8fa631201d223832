"""A release is published whole or not at all, whatever is in its way."""

from __future__ import annotations

import dataclasses
import io
import os
import shutil
import tarfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_bundle_publish
from ansible.module_utils import bundle_release
from ansible.module_utils.release import sha256_of

from ..server.support import as_nobody, killings, run_module, tree  # noqa: TID252 - the tests are no installed package
from .support import Release, evaluated, release_of

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    directory = tmp_path / "root"
    directory.mkdir()
    return directory


def publish(root: Path, release: Release, *, check: bool = False, **options: Any) -> dict[str, Any]:
    arguments = {
        "root": str(root),
        "release": release.name,
        "archive": str(release.tar),
        "sha256": release.sha256,
        "manifest": release.manifest,
        **options,
    }
    return run_module(rustdesk_bundle_publish.main, arguments, check=check)


def served(root: Path) -> bytes:
    return (root / "current" / "rustdesk-acme.zip").read_bytes()


def test_published_and_then_left_alone(root: Path, tmp_path: Path) -> None:
    release = release_of(tmp_path)
    assert publish(root, release, check=True)["changed"]
    assert not list(root.iterdir())
    assert publish(root, release)["reason"] == f"{release.name} is new"
    assert served(root) == release.files["rustdesk-acme.zip"]
    before = tree(root)
    assert not publish(root, release)["changed"]
    assert tree(root) == before
    assert (root / "current").readlink() == Path("releases") / release.name


def test_the_newest_stay_and_one_of_them_comes_back(root: Path, tmp_path: Path) -> None:
    releases = [release_of(tmp_path, mark) for mark in "123"]
    for moment, release in enumerate(releases):
        publish(root, release, keep=2)
        os.utime(root / "releases" / release.name, (moment, moment))
    assert {path.name for path in (root / "releases").iterdir()} == {release.name for release in releases[1:]}
    back = publish(root, releases[1], archive=None, sha256="", manifest="", keep=2)
    assert back["reason"] == f"{releases[2].name} was served"
    assert served(root) == releases[1].files["rustdesk-acme.zip"]
    gone = publish(root, releases[0], archive=None, sha256="", manifest="")
    assert releases[1].name in gone["msg"]
    assert served(root) == releases[1].files["rustdesk-acme.zip"]


@pytest.mark.parametrize("clock", [0, 2_000_000_000])
def test_what_was_served_before_is_not_what_goes(root: Path, tmp_path: Path, clock: int) -> None:
    """Also after going back to an old release, and with a release that seems to be of the future."""
    old, new, newest = (release_of(tmp_path, mark) for mark in "123")
    for moment, release in enumerate((old, new), start=1):
        publish(root, release)
        os.utime(root / "releases" / release.name, (moment, moment))
    publish(root, old, archive=None, sha256="", manifest="")
    os.utime(root / "releases" / new.name, (clock + 10, clock + 10))
    assert publish(root, newest, keep=2)["removed"] == [new.name]
    assert publish(root, newest, keep=2)["removed"] == []


def test_order_is_that_of_the_last_service(root: Path, tmp_path: Path) -> None:
    releases = [release_of(tmp_path, mark) for mark in "1234"]
    for moment, release in enumerate(releases[:3], start=1):
        publish(root, release)
        os.utime(root / "releases" / release.name, (moment, moment))
    for release in (releases[0], releases[1]):
        publish(root, release, archive=None, sha256="", manifest="")
    assert publish(root, releases[3])["removed"] == [releases[2].name]


@pytest.mark.parametrize(
    ("there", "current", "fault", "sent"),
    [
        ("m", "1.4.9-00000001", "", False),
        ("m", "1.4.9-00000001", "x of it is not what was built", True),
        ("other", "1.4.9-00000001", "", True),
        # Nobody has looked whether it is whole.
        ("m", "1.4.9-00000002", "", True),
        (None, "", "no release is not there", True),
    ],
)
def test_what_is_sent(there: str | None, current: str, fault: str, sent: bool) -> None:
    wanted = "1.4.9-00000001"
    host = {"manifests": {wanted: there} if there else {}, "current": current, "release_fault": fault, "releases": []}
    built: dict[str, Any] = {
        "__rustdesk_bundle_host": host,
        "__rustdesk_bundle_assembled": {"release": wanted},
        "__rustdesk_bundle_packed": {"manifest": "m"},
    }
    assert evaluated("{{ __rustdesk_bundle_to_send }}", **built) is sent
    assert evaluated("{{ __rustdesk_bundle_pending }}", **built) is sent
    back = evaluated("{{ __rustdesk_bundle_to_send }}", rustdesk_bundle_release=wanted, **built)
    assert back is False


def archive_with(directory: Path, member: tarfile.TarInfo, content: bytes = b"") -> Release:
    """Add a member to a release's tar."""
    release = release_of(directory)
    with tarfile.open(release.tar, "a") as archive:
        archive.addfile(member, io.BytesIO(content))
    sha256 = sha256_of(release.tar)
    return Release(release.name, release.tar, sha256, release.manifest, release.files)


def link(name: str, target: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def torn(directory: Path) -> Release:
    release = release_of(directory)
    content = release.tar.read_bytes()
    release.tar.write_bytes(content[: content.index(b"archive 1") + 1000])
    return Release(release.name, release.tar, sha256_of(release.tar), release.manifest, release.files)


def damaged(directory: Path) -> Release:
    release = release_of(directory)
    return Release(release.name, release.tar, "0" * 64, release.manifest, release.files)


def lying(directory: Path) -> Release:
    """The manifest is right, and the checksums for customers are of another archive."""
    release = release_of(directory)
    return Release(release.name, release.tar, release.sha256, "0" * 64, release.files)


PLANTED: dict[str, tuple[Callable[[Path], Release], str]] = {
    "torn archive": (torn, "torn"),
    "damaged on its way": (damaged, "damaged on its way"),
    "another manifest": (lying, "another MANIFEST"),
    "a file that differs": (
        lambda path: release_of(path, spoil={"rustdesk-acme.zip": b"PK other"}),
        "not what was built",
    ),
    "a file too many": (lambda path: release_of(path, extra={"page/x.html": b"x"}), "not of it"),
    "checksums that differ": (
        lambda path: release_of(path, spoil={"SHA256SUMS": b"0" * 64 + b"  rustdesk-acme.zip\n"}),
        "SHA256SUMS",
    ),
    "path out of the release": (lambda path: archive_with(path, tarfile.TarInfo("../evil")), "outside"),
    "absolute path": (lambda path: archive_with(path, tarfile.TarInfo("/tmp/evil")), "outside"),
    "symbolic link": (lambda path: archive_with(path, link("page/evil", "/etc/passwd")), "no file"),
    "one name twice": (lambda path: archive_with(path, tarfile.TarInfo("rustdesk-acme.zip")), "twice"),
}


@pytest.mark.parametrize(("plant", "says"), PLANTED.values(), ids=PLANTED.keys())
def test_planted_fault_is_refused(root: Path, tmp_path: Path, plant: Callable[[Path], Release], says: str) -> None:
    earlier = release_of(tmp_path, "earlier")
    publish(root, earlier)
    before = tree(root)
    planted = tmp_path / "planted"
    planted.mkdir()
    result = publish(root, plant(planted))
    assert says in result["msg"]
    after = tree(root)
    # Directories are touched by what came and went; nothing else is.
    assert after.keys() == before.keys()
    assert {name: facts[4] for name, facts in after.items()} == {name: facts[4] for name, facts in before.items()}
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize("name", ["releases", "current", ".staging"])
def test_what_is_in_the_way_is_named(root: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    if name == "current":
        (root / name).mkdir()
    else:
        (root / name).symlink_to(elsewhere)
    result = publish(root, release_of(tmp_path))
    assert f"{name} is in the way" in result["msg"]
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("name", ["../../etc", "1.4.9", "1.4.9-0123456g", ""])
def test_what_is_no_release_is_refused(root: Path, tmp_path: Path, name: str) -> None:
    assert "msg" in publish(root, dataclasses.replace(release_of(tmp_path), name=name))
    assert not (root / "current").is_symlink()


def test_a_changed_file_is_healed_in_one_step(root: Path, tmp_path: Path) -> None:
    release = release_of(tmp_path)
    publish(root, release)
    (root / "current" / "rustdesk-acme.zip").write_bytes(b"PK something else")
    assert "not what was built" in publish(root, release)["reason"]
    assert served(root) == release.files["rustdesk-acme.zip"]
    assert {path.name for path in root.iterdir()} == {"releases", "current"}


def test_a_changed_release_is_not_gone_back_to(root: Path, tmp_path: Path) -> None:
    old, new = release_of(tmp_path, "old"), release_of(tmp_path, "new")
    publish(root, old)
    publish(root, new)
    (root / "releases" / old.name / "rustdesk-acme.zip").write_bytes(b"PK something else")
    assert "not what was built" in publish(root, old, archive=None, sha256="", manifest="")["msg"]
    assert served(root) == new.files["rustdesk-acme.zip"]


def test_a_running_download_goes_on(root: Path, tmp_path: Path) -> None:
    old, new = release_of(tmp_path, "old"), release_of(tmp_path, "new")
    publish(root, old)
    with (root / "current" / "rustdesk-acme.zip").open("rb") as download:
        first = download.read(100)
        publish(root, new, keep=1)
        assert first + download.read() == old.files["rustdesk-acme.zip"]


def test_killed_anywhere_the_next_run_heals(tmp_path: Path) -> None:
    old, new = release_of(tmp_path, "old"), release_of(tmp_path, "new")
    root = tmp_path / "root"
    functions = [
        (os, "fsync"),
        (Path, "replace"),
        (Path, "rename"),
        (Path, "mkdir"),
        (Path, "symlink_to"),
        (Path, "unlink"),
    ]

    def start() -> None:
        shutil.rmtree(root, ignore_errors=True)
        root.mkdir()
        publish(root, old)

    start()
    steps = 0
    for _step in killings(functions, lambda: publish(root, new, keep=1)):
        steps += 1
        assert served(root) in (old.files["rustdesk-acme.zip"], new.files["rustdesk-acme.zip"])
        assert bundle_release.release_fault((root / "current").resolve()) == ""
        assert "msg" not in publish(root, new, keep=1)
        assert served(root) == new.files["rustdesk-acme.zip"]
        assert {path.name for path in root.iterdir()} == {"releases", "current"}
        assert [path.name for path in (root / "releases").iterdir()] == [new.name]
        start()
    assert steps > 10


def test_a_root_that_cannot_be_written_is_named(root: Path, tmp_path: Path) -> None:
    release = release_of(tmp_path)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents[:2]:
        parent.chmod(0o755)
    message = as_nobody(lambda: str(publish(root, release).get("msg")))
    assert str(root) in message
