"""The key pair of a host: provided, kept, never overwritten, never told."""

from __future__ import annotations

import grp
import json
import os
import pwd
import re
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import rustdesk_keypair
import yaml
from ansible.module_utils.ed25519 import KeyPair
from ansible.module_utils.key_files import KeyFileError, inspect

from .support import GROUP, ROOT, USER, killings, pair, run_module, tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAIR, OTHER, THIRD = pair(1), pair(2), pair(3)

ANSIBLE = Path(sys.executable).parent / "ansible-playbook"

STEPS: list[tuple[Any, str]] = [
    (Path, "replace"),
    (Path, "unlink"),
    (os, "fchmod"),
    (os, "fchown"),
    (os, "fsync"),
    (os, "link"),
    (os, "open"),
]
"""Everything the module changes files with; a temporary file is made by os.open."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    directory = tmp_path / "state"
    directory.mkdir(mode=0o700)
    return directory


def module(state: Path, *, check: bool = False, **more: object) -> dict[str, Any]:
    arguments = {"path": str(state), "owner": USER, "group": GROUP}
    result = run_module(rustdesk_keypair.main, arguments | more, check=check)
    told = json.dumps(result)
    for known in (PAIR, OTHER, THIRD):
        assert known.private_text not in told
        # Neither the seed by itself, in whatever form.
        assert known.private_text[:40] not in told
        assert known.seed.hex() not in told
    assert "Traceback" not in told
    return result


def lay(state: Path, private: str | None, public: str | None) -> None:
    for name, content, mode in (("id_ed25519", private, 0o600), ("id_ed25519.pub", public, 0o644)):
        if content is not None:
            (state / name).write_text(content, encoding="ascii")
            (state / name).chmod(mode)


def is_good(state: Path, wanted: KeyPair) -> bool:
    modes = {name: stat.S_IMODE((state / name).lstat().st_mode) for name in ("id_ed25519", "id_ed25519.pub")}
    return (
        (state / "id_ed25519").read_text(encoding="ascii") == wanted.private_text
        and (state / "id_ed25519.pub").read_text(encoding="ascii") == wanted.public_text
        and modes == {"id_ed25519": 0o600, "id_ed25519.pub": 0o644}
    )


# --- What is done -----------------------------------------------------------------------------------------------------

PRESENT: dict[str, tuple[str | None, str | None]] = {
    "nothing": (None, None),
    "a pair": (PAIR.private_text, PAIR.public_text),
    "no public file": (PAIR.private_text, None),
    "a wrong public file": (PAIR.private_text, OTHER.public_text),
    "a public file with line ends": (PAIR.private_text, PAIR.public_text + "\r\n"),
    "a private file with spaces": (f" {PAIR.private_text} \n", PAIR.public_text),
    "only the public file": (None, PAIR.public_text),
    "a malformed private file": ("garbage", PAIR.public_text),
    "an empty private file": ("", None),
}

GIVEN: dict[str, dict[str, Any]] = {
    "nothing": {},
    "its key": {"private_key": PAIR.private_text},
    "its key with line ends": {"private_key": f"\n{PAIR.private_text}\n"},
    "another key": {"private_key": OTHER.private_text},
    "rotate": {"rotate": True},
    "rotate to its key": {"rotate": True, "private_key": PAIR.private_text},
    "rotate to another key": {"rotate": True, "private_key": OTHER.private_text},
}

REFUSED = "refused"
KEPT, COMPLETED, IMPORTED, GENERATED, ROTATED = "kept", "completed", "imported", "generated", "rotated"

OUTCOMES: dict[str, list[str]] = {
    #                                nothing    its key    with ends  another   rotate   to its     to another
    "nothing": [GENERATED, IMPORTED, IMPORTED, IMPORTED, GENERATED, IMPORTED, IMPORTED],
    "a pair": [KEPT, KEPT, KEPT, REFUSED, ROTATED, KEPT, ROTATED],
    "no public file": [COMPLETED, COMPLETED, COMPLETED, REFUSED, ROTATED, COMPLETED, ROTATED],
    "a wrong public file": [COMPLETED, COMPLETED, COMPLETED, REFUSED, ROTATED, COMPLETED, ROTATED],
    "a public file with line ends": [COMPLETED, COMPLETED, COMPLETED, REFUSED, ROTATED, COMPLETED, ROTATED],
    "a private file with spaces": [COMPLETED, COMPLETED, COMPLETED, REFUSED, ROTATED, COMPLETED, ROTATED],
    "only the public file": [REFUSED, IMPORTED, IMPORTED, REFUSED, ROTATED, IMPORTED, ROTATED],
    "a malformed private file": [REFUSED, REFUSED, REFUSED, REFUSED, ROTATED, ROTATED, ROTATED],
    "an empty private file": [REFUSED, REFUSED, REFUSED, REFUSED, ROTATED, ROTATED, ROTATED],
}

CASES = [
    pytest.param(present, given, outcome, id=f"{present}, given {given}")
    for present, outcomes in OUTCOMES.items()
    for given, outcome in zip(GIVEN, outcomes, strict=True)
]


@pytest.mark.parametrize(("present", "given", "outcome"), CASES)
def test_every_meeting_of_keys(present: str, given: str, outcome: str, state: Path) -> None:
    lay(state, *PRESENT[present])
    before = tree(state)
    promise = module(state, check=True, **GIVEN[given])
    assert tree(state) == before
    result = module(state, **GIVEN[given])

    if outcome == REFUSED:
        assert promise["failed"] is result["failed"] is True
        assert promise["msg"] == result["msg"]
        assert tree(state) == before
        return
    assert promise["action"] == result["action"] == outcome
    assert promise["changed"] == result["changed"] == (outcome != KEPT)
    if outcome == KEPT:
        assert tree(state) == before
    now = KeyPair.parse((state / "id_ed25519").read_text(encoding="ascii"))
    assert is_good(state, now)
    assert result["public_key"] == now.public_text
    assert result["fingerprint"] == now.fingerprint
    assert result["diff"]["after"] == f"key: {now.fingerprint}\n"
    if outcome in (KEPT, COMPLETED) or "private_key" in GIVEN[given]:
        assert now.private_text == GIVEN[given].get("private_key", PAIR.private_text).strip()
        assert promise["public_key"] == now.public_text
        assert promise["diff"] == result["diff"]
    else:
        assert now.public_text not in (PAIR.public_text, OTHER.public_text)
        assert not set("/:") & set(now.public_text)
        assert (promise["public_key"], promise["fingerprint"]) == ("", "")
        assert promise["diff"]["after"] == "key: generated on the host\n"
    names = {path.name for path in state.iterdir()}
    had = {name for name, content in zip(("id_ed25519", "id_ed25519.pub"), PRESENT[present], strict=True) if content}
    if outcome == ROTATED and present == "a pair":
        assert names == had | {f"{name}.previous" for name in had}
    if outcome != ROTATED:
        assert names == {"id_ed25519", "id_ed25519.pub"}

    # And then it rests.
    rest = {name: value for name, value in GIVEN[given].items() if name != "rotate"}
    after = tree(state)
    for check in (True, False):
        again = module(state, check=check, **rest)
        assert (again["action"], again["changed"], again["public_key"]) == (KEPT, False, now.public_text)
    assert tree(state) == after


def test_a_differing_key_is_refused_with_both_fingerprints_and_the_way_out(state: Path) -> None:
    lay(state, PAIR.private_text, PAIR.public_text)
    message = module(state, private_key=OTHER.private_text)["msg"]
    assert message == (
        f"the host has the key {PAIR.fingerprint}, but {OTHER.fingerprint} is given; remove private_key to keep the "
        "host's key, or set rotate once to replace it and then configure every client anew"
    )


@pytest.mark.parametrize("present", ["only the public file", "a malformed private file", "an empty private file"])
def test_a_broken_pair_is_refused_with_the_way_out(present: str, state: Path) -> None:
    lay(state, *PRESENT[present])
    message = module(state)["msg"]
    assert str(state / "id_ed25519") in message
    assert message.endswith("; restore the key from a backup, or set rotate once to replace it")


@pytest.mark.parametrize(
    ("private", "sentence"),
    [
        ("garbage", "private_key cannot be used: the private key is not standard base64"),
        # Somebody meant to give one: nothing is generated in its place.
        (" \n", "private_key cannot be used: the private key is empty"),
        (PAIR.public_text, "private_key cannot be used: the private key must hold 64 bytes, it holds 32"),
        (PAIR.private_text[:44] + OTHER.private_text[44:], "is not the public key that its seed derives"),
    ],
)
def test_a_malformed_given_key_is_refused_and_not_told(private: str, sentence: str, state: Path) -> None:
    for check in (True, False):
        result = module(state, private_key=private, check=check)
        assert sentence in result["msg"]
        assert private not in json.dumps(result["msg"])
    assert list(state.iterdir()) == []


@pytest.mark.parametrize(
    ("present", "arguments", "sentence"),
    [
        ("nothing", {}, f"public_key is {THIRD.public_text}, but the host would generate another one"),
        (
            "nothing",
            {"private_key": PAIR.private_text},
            f"public_key is {THIRD.public_text}, but the host would have {PAIR.public_text}",
        ),
        ("a pair", {}, f"public_key is {THIRD.public_text}, but the host would have {PAIR.public_text}"),
        ("a pair", {"rotate": True}, "but the host would generate another one"),
        ("a pair", {"rotate": True, "private_key": OTHER.private_text}, f"would have {OTHER.public_text}"),
    ],
)
def test_another_public_key_than_the_expected_one_is_refused(
    present: str, arguments: dict[str, Any], sentence: str, state: Path
) -> None:
    lay(state, *PRESENT[present])
    before = tree(state)
    for check in (True, False):
        result = module(state, public_key=THIRD.public_text, check=check, **arguments)
        assert sentence in result["msg"]
        assert "give the private key that belongs to public_key, or leave public_key empty" in result["msg"]
    assert tree(state) == before


@pytest.mark.parametrize("public", ["no key", PAIR.public_text[:-1], PAIR.private_text])
def test_an_expected_key_that_is_none_is_refused(public: str, state: Path) -> None:
    result = run_module(
        rustdesk_keypair.main, {"path": str(state), "owner": USER, "group": GROUP, "public_key": public}
    )
    assert result["msg"].startswith("public_key cannot be used: ")
    assert public not in result["msg"]


def test_the_expected_public_key_is_accepted(state: Path) -> None:
    assert module(state, private_key=PAIR.private_text, public_key=f"{PAIR.public_text}\n")["action"] == IMPORTED
    assert module(state, public_key=PAIR.public_text)["action"] == KEPT


# --- Rotations --------------------------------------------------------------------------------------------------------


def test_a_rotation_keeps_the_previous_pair(state: Path) -> None:
    lay(state, PAIR.private_text, PAIR.public_text)
    module(state, private_key=OTHER.private_text, rotate=True)
    assert is_good(state, OTHER)
    assert (state / "id_ed25519.previous").read_text(encoding="ascii") == PAIR.private_text
    assert (state / "id_ed25519.pub.previous").read_text(encoding="ascii") == PAIR.public_text
    assert stat.S_IMODE((state / "id_ed25519.previous").stat().st_mode) == 0o600
    module(state, private_key=THIRD.private_text, rotate=True)
    assert (state / "id_ed25519.previous").read_text(encoding="ascii") == OTHER.private_text


def test_two_generated_keys_differ(state: Path) -> None:
    keys = {module(state, rotate=True)["public_key"] for _ in range(3)}
    assert len(keys) == 3


# --- Interruptions ----------------------------------------------------------------------------------------------------


def private_files(state: Path) -> Iterator[Path]:
    for path in state.iterdir():
        if path.is_file() and len(path.read_bytes()) > 60:
            yield path


@pytest.mark.parametrize(
    ("present", "arguments"),
    [
        ("nothing", {}),
        ("nothing", {"private_key": PAIR.private_text}),
        ("no public file", {}),
        ("only the public file", {"private_key": PAIR.private_text}),
        ("a pair", {"rotate": True}),
        ("a pair", {"rotate": True, "private_key": OTHER.private_text}),
        ("a malformed private file", {"rotate": True, "private_key": OTHER.private_text}),
    ],
)
def test_killed_anywhere_the_next_run_heals(present: str, arguments: dict[str, Any], state: Path) -> None:
    mask = os.umask(0)
    steps = 0

    def prepare() -> None:
        for path in state.iterdir():
            path.unlink()
        lay(state, *PRESENT[present])

    prepare()
    try:
        for _step in killings(STEPS, lambda: module(state, **arguments)):
            steps += 1
            assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in private_files(state))
            if present == "a pair":
                known = {path.name for path in private_files(state) if path.read_text() == PAIR.private_text}
                assert known & {"id_ed25519", "id_ed25519.previous"}
            result = module(state, **arguments)
            assert "failed" not in result
            assert inspect(state).public_file_fits
            assert not list(state.glob(".*"))
            if "private_key" in arguments:
                assert is_good(state, KeyPair.parse(arguments["private_key"]))
            prepare()
    finally:
        os.umask(mask)
    assert steps > 5


def test_an_interrupted_rotation_repeated_keeps_the_key_that_clients_know(state: Path) -> None:
    """Wherever it ends before the new key takes its place, the pair that is kept is still the old one."""
    lay(state, PAIR.private_text, PAIR.public_text)
    for _step in killings(STEPS, lambda: module(state, rotate=True)):
        if (state / "id_ed25519").read_text(encoding="ascii") == PAIR.private_text:
            module(state, rotate=True)
            assert (state / "id_ed25519.previous").read_text(encoding="ascii") == PAIR.private_text
            assert (state / "id_ed25519.pub.previous").read_text(encoding="ascii") == PAIR.public_text
        else:
            assert inspect(state).public_file_fits
        for path in state.iterdir():
            path.unlink()
        lay(state, PAIR.private_text, PAIR.public_text)


# --- Attributes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "mode"), [("id_ed25519", 0o644), ("id_ed25519", 0o400), ("id_ed25519.pub", 0o600)])
def test_another_mode_is_put_right(name: str, mode: int, state: Path) -> None:
    lay(state, PAIR.private_text, PAIR.public_text)
    (state / name).chmod(mode)
    before = tree(state)
    promise = module(state, check=True)
    assert tree(state) == before
    result = module(state)
    assert promise["action"] == result["action"] == COMPLETED
    assert is_good(state, PAIR)


def test_an_unknown_owner_is_told_and_only_expected_in_check_mode(state: Path) -> None:
    missing: list[dict[str, Any]] = [{"owner": "no-such-user"}, {"group": "no-such-group"}]
    for arguments in missing:
        refusal = module(state, **arguments)["msg"]
        assert refusal.startswith("the host has no user ")
        assert refusal.endswith("; create them first")
        assert module(state, check=True, **arguments)["action"] == GENERATED
    lay(state, PAIR.private_text, PAIR.public_text)
    assert module(state, check=True, owner="no-such-user")["action"] == COMPLETED


def test_files_get_their_owner(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Seen at the system call, as not everybody may give files away."""
    owners: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "fchown", lambda _handle, uid, gid: owners.append((uid, gid)))
    user = next(entry for entry in pwd.getpwall() if entry.pw_uid != os.geteuid())
    group = next(entry for entry in grp.getgrall() if entry.gr_gid != os.getegid())
    module(state, owner=user.pw_name, group=group.gr_name)
    assert owners == [(user.pw_uid, group.gr_gid)] * 2


