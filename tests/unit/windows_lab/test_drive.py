"""Windows' rules for paths, on a directory of Linux."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from windows_lab.drive import Drive
from windows_lab.environment import Environment
from windows_lab.errors import NotModelledError, Refused

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def drive(tmp_path: Path) -> Drive:
    (tmp_path / "Users" / "Jörg Müller").mkdir(parents=True)
    (tmp_path / "Users" / "Jörg Müller" / "File.TXT").write_bytes(b"content")
    return Drive(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        r"C:\Users\Jörg Müller\File.TXT",
        r"c:\users\JÖRG MÜLLER\file.txt",
        "C:/Users/jörg müller/file.txt",
        r"C:\Users\.\anna\..\Jörg Müller\File.TXT",
        r"C:\Users\Jörg Müller. \File.TXT..",
        "C:\\\\Users\\\\Jörg Müller\\File.TXT",
    ],
)
def test_one_file_has_many_names(drive: Drive, path: str) -> None:
    item = drive.item(path)
    assert item.unix.read_bytes() == b"content"
    assert item.path.count("\\") == 3


def test_new_name_is_kept_as_it_is_written(drive: Drive) -> None:
    item = drive.item(r"c:\USERS\New\File")
    assert item.unix == drive.root / "Users" / "New" / "File"
    assert item.path == r"C:\USERS\New\File"
    assert not item.exists


def test_nothing_is_above_the_drive(drive: Drive) -> None:
    assert drive.item(r"C:\..\..\Users").unix == drive.root / "Users"


@pytest.mark.parametrize("character", '<>:"|?*')
def test_characters_that_are_in_no_path(drive: Drive, character: str) -> None:
    with pytest.raises(Refused, match="syntax is incorrect"):
        drive.item(f"C:\\a{character}b")


def test_there_is_one_drive(drive: Drive) -> None:
    with pytest.raises(Refused, match="A drive with the name 'D' does not exist"):
        drive.item("D:\\x")


@pytest.mark.parametrize(
    "path", ["relative", r"\\server\share", r"\\?\C:\x", r"C:relative", r"C:\a\NUL", r"C:\com1.txt"]
)
def test_paths_of_other_kinds_are_not_guessed_at(drive: Drive, path: str) -> None:
    with pytest.raises((NotModelledError, Refused)):
        drive.item(path)


def test_attributes_are_those_wine_keeps(drive: Drive) -> None:
    item = drive.item(r"C:\Users\Jörg Müller\File.TXT")
    assert (item.attributes, item.read_only) == ("Archive", False)
    item.unix.chmod(0o444)
    assert (item.attributes, item.read_only) == ("ReadOnly, Archive", True)
    item.make_writable()
    assert not item.read_only
    assert drive.item(r"C:\Users").attributes == "Directory"


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        (r"%APPDATA%\x", r"C:\Users\Administrator\AppData\Roaming\x"),
        (r"%appdata%", r"C:\Users\Administrator\AppData\Roaming"),
        ("%NO_SUCH%", "%NO_SUCH%"),
        ("100 %", "100 %"),
        ("%Own%", "value"),
    ],
)
def test_variables_are_expanded(text: str, expanded: str) -> None:
    assert Environment({"OWN": "value"}).expand(text) == expanded
