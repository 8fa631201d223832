"""Archives are the same whenever they are made from the same files, and releases are named by what they are."""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
from typing import TYPE_CHECKING

import pytest
import rustdesk_bundle_archive
import rustdesk_bundle_assemble
import rustdesk_bundle_pack
from ansible.module_utils import bundle_build
from hypothesis import given
from hypothesis import strategies as st

from ..server.support import run_module  # noqa: TID252 - the tests are no installed package

if TYPE_CHECKING:
    from pathlib import Path

MEMBERS = {"rustdesk.exe": b"MZ" + bytes(range(256)) * 40, "README.txt": b"Start it.\r\n", "licences/Go.txt": b"Text"}


def test_two_archives_of_the_same_files_are_one(tmp_path: Path) -> None:
    first = bundle_build.zipped(MEMBERS)
    backwards = bundle_build.zipped(dict(reversed(MEMBERS.items())))
    assert hashlib.sha256(first).digest() == hashlib.sha256(backwards).digest()
    for number, name in enumerate(("one.zip", "two.zip")):
        source = tmp_path / f"{number}.exe"
        source.write_bytes(MEMBERS["rustdesk.exe"])
        source.chmod(0o600 + number)
        os.utime(source, (number * 10**9, number * 10**9))
        files = [{"name": "rustdesk.exe", "source": str(source)}, {"name": "README.txt", "content": "Hä\nB"}]
        assert run_module(rustdesk_bundle_archive.main, {"path": str(tmp_path / name), "files": files})["changed"]
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_a_second_run_changes_nothing(tmp_path: Path) -> None:
    arguments = {"path": str(tmp_path / "a.zip"), "files": [{"name": "README.txt", "content": "x"}]}
    assert run_module(rustdesk_bundle_archive.main, arguments, check=True)["changed"]
    assert not (tmp_path / "a.zip").exists()
    assert run_module(rustdesk_bundle_archive.main, arguments)["changed"]
    assert not run_module(rustdesk_bundle_archive.main, arguments)["changed"]


def test_texts_are_for_notepad_and_programs_may_be_run() -> None:
    assert bundle_build.for_notepad("Grüße\nB\r\n") == b"\xef\xbb\xbfGr\xc3\xbc\xc3\x9fe\r\nB\r\n"
    with zipfile.ZipFile(io.BytesIO(bundle_build.zipped(MEMBERS))) as archive:
        assert archive.testzip() is None
        assert {info.filename: info.external_attr >> 16 & 0o777 for info in archive.infolist()} == {
            "rustdesk.exe": 0o755,
            "README.txt": 0o644,
            "licences/Go.txt": 0o644,
        }
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


@pytest.mark.parametrize(
    ("member", "says"),
    [
        ({"name": "../x", "content": "x"}, "no name for a member"),
        ({"name": "/x", "content": "x"}, "no name for a member"),
        ({"name": "a\\b", "content": "x"}, "no name for a member"),
        ({"name": "x"}, "either source or content"),
        ({"name": "x", "content": "x", "sha256": "0" * 64}, "has to have"),
        ({"name": "x", "source": "/nonexistent/x"}, "/nonexistent/x"),
    ],
)
def test_a_wrong_member_is_refused(tmp_path: Path, member: dict[str, str], says: str) -> None:
    result = run_module(rustdesk_bundle_archive.main, {"path": str(tmp_path / "a.zip"), "files": [member]})
    assert says in result["msg"]
    assert not (tmp_path / "a.zip").exists()


names = st.text("abcdefghijklmnopqrstuvwxyz0123456789._-", min_size=1, max_size=20)
digests = st.binary(min_size=32, max_size=32).map(bytes.hex)


@given(st.dictionaries(names, digests))
def test_lists_are_read_as_they_are_written(listed: dict[str, str]) -> None:
    assert bundle_build.parse_list(bundle_build.listed(listed)) == listed


@pytest.mark.parametrize("line", ["x", "0" * 64 + " a", "g" * 64 + "  a", "0" * 64 + "  ", "0" * 63 + "  a"])
def test_what_is_no_list_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        bundle_build.parse_list(line + "\n")


def test_a_list_names_nothing_twice() -> None:
    with pytest.raises(ValueError, match="a"):
        bundle_build.parse_list(f"{'0' * 64}  a\n{'1' * 64}  a\n")


def page(style: str = "p {}") -> dict[str, str]:
    """Return a page."""
    return {
        "de/index.html": '<link href="../assets/page.1.css"><a href="../__RELEASE__/a-__RELEASE__.zip">',
        "en/index.html": "<img src='../assets/logo.svg'>",
        "assets/page.1.css": style,
        "assets/logo.svg": "<svg/>",
    }


def assembled(directory: Path, files: dict[str, str]) -> dict[str, object]:
    (directory / "a.zip").write_bytes(b"PK")
    arguments = {"directory": str(directory), "version": "1.4.9", "archives": ["a.zip"], "page": files}
    return run_module(rustdesk_bundle_assemble.main, arguments)


def test_a_release_is_named_by_what_it_is(tmp_path: Path) -> None:
    directory = tmp_path / "dist"
    directory.mkdir()
    first = assembled(directory, page())
    assert first["changed"]
    (directory / "page/assets/page.0.css").write_text("of an earlier build")
    assert assembled(directory, page())["changed"]
    assert not assembled(directory, page())["changed"]
    other = assembled(directory, page("p { color: red }"))
    assert other["release"] != first["release"]
    assert f"{other['release']}/a-{other['release']}.zip" in (directory / "page/de/index.html").read_text()
    told = bundle_build.parse_list((directory / "SHA256SUMS").read_text())
    assert set(told) == {"a.zip", f"a-{other['release']}.zip"}
    assert not (directory / "page/assets/page.0.css").exists()
    assert (directory / "page/assets/logo.svg").exists()


def test_a_pack_is_the_same_twice(tmp_path: Path) -> None:
    assembled(tmp_path, page())
    arguments = {"directory": str(tmp_path), "files": ["a.zip", "SHA256SUMS"], "path": str(tmp_path / "work" / "r.tar")}
    first = run_module(rustdesk_bundle_pack.main, arguments)
    os.utime(tmp_path / "a.zip", (1, 1))
    second = run_module(rustdesk_bundle_pack.main, arguments)
    assert (first["changed"], second["changed"]) == (True, False)
    assert (first["sha256"], first["manifest"]) == (second["sha256"], second["manifest"])
