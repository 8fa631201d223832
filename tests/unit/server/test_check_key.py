"""The guard of the units: it lets a daemon start only with a key that it will enforce."""

from __future__ import annotations

import base64
import binascii
import os
import pwd
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ansible.module_utils.key_files import inspect
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from .support import NOBODY, ROLE, pair

if TYPE_CHECKING:
    from collections.abc import Callable

CHECK_KEY = ROLE / "files" / "check-key"
PAIR, OTHER = pair(1), pair(2)


@pytest.fixture
def state(reachable: Path) -> Path:
    """A state directory of the user that the guard runs as, with a good pair."""
    directory = reachable / "state"
    directory.mkdir(mode=0o700)
    lay(directory, "id_ed25519", PAIR.private_text)
    lay(directory, "id_ed25519.pub", PAIR.public_text)
    give(directory)
    return directory


def give(path: Path) -> None:
    if os.geteuid() == 0:
        os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


def lay(state: Path, name: str, content: str | bytes) -> None:
    path = state / name
    path.unlink(missing_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(0o600)
    give(path)


def check(*arguments: object, path: str = "/usr/bin:/bin") -> subprocess.CompletedProcess[str]:
    """Run the guard as the service does: without any privilege."""
    privileged = os.geteuid() == 0
    return subprocess.run(
        ["/bin/sh", "-s", "--", *map(str, arguments)],
        # Not by its name: where it lies here, the service's user need not get to.
        input=CHECK_KEY.read_text(encoding="utf-8"),
        env={"PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=10,
        cwd="/",
        user=NOBODY if privileged else None,
        group=NOBODY if privileged else None,
        extra_groups=() if privileged else None,
    )


def test_a_good_pair_is_accepted_in_silence(state: Path) -> None:
    ended = check(state)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("name", ["id_ed25519", "id_ed25519.pub"])
def test_a_line_break_at_the_end_is_accepted(name: str, state: Path) -> None:
    lay(state, name, (state / name).read_text(encoding="ascii") + "\n")
    assert check(state).returncode == 0


def test_a_link_to_a_good_key_is_accepted(state: Path) -> None:
    (state / "id_ed25519").rename(state / "elsewhere")
    (state / "id_ed25519").symlink_to("elsewhere")
    assert check(state).returncode == 0


def put(name: str, content: str | bytes) -> Callable[[Path], None]:
    return lambda state: lay(state, name, content)


def without(name: str) -> Callable[[Path], None]:
    return lambda state: (state / name).unlink()


def closed(name: str) -> Callable[[Path], None]:
    """What belongs to somebody else, or to nobody: the service cannot open it."""

    def close(state: Path) -> None:
        (state / name).chmod(0)

    return close


def instead(name: str, make: Callable[[Path], object]) -> Callable[[Path], None]:
    def exchange(state: Path) -> None:
        (state / name).unlink()
        make(state / name)

    return exchange


def raw(length: int) -> str:
    return base64.b64encode(bytes(range(length))).decode()


WRAPPED = PAIR.private_text[:76] + "\n" + PAIR.private_text[76:]

REFUSED: dict[str, tuple[Callable[[Path], None], str]] = {
    "no directory": (shutil.rmtree, "cannot be entered"),
    "closed directory": (closed("."), "cannot be entered"),
    "no key": (without("id_ed25519"), "id_ed25519 is missing"),
    "link to nothing": (instead("id_ed25519", lambda path: path.symlink_to("nothing")), "id_ed25519 is missing"),
    "pipe": (instead("id_ed25519", os.mkfifo), "id_ed25519 is missing"),
    "directory as key": (instead("id_ed25519", Path.mkdir), "id_ed25519 is missing"),
    "unreadable key": (closed("id_ed25519"), "id_ed25519 cannot be read by "),
    "no public key": (without("id_ed25519.pub"), "id_ed25519.pub is missing or cannot be read by "),
    "unreadable public key": (closed("id_ed25519.pub"), "id_ed25519.pub is missing or cannot be read by "),
    "pipe as public key": (instead("id_ed25519.pub", os.mkfifo), "id_ed25519.pub is missing or cannot be read"),
    "empty key": (put("id_ed25519", ""), "does not hold 64 bytes"),
    "only a line break": (put("id_ed25519", "\n"), "does not hold 64 bytes"),
    "garbage": (put("id_ed25519", "garbage!"), "is not base64"),
    "not UTF-8": (put("id_ed25519", b"\xff\xfe" + PAIR.private_text.encode()), "is not base64"),
    "ends with a zero": (put("id_ed25519", PAIR.private_text.encode() + b"\0"), "is not base64"),
    "leading space": (put("id_ed25519", f" {PAIR.private_text}"), "is not base64"),
    "carriage return": (put("id_ed25519", f"{PAIR.private_text}\r\n"), "is not base64"),
    "url-safe base64": (put("id_ed25519", PAIR.private_text.replace("/", "_")), "is not base64"),
    "without padding": (put("id_ed25519", PAIR.private_text.rstrip("=")), "id_ed25519 "),
    "63 bytes": (put("id_ed25519", raw(63)), "does not hold 64 bytes"),
    "65 bytes": (put("id_ed25519", raw(65)), "does not hold 64 bytes"),
    "only the seed": (put("id_ed25519", base64.b64encode(PAIR.seed)), "does not hold 64 bytes"),
    "only the public half": (put("id_ed25519", PAIR.public_text), "does not hold 64 bytes"),
    "two lines": (put("id_ed25519", WRAPPED), "is not one line of base64"),
    "line break first": (put("id_ed25519", f"\n{PAIR.private_text}"), "is not one line of base64"),
    "another public key": (put("id_ed25519.pub", OTHER.public_text), "id_ed25519.pub does not belong to "),
    "another private key": (put("id_ed25519", OTHER.private_text), "id_ed25519.pub does not belong to "),
    "empty public key": (put("id_ed25519.pub", ""), "id_ed25519.pub does not belong to "),
    "public key with a space": (put("id_ed25519.pub", f"{PAIR.public_text} "), "id_ed25519.pub does not belong to "),
    "private key as public key": (put("id_ed25519.pub", PAIR.private_text), "id_ed25519.pub does not belong to "),
}


@pytest.mark.parametrize("name", REFUSED)
def test_anything_else_is_refused_in_one_line(name: str, state: Path) -> None:
    spoil, sentence = REFUSED[name]
    spoil(state)
    ended = check(state)
    assert ended.returncode == 1
    lines = ended.stderr.splitlines()
    assert lines[-1].startswith(f"key refused, not starting: {state}")
    assert sentence in lines[-1]
    # What the shell itself says of a directory may come before.
    assert len(lines) == 1 or "directory" in name
    told = ended.stdout + ended.stderr
    for key in (PAIR, OTHER):
        assert key.private_text[:20] not in told
        assert key.private_text[-20:] not in told
    if state.exists():
        state.chmod(0o700)


def test_the_refusal_names_who_cannot_read(state: Path) -> None:
    (state / "id_ed25519").chmod(0)
    name = pwd.getpwuid(NOBODY if os.geteuid() == 0 else os.geteuid()).pw_name
    assert check(state).stderr == f"key refused, not starting: {state}/id_ed25519 cannot be read by {name}\n"


def test_without_a_directory_nothing_is_accepted() -> None:
    assert check().returncode != 0
    assert check("").returncode == 1


def test_a_directory_may_have_spaces(state: Path) -> None:
    spaced = state.rename(state.parent / "with a space")
    assert check(spaced).returncode == 0
    (spaced / "id_ed25519.pub").unlink()
    assert check(spaced).returncode == 1


def test_without_its_tools_nothing_is_accepted(state: Path, reachable: Path) -> None:
    empty = reachable / "bin"
    empty.mkdir()
    assert check(state, path=str(empty)).returncode == 1


def test_no_secret_gets_into_a_command_line(state: Path, reachable: Path) -> None:
    tools, log = reachable / "bin", reachable / "log"
    tools.mkdir()
    log.touch()
    log.chmod(0o666)
    for tool in ("base64", "cat", "id", "tail", "wc"):
        (tools / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >>{log}\nexec /usr/bin/{tool} "$@"\n', encoding="ascii")
        (tools / tool).chmod(0o755)
    assert check(state, path=str(tools)).returncode == 0
    calls = log.read_text(encoding="ascii").split("\n")
    assert {"base64 -d id_ed25519", "cat id_ed25519", "tail -c 32", "wc -c"} <= set(calls)
    assert PAIR.private_text[:8] not in log.read_text(encoding="ascii")


def as_upstream_reads_it(content: bytes) -> bytes:
    """The key that hbbs would enforce (rustdesk-server `src/common.rs`, `gen_sk`); b"" stands for none."""
    try:
        key = base64.b64decode(content.decode("utf-8").strip(), validate=True)
    except (UnicodeDecodeError, binascii.Error):
        return b""
    return key if len(key) == 64 else b""


EDITS = st.lists(
    st.tuples(
        st.integers(0, 88),
        st.integers(0, 1),
        st.sampled_from([b"", b"\n", b" ", b"=", b"A", b"\xff", b"\r\n", b"\0", b"_"]),
    ),
    max_size=3,
)


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=EDITS, number=st.integers(1, 4))
def test_what_is_accepted_is_enforced_by_hbbs(edits: list[tuple[int, int, bytes]], number: int, state: Path) -> None:
    content = pair(number).private_text.encode()
    for position, length, insertion in edits:
        content = content[:position] + insertion + content[position + length :]
    lay(state, "id_ed25519", content)
    lay(state, "id_ed25519.pub", pair(number).public_text)
    accepted = check(state).returncode == 0
    assert not accepted or as_upstream_reads_it(content)[32:] == pair(number).public
    # And what the role takes for a good pair, and leaves as it is, does start.
    if content.rstrip(b"\n") == pair(number).private_text.encode():
        assert inspect(state).public_file_fits
        assert accepted
