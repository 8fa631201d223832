"""Users' directories as root reads and writes them: whatever a user puts in their place, nothing else is touched."""

from __future__ import annotations

import base64
import errno
import grp
import json
import os
import pwd
import stat
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import rustdesk_client_info
import rustdesk_client_write
import yaml
from ansible.module_utils import client_homes
from ansible.module_utils.client_homes import HomeError
from ansible.module_utils.testing import patch_module_args

from action.rustdesk_client_files import steps

if TYPE_CHECKING:
    from pathlib import Path

NAME, GROUP = "anna", grp.getgrgid(os.getegid()).gr_name
OWNER = pwd.getpwuid(os.geteuid()).pw_name
FILES = ["RustDesk.toml", "RustDesk2.toml", "rustdesk_client.json"]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a user who is whoever runs the tests."""
    directory = tmp_path / "anna"
    directory.mkdir()
    user = pwd.struct_passwd((NAME, "x", os.geteuid(), os.getegid(), "", str(directory), "/bin/sh"))
    known = pwd.getpwnam
    monkeypatch.setattr(pwd, "getpwnam", lambda name: user if name == NAME else known(name))
    return directory


@pytest.fixture
def place(home: Path) -> Path:
    made = home / ".config" / "rustdesk"
    made.mkdir(parents=True)
    return made


def step(action: str, path: Path, content: bytes = b"") -> dict[str, str]:
    encoded = base64.b64encode(content).decode()
    mode = "0700" if action == "mkdir" else "0640"
    return {"action": action, "path": str(path), "content": encoded, "owner": OWNER, "group": GROUP, "mode": mode}


def carry_out(*planned: dict[str, str], check: bool = False) -> list[bool]:
    writer = rustdesk_client_write.Writer([NAME], check=check)
    return [writer.carry_out(one) for one in planned]


def look() -> rustdesk_client_info.Profile:
    return rustdesk_client_info.profile(pwd.getpwnam(NAME), "user", FILES)


def tree(directory: Path) -> dict[str, object]:
    return {
        str(path.relative_to(directory)): path.read_bytes() if path.is_file() else path.is_symlink()
        for path in sorted(directory.rglob("*"))
    }


def linked(link: Path, to: Path) -> None:
    """What a user does between a look and a write: move his own away, and put a link there."""
    if link.exists():
        link.rename(link.with_name("away"))
    link.symlink_to(to)


# --- Writing --------------------------------------------------------------------------------------------------------


def test_made_written_and_taken_away_again(home: Path) -> None:
    config, directory = home / ".config", home / ".config" / "rustdesk"
    file = directory / "RustDesk2.toml"
    there = [step("mkdir", config), step("mkdir", directory), step("write", file, b"a = 'b'\n")]
    assert carry_out(*there, check=True) == [True, True, True]
    assert tree(home) == {}
    assert carry_out(*there) == [True, True, True]
    assert file.read_bytes() == b"a = 'b'\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert carry_out(*there) == [False, False, False]
    assert carry_out(step("write", file, b"c")) == [True]
    assert tree(directory) == {"RustDesk2.toml": b"c"}
    back = [step("unlink", file), step("rmdir", directory), step("rmdir", config)]
    assert carry_out(*back) == [True, True, True]
    assert carry_out(*back) == [False, False, False]
    assert tree(home) == {}


def test_a_directory_with_something_in_it_stays(place: Path) -> None:
    (place / "peers").mkdir()
    (place / "peers" / "1.toml").touch()
    assert carry_out(step("rmdir", place), step("rmdir", place.parent)) == [False, False]
    assert (place / "peers" / "1.toml").exists()


ATTEMPTS = [("write", "RustDesk2.toml"), ("unlink", "RustDesk2.toml"), ("rmdir", ""), ("mkdir", "")]


@pytest.mark.parametrize("depth", [1, 2])
@pytest.mark.parametrize(("action", "name"), ATTEMPTS)
def test_a_link_to_a_directory_is_not_followed(place: Path, tmp_path: Path, action: str, name: str, depth: int) -> None:
    """With depth 1 the link is the directory itself, with 2 the one it lies in."""
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "rustdesk").mkdir(parents=True)
    for directory in (elsewhere, elsewhere / "rustdesk"):
        (directory / "RustDesk2.toml").write_text("theirs")
    (elsewhere / "empty").mkdir()
    linked(place if depth == 1 else place.parent, elsewhere)
    before = tree(elsewhere)
    if (action, depth) == ("rmdir", 1):
        assert carry_out(step(action, place)) == [False]
    else:
        with pytest.raises(HomeError, match="is a link"):
            carry_out(step(action, place / name, b"ours"))
    assert tree(elsewhere) == before


@pytest.mark.parametrize("name", [".config", ".config/rustdesk"])
def test_a_link_put_there_after_the_check_is_not_followed(
    home: Path, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "rustdesk").mkdir(parents=True)
    checked = client_homes.status

    def status(parent: int, path: Path) -> os.stat_result:
        found = checked(parent, path)
        if path == home / name:
            linked(path, elsewhere)
        return found

    monkeypatch.setattr(client_homes, "status", status)
    with pytest.raises(NotADirectoryError):
        carry_out(step("write", place / "RustDesk2.toml", b"ours"))
    assert tree(elsewhere) == {"rustdesk": False}


def test_a_link_in_the_place_of_a_file_is_replaced_itself(place: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"ours")
    linked(place / "RustDesk2.toml", target)
    assert carry_out(step("write", place / "RustDesk2.toml", b"ours")) == [True]
    assert not (place / "RustDesk2.toml").is_symlink()
    target.write_bytes(b"theirs")
    linked(place / "RustDesk.toml", target)
    assert carry_out(step("unlink", place / "RustDesk.toml")) == [True]
    assert target.read_bytes() == b"theirs"


@pytest.mark.parametrize("below", [(), (".config",), (".config", "rustdesk")])
def test_what_is_somebody_elses_is_not_written_to(
    home: Path, place: Path, monkeypatch: pytest.MonkeyPatch, below: tuple[str, ...]
) -> None:
    foreign = home.joinpath(*below).stat().st_ino
    real = os.fstat

    def fstat(descriptor: int) -> os.stat_result:
        found = real(descriptor)
        return os.stat_result((*found[:4], 4711, *found[5:])) if found.st_ino == foreign else found

    monkeypatch.setattr(os, "fstat", fstat)
    with pytest.raises(HomeError, match="belongs to 4711"):
        carry_out(step("write", place / "RustDesk2.toml"))
    assert tree(place) == {}


@pytest.mark.parametrize("path", ["/etc/RustDesk2.toml", ".config/RustDesk2.toml", ".config/rustdesk/../x", "x"])
def test_paths_elsewhere_are_refused(home: Path, place: Path, path: str) -> None:
    for action in ("write", "unlink", "mkdir", "rmdir"):
        with pytest.raises(HomeError, match="is not in the settings of anna"):
            carry_out(step(action, home / path))
    assert tree(place) == {}


def test_a_file_is_replaced_as_a_whole_or_not_at_all(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = place / "RustDesk2.toml"
    file.write_bytes(b"old")
    (place / ".RustDesk2.toml.new").write_bytes(b"left by a run that was interrupted")

    def full(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        carry_out(step("write", file, b"new"))
    assert tree(place) == {"RustDesk2.toml": b"old"}


def told(arguments: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    with patch_module_args(arguments), pytest.raises(SystemExit):
        rustdesk_client_write.main()
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)
    return answer


def test_the_module_tells_what_it_did_and_where_it_ended(
    home: Path, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments: dict[str, Any] = {"users": [NAME], "steps": [step("write", place / "RustDesk2.toml", b"geheim" * 9)]}
    assert told(arguments, capsys)["done"] == [True]
    arguments["steps"].append(step("mkdir", home / "x"))
    failed = told(arguments, capsys)
    assert (failed["failed"], failed["path"], failed["done"]) == (True, str(home / "x"), [False])
    assert arguments["steps"][0]["content"] not in str(failed)


def test_what_the_module_documents_is_what_it_takes() -> None:
    options = yaml.safe_load(rustdesk_client_write.DOCUMENTATION)["options"]
    assert options.keys() == {"users", "steps"}
    plan = {
        "create": [{"path": "/d", "owner": "o", "group": "g"}],
        "changes": [
            {"path": "/d/a.toml", "before": None, "content": "ä", "owner": "o", "group": "g", "mode": "0600"},
            {"path": "/d/b", "before": "x", "content": None, "owner": "o", "group": "g", "mode": "0600"},
        ],
        "remove": ["/d"],
        "users": ["o"],
    }
    planned = list(steps(plan))
    assert [one.arguments["action"] for one in planned] == options["steps"]["suboptions"]["action"]["choices"]
    assert all(one.arguments.keys() <= options["steps"]["suboptions"].keys() for one in planned)
    assert base64.b64decode(planned[1].arguments["content"]).decode() == "ä"
    assert [bool(one.difference) for one in planned] == [False, True, False, False]


# --- Looking --------------------------------------------------------------------------------------------------------


def test_a_profile_as_it_is(home: Path, place: Path) -> None:
    (place / "RustDesk2.toml").write_bytes(b"a")
    (place / "peers").mkdir()
    found = look()
    assert (found.fault, found.missing, found.recorded) == ("", [], False)
    assert found.names == ["RustDesk2.toml", "peers"]
    assert found.above == {str(home / ".config"): ["rustdesk"]}
    assert found.files["RustDesk2.toml"]["content"] == base64.b64encode(b"a").decode()
    (place / "rustdesk_client.json").touch()
    assert look().recorded


def test_what_is_missing_is_told_from_the_outside_in(home: Path) -> None:
    assert look().missing == [str(home / ".config"), str(home / ".config" / "rustdesk")]
    (home / ".config").mkdir()
    assert look().missing == [str(home / ".config" / "rustdesk")]
    assert look().fault == ""


@pytest.mark.parametrize("name", [".config", ".config/rustdesk", ".config/rustdesk/RustDesk.toml"])
def test_a_link_is_a_fault_and_not_read(home: Path, place: Path, tmp_path: Path, name: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "RustDesk2.toml").write_text("theirs")
    linked(home / name, elsewhere)
    found = look()
    assert f"{home / name} is a link" in found.fault
    assert found.files == {}
    assert place.is_dir() or not found.recorded


def test_a_pipe_does_not_stop_the_look(place: Path) -> None:
    os.mkfifo(place / "RustDesk2.toml")
    assert "RustDesk2.toml is not a file" in look().fault
    descriptor = client_homes.open_home(pwd.getpwnam(NAME))
    os.close(descriptor)


def test_a_large_file_is_a_fault(place: Path) -> None:
    (place / "RustDesk2.toml").write_bytes(b"#" * (client_homes.LARGEST_FILE + 1))
    assert "is larger than 1024 KiB" in look().fault


@pytest.mark.parametrize("recorded", [True, False])
def test_a_record_is_seen_in_a_profile_with_a_fault(place: Path, recorded: bool) -> None:
    (place / "RustDesk.toml").mkdir()
    if recorded:
        (place / "rustdesk_client.json").touch()
    found = look()
    assert "RustDesk.toml is not a file" in found.fault
    assert found.recorded is recorded


@pytest.mark.parametrize("name", ["open_home", "open_directory", "names_in", "read_file"])
def test_what_root_cannot_look_at_is_a_fault_of_that_profile(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """As in a home directory on a server that squashes root."""
    (place / "RustDesk2.toml").touch()

    def denied(*_arguments: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(place))

    monkeypatch.setattr(client_homes, name, denied)
    found = look()
    assert f"{place} cannot be looked at by root (Permission denied)" in found.fault
    assert not found.recorded


def test_a_home_that_root_cannot_look_at_is_one(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    def denied(path: Path, **_options: object) -> NoReturn:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    monkeypatch.setattr(type(home), "stat", denied)
    monkeypatch.setattr(type(home), "lstat", denied)
    assert rustdesk_client_info.account(NAME)
    assert rustdesk_client_info.may_be_there(home / "x")


# --- Who is there ---------------------------------------------------------------------------------------------------


class Accounts:
    """A directory of users: the local ones are listed, those of a domain are known by name and number only."""

    def __init__(self, homes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._homes = homes
        self._listed: list[pwd.struct_passwd] = []
        self._by_uid: dict[int, pwd.struct_passwd] = {}
        self._owners: dict[str, int] = {}
        real_stat, real_lstat = type(homes).stat, type(homes).lstat
        monkeypatch.setattr(rustdesk_client_info, "HOMES", homes)
        monkeypatch.setattr(pwd, "getpwall", lambda: self._listed)
        monkeypatch.setattr(pwd, "getpwuid", lambda uid: self._by_uid[uid])
        monkeypatch.setattr(type(homes), "stat", lambda path, **how: self._given(path, real_stat(path, **how)))
        monkeypatch.setattr(type(homes), "lstat", lambda path: self._given(path, real_lstat(path)))

    def _given(self, path: Path, found: os.stat_result) -> os.stat_result:
        """Files are whoever's the test says; only root could give them away."""
        owner = next((uid for home, uid in self._owners.items() if f"{path}/".startswith(home)), found.st_uid)
        return os.stat_result((*found[:4], owner, *found[5:]))

    def add(self, name: str, uid: int, home: str = "", **how: Any) -> None:
        place = self._homes / (home or name)
        place.mkdir(parents=True)
        if how.get("settings", True):
            place.joinpath(*client_homes.BELOW).mkdir(parents=True)
        user = pwd.struct_passwd((name, "x", uid, uid, "", str(place), how.get("shell", "/bin/bash")))
        self._owners[f"{place}/"] = uid
        self._by_uid[uid] = user
        if how.get("listed"):
            self._listed.append(user)


