"""Key files as they may lie in a directory that belongs to the service, which may have been broken into."""

from __future__ import annotations

import os
import signal
import stat
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils import key_files
from ansible.module_utils.key_files import Attributes, KeyFileError, inspect, is_as_wanted, keep_previous, read, write

from .support import as_nobody, in_child, pair

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAIR, OTHER = pair(1), pair(2)
SECRET = "root:$6$0123456789abcdef:20000:0:99999:7:::"

MINE = Attributes(os.geteuid(), os.getegid(), 0o600)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """A file that the service must not get at by way of root."""
    path = tmp_path / "shadow"
    path.write_text(SECRET, encoding="ascii")
    path.chmod(0o640)
    return path


def lay(state: Path, private: str | bytes | None = None, public: str | bytes | None = None) -> None:
    for name, content in (("id_ed25519", private), ("id_ed25519.pub", public)):
        if content is not None:
            (state / name).write_bytes(content if isinstance(content, bytes) else content.encode())


# --- What a pair is taken for -----------------------------------------------------------------------------------------


def test_nothing_is_absent(state: Path) -> None:
    assert inspect(state) == key_files.KeyState("absent")
    assert inspect(state / "no such directory") == key_files.KeyState("absent")


@pytest.mark.parametrize(
    ("private", "public", "fits"),
    [
        (PAIR.private_text, PAIR.public_text, True),
        (PAIR.private_text, PAIR.public_text + "\n", True),
        (f" {PAIR.private_text}\r\n", PAIR.public_text, True),
        (PAIR.private_text, None, False),
        (PAIR.private_text, "", False),
        (PAIR.private_text, OTHER.public_text, False),
        (PAIR.private_text, PAIR.private_text, False),
        # The guard of the units compares to the letter, and what it refuses has to be written anew.
        (PAIR.private_text, f" {PAIR.public_text}", False),
        (PAIR.private_text, f"{PAIR.public_text}\r\n", False),
        (PAIR.private_text, b"\xff\xfe", False),
    ],
)
def test_a_private_key_is_a_pair(private: str, public: str | bytes | None, fits: bool, state: Path) -> None:
    lay(state, private, public)
    assert inspect(state) == key_files.KeyState("valid", PAIR.public_text, PAIR.fingerprint, "", fits)


@pytest.mark.parametrize(
    ("private", "detail"),
    [
        ("", "the private key is empty"),
        ("\n", "the private key is empty"),
        ("no base64!", "the private key is not standard base64"),
        (PAIR.private_text[:-4], "the private key must hold 64 bytes, it holds 63"),
        (PAIR.private_text[:-1], "the private key is not standard base64"),
        (PAIR.public_text, "the private key must hold 64 bytes, it holds 32"),
        (PAIR.private_text[:44] + OTHER.private_text[44:], "is not the public key that its seed derives"),
        (PAIR.private_text[:40] + "\n" + PAIR.private_text[40:], "the private key is not standard base64"),
        (b"\xff" * 88, "holds something else than text"),
        (b"\x00" * 88, "the private key is not standard base64"),
        (b"A" * 5000, "is too large for a key"),
    ],
)
def test_a_bad_private_key_is_malformed(private: str | bytes, detail: str, state: Path) -> None:
    lay(state, private, PAIR.public_text)
    found = inspect(state)
    assert (found.state, found.public_key, found.fingerprint) == ("malformed", "", "")
    assert found.detail.startswith(f"{state / 'id_ed25519'}")
    assert detail in found.detail
    assert "\n" not in found.detail


def test_no_part_of_a_bad_private_key_is_told(state: Path) -> None:
    lay(state, PAIR.private_text[:-4], PAIR.public_text)
    assert PAIR.private_text[:12] not in repr(inspect(state))
    assert PAIR.private_text[-16:-4] not in repr(inspect(state))


@pytest.mark.parametrize(
    ("public", "told"),
    [
        (PAIR.public_text, PAIR.public_text),
        (f"{PAIR.public_text}\n", PAIR.public_text),
        ("", ""),
        (SECRET, ""),
        (PAIR.private_text, ""),
    ],
)
def test_a_public_key_alone_lacks_its_half(public: str, told: str, state: Path) -> None:
    lay(state, None, public)
    found = inspect(state)
    assert (found.state, found.public_key, found.fingerprint) == ("public_only", told, "")
    assert found.detail == f"{state / 'id_ed25519.pub'} is there without id_ed25519"


# --- Traps that a service could lay for root --------------------------------------------------------------------------


def link(path: Path, foreign: Path) -> None:
    path.symlink_to(foreign)


