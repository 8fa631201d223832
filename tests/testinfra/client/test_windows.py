"""The same on Windows: through ssh and PowerShell, with real ansible.windows, on the lab's stand-in."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import time
import tomllib
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.client.endpoints import FOREIGN, SERVER, apply, reset, run
from tests.testinfra.plays import lab_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ENDPOINT = "endpoint-windows"
CONTAINER = f"rustdesk-{lab_name()}-{ENDPOINT}"
USERS = "/wine/drive_c/Users"
ROAMING = "AppData/Roaming"
STUB = "/opt/rustdesk-stub/rustdesk-1.4.9-x86_64.msi"
MAX = "Max O'Neil & Söhne"
SETTINGS = {
    "anna": b"\xef\xbb\xbf" + FOREIGN.replace("\n", "\r\n").encode(),
    "Jörg Müller": FOREIGN.encode().rstrip(b"\n"),
    MAX: b"[socks]\r\nproxy = ''\r\n# [options]\r\n",
}


def inside(script: str, *arguments: str, stdin: bytes = b"", check: bool = True) -> bytes:
    """Run a shell script in the container, below Windows, as the user Windows runs as."""
    command = ["docker", "exec", "-i", "--user", "Administrator", CONTAINER, "sh", "-c", script, "sh", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, check=False)
    assert not check or done.returncode == 0, done.stderr.decode()
    return done.stdout


def path(user: str, name: str = "RustDesk2.toml") -> str:
    return f"{USERS}/{user}/{ROAMING}/RustDesk/config/{name}"


def put(user: str, content: bytes) -> None:
    inside('mkdir -p "$(dirname "$1")" && base64 -d > "$1"', path(user), stdin=base64.b64encode(content))


def get(user: str, name: str = "RustDesk2.toml") -> bytes:
    return inside('cat "$1"', path(user, name))


def files(user: str) -> list[str]:
    return inside('ls -A "$1" 2>/dev/null || :', path(user, "")).decode().split()


def options(user: str) -> dict[str, str]:
    found: dict[str, str] = tomllib.loads(get(user).decode("utf-8-sig"))["options"]
    return found


SERVICE = "/wine/drive_c/windows/ServiceProfiles/LocalService/AppData/Roaming/RustDesk"


@pytest.fixture
def profiles() -> Iterator[None]:
    """Profiles with settings of all kinds; one of them has none."""

    def emptied() -> None:
        inside(f'chmod -R u+w {USERS} && rm -rf {USERS}/*/{ROAMING}/RustDesk "{SERVICE}" "$1"', f"{USERS}/{MAX}")

    emptied()
    inside('mkdir -p "$1"', f"{USERS}/{MAX}/{ROAMING}")
    for user, content in SETTINGS.items():
        put(user, content)
    yield
    emptied()


@pytest.mark.usefixtures("profiles")
def test_there_twice_and_back_byte_for_byte() -> None:
    checked = run({}, "--check", "--diff", host=ENDPOINT)
    assert checked.status == 0, checked.output
    assert checked.changed > 0
    assert {user: get(user) for user in SETTINGS} == SETTINGS

    apply(host=ENDPOINT)
    for user in (*SETTINGS, "Administrator"):
        assert options(user)["custom-rendezvous-server"] == SERVER
        assert "relay-server" not in options(user)
        assert b"enable-check-update = 'N'" in get(user, "RustDesk_local.toml")
    merged = get("anna")
    assert merged.startswith(b"\xef\xbb\xbf")
    assert merged.count(b"\r\n") == merged.count(b"\n")
    assert b"# set by somebody else's support\r\n" in merged
    assert not get("Jörg Müller").endswith(b"\n")
    assert SERVER.encode() in inside(f'cat "{SERVICE}/config/RustDesk2.toml"')

    assert apply(host=ENDPOINT).changed == 0
    assert run({}, "--check", "--diff", host=ENDPOINT).changed == 0
    reset(host=ENDPOINT)
    assert {user: get(user) for user in SETTINGS} == SETTINGS
    assert {tuple(files(user)) for user in SETTINGS} == {("RustDesk2.toml",)}
    assert files("Administrator") == []
    assert inside(f'ls -d "{SERVICE}" 2>/dev/null || :') == b""
    assert reset(host=ENDPOINT).changed == 0


@pytest.mark.usefixtures("profiles")
def test_portable_named_users_and_what_is_refused() -> None:
    apply(host=ENDPOINT, portable=True, users=["jörg müller", MAX])
    assert options(MAX)["custom-rendezvous-server"] == SERVER
    assert get("anna") == SETTINGS["anna"]
    assert inside(f'ls -d "{SERVICE}" 2>/dev/null || :') == b""

    put("anna", b"[options\n")
    for variables, says in (
        (
            {"rustdesk_client_users": None, "rustdesk_client_language": "Deutsch"},
            "rustdesk_client_users: has to be a list",
        ),
        ({"rustdesk_client_users": ["anna"], "rustdesk_client_language": "Deutsch"}, "rustdesk_client_language"),
        ({"rustdesk_client_users": ["niemand"]}, "rustdesk_client_users: the host has no user niemand"),
    ):
        done = run(variables, host=ENDPOINT)
        assert done.status != 0
        assert says in done.failure(ENDPOINT)
    done = run({"rustdesk_client_users": ["anna"]}, host=ENDPOINT)
    assert "C:\\Users\\anna\\AppData\\Roaming\\RustDesk\\config\\RustDesk2.toml is not TOML" in done.failure(ENDPOINT)
    assert get("anna") == b"[options\n"


FILE = "C:\\Users\\anna\\AppData\\Roaming\\RustDesk\\config\\RustDesk2.toml"


@pytest.mark.usefixtures("profiles")
def test_a_read_only_file_is_refused() -> None:
    """win_copy would write it, and take off for good what somebody has set."""
    inside('chmod a-w "$1"', path("anna"))
    done = run(host=ENDPOINT)
    assert done.status != 0
    assert f"{FILE} is read-only" in done.failure(ENDPOINT)
    assert {user: get(user) for user in SETTINGS} == SETTINGS
    assert files("Administrator") == []


@pytest.mark.usefixtures("profiles")
def test_a_file_of_another_case_is_merged_into_and_given_back() -> None:
    inside('mv "$1" "$2"', path("anna"), path("anna", "rustdesk2.toml"))
    apply(host=ENDPOINT, users=["anna"])
    assert sorted(files("anna")) == ["RustDesk_local.toml", "rustdesk2.toml", "rustdesk_client.json"]
    merged = get("anna", "rustdesk2.toml")
    assert SERVER.encode() in merged
    assert b"# set by somebody else's support\r\n" in merged
    assert apply(host=ENDPOINT, users=["anna"]).changed == 0
    reset(host=ENDPOINT, users=["anna"])
    assert files("anna") == ["rustdesk2.toml"]
    assert get("anna", "rustdesk2.toml") == SETTINGS["anna"]


@pytest.mark.usefixtures("profiles")
def test_a_hidden_file_is_refused() -> None:
    """It used to be overlooked, and written over."""
    hide = "import os, sys; os.setxattr(sys.argv[1], 'user.DOSATTRIB', b'0x2')"
    inside('python3 -c "$2" "$1"', path("anna"), hide)
    done = run(host=ENDPOINT)
    assert done.status != 0
    assert f"{FILE} is hidden" in done.failure(ENDPOINT)
    assert {user: get(user) for user in SETTINGS} == SETTINGS
    assert files("Administrator") == []


@pytest.mark.usefixtures("profiles")
def test_a_file_that_is_held_open_is_named() -> None:
    line = ["docker", "exec", "-i", "--user", "Administrator", CONTAINER, "hold-open", "read", FILE]
    with subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout
        holder.stdout.readline()
        done = run({"rustdesk_client_users": ["anna"]}, host=ENDPOINT)
        holder.communicate(timeout=20)
    assert done.status != 0
    message = done.failure(ENDPOINT)
    assert f"{FILE} was not written" in message
    assert "close RustDesk" in message
    assert get("anna") == SETTINGS["anna"]
    apply(host=ENDPOINT, users=["anna"])
    reset(host=ENDPOINT, users=["anna"])
    assert get("anna") == SETTINGS["anna"]


@contextmanager
def window() -> Iterator[None]:
    """The administrator has a portable client open."""
    program = "/wine/drive_c/Users/Administrator/rustdesk.exe"
    inside('cp /opt/rustdesk-stub/rustdesk-1.4.9-x86_64.exe "$1"', program)
    line = ["docker", "exec", "--user", "Administrator", CONTAINER, "wine", "C:\\Users\\Administrator\\rustdesk.exe"]
    with subprocess.Popen(line, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 30
        while inside("cat /proc/[0-9]*/comm").count(b"rustdesk.exe") == 0:
            assert time.monotonic() < deadline, "the stub did not start"
            time.sleep(0.2)
        try:
            yield
        finally:
            inside('wine "$1" --stub-quit', program, check=False)
            running.wait(timeout=30)
            inside('rm -f "$1"', program)


@pytest.mark.usefixtures("profiles")
def test_an_open_window_is_refused_or_closed() -> None:
    """It would write its own settings back."""
    with window():
        done = run({"rustdesk_client_portable": True}, host=ENDPOINT)
        assert done.status != 0
        assert "rustdesk_client_close_programs: RustDesk is open at Administrator" in done.failure(ENDPOINT)
        assert {user: get(user) for user in SETTINGS} == SETTINGS
        assert files("Administrator") == []
        apply(host=ENDPOINT, portable=True, close_programs=True)
        assert b"rustdesk.exe" not in inside("cat /proc/[0-9]*/comm")
        assert options("Administrator")["custom-rendezvous-server"] == SERVER
        assert apply(host=ENDPOINT, portable=True).changed == 0
    reset(host=ENDPOINT, portable=True)
    assert {user: get(user) for user in SETTINGS} == SETTINGS


@pytest.fixture
def package(tmp_path: Path) -> dict[str, Any]:
    """The stub's installer on the controller."""
    target = tmp_path / "rustdesk-1.4.9-x86_64.msi"
    target.write_bytes(inside(f"cat {STUB}"))
    digest = hashlib.sha256(target.read_bytes()).hexdigest()
    return {"install": True, "package_file": str(target), "package_sha256": digest}