@pytest.fixture
def accounts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Accounts:
    return Accounts(tmp_path / "home", monkeypatch)


def found_people() -> list[str]:
    return sorted(user.pw_name for user in rustdesk_client_info.people())


def test_users_of_a_domain_are_people_where_they_have_used_rustdesk(accounts: Accounts) -> None:
    accounts.add("local", 1000, listed=True, settings=False)
    accounts.add("anna@corp.example.org", 1810401104)
    accounts.add("bert@corp.example.org", 1810401105, "corp.example.org/bert")
    accounts.add("never@corp.example.org", 1810401106, settings=False)
    assert found_people() == ["anna@corp.example.org", "bert@corp.example.org", "local"]


def test_a_listed_user_is_a_person_whatever_the_number(accounts: Accounts) -> None:
    accounts.add("joined", 200001, listed=True, settings=False)
    accounts.add("homed", 60001, listed=True, settings=False)
    accounts.add("system", 999, listed=True)
    accounts.add("nobody", 65534, listed=True)
    accounts.add("dynamic", 61184, listed=True)
    accounts.add("robot", 1001, listed=True, shell="/usr/sbin/nologin")
    assert found_people() == ["homed", "joined"]


def test_whoever_is_no_person_is_none_with_settings_either(accounts: Accounts) -> None:
    accounts.add("local", 1000, listed=True)
    accounts.add("robot@corp", 300001, shell="/bin/false")
    accounts.add("dynamic", 61200)
    assert found_people() == ["local"]


def test_settings_in_a_directory_that_is_nobodys_home_make_no_person(accounts: Accounts, tmp_path: Path) -> None:
    """Whoever can make directories beside the homes, or in his own, could put something there."""
    accounts.add("local", 1000, listed=True)
    accounts.add("gone@corp", 300001)
    (tmp_path / "home" / "gone@corp").rename(tmp_path / "home" / "backup of gone")
    link = tmp_path / "home" / "link"
    link.symlink_to(tmp_path / "home" / "local")
    assert found_people() == ["local"]


def test_homes_lie_where_those_of_known_people_lie(accounts: Accounts) -> None:
    accounts.add("local", 1000, "../srv/local", listed=True)
    accounts.add("anna@corp", 300001, "../srv/anna")
    assert found_people() == ["anna@corp", "local"]