def dangling(path: Path, _foreign: Path) -> None:
    path.symlink_to("/no/such/place")


def loop(path: Path, _foreign: Path) -> None:
    path.symlink_to(path.name)


def endless(path: Path, _foreign: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path, _foreign: Path) -> None:
    os.mkfifo(path)


def huge(path: Path, _foreign: Path) -> None:
    with path.open("wb") as stream:
        stream.truncate(2**40)


def directory(path: Path, _foreign: Path) -> None:
    path.mkdir()


TRAPS: dict[str, tuple[Callable[[Path, Path], None], str]] = {
    "link": (link, "is a link"),
    "dangling link": (dangling, "is a link"),
    "link to itself": (loop, "is a link"),
    "endless device": (endless, "is a link"),
    "pipe": (pipe, "is not a regular file"),
    "huge file": (huge, "is too large for a key"),
    "directory": (directory, "is not a regular file"),
}


def quickly(action: Callable[[], None]) -> None:
    """Run an action that must neither wait for ever nor take the machine's memory."""

    def run() -> None:
        signal.alarm(5)
        action()

    assert in_child(run) == 0


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_in_place_of_the_private_key_is_only_told(name: str, state: Path, foreign: Path) -> None:
    lay_trap, detail = TRAPS[name]
    lay_trap(state / "id_ed25519", foreign)
    lay(state, public=PAIR.public_text)

    def look() -> None:
        assert inspect(state) == key_files.KeyState("malformed", detail=f"{state / 'id_ed25519'} {detail}")

    quickly(look)


@pytest.mark.parametrize("name", TRAPS)
def test_a_trap_in_place_of_the_public_key_counts_as_a_wrong_one(name: str, state: Path, foreign: Path) -> None:
    TRAPS[name][0](state / "id_ed25519.pub", foreign)

    def look() -> None:
        assert inspect(state).public_key == ""
        assert inspect(state).state == "public_only"
        lay(state, PAIR.private_text)
        assert inspect(state) == key_files.KeyState("valid", PAIR.public_text, PAIR.fingerprint)

    quickly(look)


@pytest.mark.parametrize("name", sorted(set(TRAPS) - {"directory"}))
def test_a_trap_is_replaced_and_not_written_through(name: str, state: Path, foreign: Path) -> None:
    path = state / "id_ed25519"
    TRAPS[name][0](path, foreign)
    assert not is_as_wanted(path, PAIR.private_text, MINE)
    write(path, PAIR.private_text, MINE)
    assert is_as_wanted(path, PAIR.private_text, MINE)
    assert not path.is_symlink()
    untouched(foreign)


def untouched(foreign: Path) -> None:
    assert foreign.read_text(encoding="ascii") == SECRET
    assert stat.S_IMODE(foreign.stat().st_mode) == 0o640