POLICY = r"HKLM\SOFTWARE\Policies\Microsoft\Windows\QoS\RustDesk (rustdesk_client)"


@pytest.mark.usefixtures("profiles")
def test_installed_configured_and_taken_back(package: dict[str, Any]) -> None:
    done = run(
        {f"rustdesk_client_{name}": value for name, value in package.items()}
        | {"rustdesk_client_package_sha256": "0" * 64},
        host=ENDPOINT,
    )
    assert done.status != 0, "another digest was accepted"
    asked = {**package, "users": ["anna"], "qos": True, "permanent_password": "Wald-Pferd-Batterie"}
    apply(host=ENDPOINT, **asked)
    assert inside(f"wine reg query '{POLICY}' /v 'DSCP Value'").split()[-1] == b"8"
    assert apply(host=ENDPOINT, **asked).changed == 0
    program = "/wine/drive_c/Program Files/RustDesk/rustdesk.exe"
    answer = inside('wine "$1" --option custom-rendezvous-server', program)
    assert answer.decode().strip() == SERVER

    # A running client is stopped, and what it writes at its end is merged into.
    inside('wine "$1" --option enable-audio N', program)
    assert apply(host=ENDPOINT, **asked, lan_discovery=True).changed > 0
    assert inside('wine "$1" --option enable-audio', program).decode().strip() == "N"
    assert inside('wine "$1" --option enable-lan-discovery', program).decode().strip() == "Y"

    reset(host=ENDPOINT, users=["anna"])
    assert inside('ls -d "$1" 2>/dev/null || :', program) == b""
    assert get("anna") == SETTINGS["anna"]
    inside(f"! wine reg query '{POLICY}'")