# --- The file system --------------------------------------------------------------------------------------------------


def test_a_missing_directory_is_told(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    assert module(missing)["msg"] == (
        f"the key in {missing} cannot be written (No such file or directory); nothing of the old key is lost"
    )
    assert module(missing, check=True)["action"] == GENERATED
    assert not missing.exists()


def test_a_full_disk_is_told_and_the_old_key_stays(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(state, PAIR.private_text, PAIR.public_text)

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patches:
        patches.setattr(os, "fsync", full)
        message = module(state, rotate=True)["msg"]
    assert message == f"the key in {state} cannot be written (No space left on device); nothing of the old key is lost"
    assert is_good(state, PAIR)


def test_a_link_in_place_of_the_key_is_refused_and_followed_nowhere(state: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign"
    foreign.write_text("secret of root", encoding="ascii")
    (state / "id_ed25519").symlink_to(foreign)
    assert "id_ed25519 is a link; restore the key from a backup, or set rotate once" in module(state)["msg"]
    assert module(state, rotate=True)["action"] == ROTATED
    assert foreign.read_text(encoding="ascii") == "secret of root"
    assert foreign.stat().st_nlink == 1


def test_a_key_that_goes_while_it_is_looked_at_is_told(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lay(state, PAIR.private_text, PAIR.public_text)

    def gone(path: Path) -> None:
        raise KeyFileError(f"{path} is a link")

    monkeypatch.setattr(rustdesk_keypair, "read", gone)
    assert module(state)["msg"] == f"{state / 'id_ed25519'} is a link"
    monkeypatch.setattr(rustdesk_keypair, "read", lambda _path: None)
    assert module(state)["msg"] == "the private key is empty"


# --- Under Ansible ----------------------------------------------------------------------------------------------------


class Watch(threading.Thread):
    """Reads what every process of this user is called and given, over and over."""

    def __init__(self, words: list[bytes]) -> None:
        super().__init__()
        self.words = words
        self.seen: set[bytes] = set()
        self.rounds = 0
        self.stop = threading.Event()

    def run(self) -> None:
        own = str(os.getpid())
        while not self.stop.is_set():
            for process in Path("/proc").iterdir():
                if not process.name.isdecimal() or process.name == own:
                    continue
                for name in ("cmdline", "environ"):
                    try:
                        content = (process / name).read_bytes()
                    except OSError:
                        continue
                    self.seen |= {word for word in self.words if word in content}
            self.rounds += 1
            time.sleep(0.005)


def play(runs: int) -> str:
    """Each run is a task of its own: what a loop goes over is printed by Ansible itself."""
    tasks = [
        {
            "rustdesk_keypair": {
                "path": "{{ state }}",
                "owner": "{{ owner }}",
                "group": "{{ group }}",
                "private_key": f"{{{{ runs[{number}].private_key }}}}",
                "rotate": f"{{{{ runs[{number}].rotate }}}}",
            },
            "ignore_errors": True,
        }
        for number in range(runs)
    ]
    facts = {"hosts": "localhost", "connection": "local", "gather_facts": False}
    return yaml.safe_dump([facts | {"vars_files": ["secrets.yml"], "tasks": tasks}])


@pytest.fixture
def ansible_run(state: Path, tmp_path: Path) -> Callable[..., str]:
    def run(runs: list[dict[str, Any]]) -> str:
        (tmp_path / "play.yml").write_text(play(len(runs)), encoding="ascii")
        secrets = {
            "runs": runs,
            "state": str(state),
            "owner": USER,
            "group": GROUP,
            "ansible_python_interpreter": sys.executable,
        }
        (tmp_path / "secrets.yml").write_text(json.dumps(secrets), encoding="ascii")
        ended = subprocess.run(
            [ANSIBLE, "-i", "localhost,", "-vvv", "--diff", "play.yml"],
            cwd=tmp_path,
            env=os.environ
            | {
                "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
                "ANSIBLE_FORCE_COLOR": "0",
                "ANSIBLE_HOME": str(tmp_path / ".ansible"),
                "ANSIBLE_INJECT_INVOCATION": "true",
                "ANSIBLE_REMOTE_TEMP": str(tmp_path / "remote"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout + ended.stderr

    return run


def test_no_secret_shows_under_ansible(state: Path, ansible_run: Callable[..., str]) -> None:
    malformed = PAIR.private_text[:44] + OTHER.private_text[44:]
    watch = Watch([key.private_text.encode()[:40] for key in (PAIR, OTHER)] + [b"ansible-playbook"])
    watch.start()
    try:
        printed = ansible_run(
            [
                {"private_key": PAIR.private_text, "rotate": False},
                {"private_key": PAIR.private_text, "rotate": False},
                {"private_key": OTHER.private_text, "rotate": False},
                {"private_key": malformed, "rotate": True},
                {"private_key": OTHER.private_text, "rotate": True},
            ]
        )
    finally:
        watch.stop.set()
        watch.join()
    # It did run, was seen, and said what it had to say.
    assert is_good(state, OTHER)
    assert re.findall(r"^    action: (\w+)", printed, re.MULTILINE) == [IMPORTED, KEPT, ROTATED]
    assert f"the host has the key {PAIR.fingerprint}, but {OTHER.fingerprint} is given" in printed
    assert "VALUE_SPECIFIED_IN_NO_LOG_PARAMETER" in printed
    assert f"+key: {OTHER.fingerprint}" in printed
    assert watch.seen == {b"ansible-playbook"}
    for key in (PAIR, OTHER):
        for part in (key.private_text[:40], key.private_text[:20], key.private_text[-20:], key.seed.hex()):
            assert part not in printed
    assert malformed not in printed


def test_the_watch_sees_what_it_is_for() -> None:
    watch = Watch([b"a secret in argv", b"a secret in the environment"])
    watch.start()
    subprocess.run(["sh", "-c", "sleep 0.3", "a secret in argv"], env={"X": "a secret in the environment"}, check=True)
    watch.stop.set()
    watch.join()
    assert watch.seen == set(watch.words)
    assert watch.rounds > 1