def test_a_file_shared_with_another_name_is_not_changed_in_place(state: Path, tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.write_text(PAIR.private_text, encoding="ascii")
    shared.chmod(0o644)
    path = state / "id_ed25519"
    path.hardlink_to(shared)
    assert not is_as_wanted(path, PAIR.private_text, MINE)
    write(path, PAIR.private_text, MINE)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o644
    assert shared.stat().st_nlink == 1


@pytest.mark.parametrize("call", ["fchown", "fchmod", "fsync"])
def test_a_link_slipped_in_while_writing_leads_nowhere(
    call: str, state: Path, foreign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = getattr(os, call)

    def slipped_in(*arguments: int) -> None:
        for fresh in state.glob(".id_ed25519.*"):
            fresh.unlink()
            fresh.symlink_to(foreign)
        real(*arguments)

    monkeypatch.setattr(os, call, slipped_in)
    write(state / "id_ed25519", PAIR.private_text, MINE)
    untouched(foreign)
    monkeypatch.undo()
    assert inspect(state).state == "malformed"
    write(state / "id_ed25519", PAIR.private_text, MINE)
    assert inspect(state).state == "valid"


@pytest.mark.parametrize("name", ["id_ed25519.previous", "id_ed25519.pub.previous"])
def test_keeping_the_previous_pair_writes_through_no_link(name: str, state: Path, foreign: Path) -> None:
    lay(state, PAIR.private_text, PAIR.public_text)
    (state / name).symlink_to(foreign)
    keep_previous(state, inspect(state))
    untouched(foreign)
    assert (state / "id_ed25519.previous").read_text(encoding="ascii") == PAIR.private_text
    assert (state / "id_ed25519.pub.previous").read_text(encoding="ascii") == PAIR.public_text


@pytest.mark.parametrize("lay_trap", [link, dangling])
def test_keeping_a_link_as_the_previous_key_leaves_it_a_link(
    lay_trap: Callable[[Path, Path], None], state: Path, foreign: Path
) -> None:
    lay_trap(state / "id_ed25519", foreign)
    keep_previous(state, inspect(state))
    assert (state / "id_ed25519.previous").is_symlink()
    assert foreign.stat().st_nlink == 1


# --- Files ------------------------------------------------------------------------------------------------------------


def test_an_unreadable_key_is_not_taken_for_an_empty_one(reachable: Path) -> None:
    lay(reachable, PAIR.private_text, PAIR.public_text)
    (reachable / "id_ed25519").chmod(0)
    told = as_nobody(lambda: inspect(reachable).detail)
    assert told == f"{reachable / 'id_ed25519'} cannot be read (Permission denied)"
    (reachable / "id_ed25519").chmod(0o600)
    (reachable / "id_ed25519").unlink()
    reachable.chmod(0)
    assert as_nobody(lambda: inspect(reachable).state) == "malformed"


def test_a_missing_file_is_none(state: Path) -> None:
    assert read(state / "id_ed25519") is None


def test_an_error_tells_nothing_of_the_file(state: Path) -> None:
    lay(state, SECRET.encode() + b"\xff")
    with pytest.raises(KeyFileError) as error:
        read(state / "id_ed25519")
    assert SECRET[:8] not in str(error.value)
    # The error beneath would tell where, and with what, the text ended.
    assert error.value.__suppress_context__


@pytest.mark.parametrize("mask", [0o000, 0o077])
@pytest.mark.parametrize("mode", [0o600, 0o644])
def test_a_file_is_written_with_its_mode(mode: int, mask: int, state: Path) -> None:
    wanted = Attributes(os.geteuid(), os.getegid(), mode)
    before = os.umask(mask)
    try:
        write(state / "id_ed25519", "text", wanted)
    finally:
        os.umask(before)
    assert is_as_wanted(state / "id_ed25519", "text", wanted)
    assert [path.name for path in state.iterdir()] == ["id_ed25519"]


@pytest.mark.parametrize(
    "wrong",
    [
        Attributes(MINE.uid + 1, MINE.gid, 0o600),
        Attributes(MINE.uid, MINE.gid + 1, 0o600),
        Attributes(MINE.uid, MINE.gid, 0o644),
    ],
)
def test_a_file_with_other_attributes_is_not_as_wanted(wrong: Attributes, state: Path) -> None:
    write(state / "id_ed25519", "text", MINE)
    assert is_as_wanted(state / "id_ed25519", "text", MINE)
    assert not is_as_wanted(state / "id_ed25519", "another text", MINE)
    assert not is_as_wanted(state / "id_ed25519", "text", wrong)
    assert not is_as_wanted(state / "no such file", "text", MINE)


def test_a_refused_write_leaves_the_old_file_and_no_rest(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(state / "id_ed25519", "old", MINE)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write(state / "id_ed25519", "new", MINE)
    assert {path.name: path.read_text(encoding="ascii") for path in state.iterdir()} == {"id_ed25519": "old"}


def test_what_a_killed_write_left_behind_goes(state: Path) -> None:
    left = state / ".id_ed25519.abcd.new"
    left.write_text(PAIR.private_text, encoding="ascii")
    public = state / ".id_ed25519.pub.abcd.new"
    public.touch()
    write(state / "id_ed25519", PAIR.private_text, MINE)
    assert not left.exists()
    write(state / "id_ed25519.pub", PAIR.public_text, MINE)
    assert sorted(path.name for path in state.iterdir()) == ["id_ed25519", "id_ed25519.pub"]


@pytest.mark.parametrize(
    ("private", "public", "kept"),
    [
        (PAIR.private_text, PAIR.public_text, {"id_ed25519.previous", "id_ed25519.pub.previous"}),
        (PAIR.private_text, None, {"id_ed25519.previous"}),
        # The public key of a rotation that was interrupted: nobody knows it.
        (PAIR.private_text, OTHER.public_text, {"id_ed25519.previous"}),
        ("malformed", PAIR.public_text, {"id_ed25519.previous", "id_ed25519.pub.previous"}),
        (None, PAIR.public_text, {"id_ed25519.pub.previous"}),
    ],
)
def test_what_is_kept_of_the_previous_pair(
    private: str | None, public: str | None, kept: set[str], state: Path
) -> None:
    lay(state, private, public)
    before = {path.name for path in state.iterdir()}
    keep_previous(state, inspect(state))
    assert {path.name for path in state.iterdir()} - before == kept
