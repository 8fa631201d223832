"""The launchers on the lab's Windows machine, beside the stub of the client."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT = Path(__file__).resolve().parents[3]
LAB = os.environ.get("RUSTDESK_LAB") or "demo"
WINDOWS, SERVER = f"rustdesk-{LAB}-endpoint-windows", f"rustdesk-{LAB}-server-deb12"
SERVER_NAME = "server-deb12.lab.test"
STUB = "/opt/rustdesk-stub/rustdesk-1.4.9-x86_64.exe"
INSTALLED = r"C:\Program Files\RustDesk\RustDesk.exe"
CONTACTS = r"C:\ProgramData\rustdesk-stub\contacts.log"
SERVICE_ROAMING = r"C:\Windows\ServiceProfiles\LocalService\AppData\Roaming"
# No blank, as a command line of cmd with a path in quotes is a riddle.
FOLDER = r"C:\Bündel"
LAUNCHER, RESET = "rustdesk-lab.exe", "rustdesk-reset.exe"
WRONG_KEY = "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA="
SECONDS = 120

UNINSTALL = """
[ -e "$1" ] || exit 0
wine "$1" --uninstall
tries=600; while [ -e "$1" ] && [ $tries -gt 0 ]; do sleep 0.1; tries=$((tries - 1)); done
[ ! -e "$1" ]
"""

Done = subprocess.CompletedProcess[str]


def inside(*command: str, given: bytes | None = None, machine: str = WINDOWS, user: str = "Administrator") -> bytes:
    """Run a command on a machine, below Windows, and return what it prints."""
    options = ["--interactive"] if given is not None else []
    return subprocess.run(
        ["docker", "exec", *options, "--user", user, machine, *command],
        input=given,
        check=True,
        capture_output=True,
        timeout=SECONDS,
    ).stdout


def on_server(*command: str) -> str:
    """Run a command on the server."""
    return inside(*command, machine=SERVER, user="root").decode()


def unix(path: str) -> str:
    """Where a Windows path is on the machine's disk."""
    return "/wine/drive_c/" + path.removeprefix("C:\\").replace("\\", "/").replace("Windows/", "windows/")


@dataclass(frozen=True)
class User:
    """Somebody with a profile on the Windows machine."""

    name: str

    @property
    def roaming(self) -> str:
        """The user's %APPDATA%."""
        return rf"C:\Users\{self.name}\AppData\Roaming"

    @property
    def settings(self) -> str:
        """Where RustDesk's settings of this user are."""
        return rf"{self.roaming}\RustDesk\config\RustDesk2.toml"

    @property
    def record(self) -> str:
        """Where the saved state of this user is."""
        return rf"{self.roaming}\RustDesk\config\rustdesk_client.json"

    def run(self, program: str, *arguments: str, **variables: str) -> Done:
        """Run a program of the bundle as this user, and return how it ended."""
        with self.start(program, *arguments, **variables) as process:
            try:
                out, problems = process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                # It has started a window that nobody closes, where it should not have.
                process.kill()
                inside("wine", unix(rf"{FOLDER}\rustdesk.exe"), "--stub-quit")
                raise
        return subprocess.CompletedProcess([], process.returncode, out, problems)

    def start(self, program: str, *arguments: str, **variables: str) -> subprocess.Popen[str]:
        """Start a program of the bundle as this user."""
        command = ["wine", rf"{FOLDER}\{program}", *arguments]
        if self != ADMINISTRATOR:
            # Wine knows one user; another one's programs are told where that one's settings are, as Windows would.
            command = ["wine", "cmd", "/c", rf"set APPDATA={self.roaming}&& {FOLDER}\{program} {' '.join(arguments)}"]
        options = [f"--env={name}={value}" for name, value in {"RUSTDESK_LAUNCHER_LANG": "en", **variables}.items()]
        return subprocess.Popen(
            ["docker", "exec", *options, "--user", "Administrator", WINDOWS, *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
        )


ADMINISTRATOR, JOERG, ANNA = User("Administrator"), User("Jörg Müller"), User("anna")
USERS = (ADMINISTRATOR, JOERG, ANNA)


def exists(path: str) -> bool:
    """Tell whether a file is there."""
    return subprocess.run(["docker", "exec", WINDOWS, "test", "-e", unix(path)], check=False).returncode == 0


def read(path: str) -> bytes:
    """Return a file's bytes."""
    return inside("cat", unix(path))


def write(path: str, content: bytes) -> None:
    """Write a file, and make the folders above it."""
    script = 'mkdir -p "$(dirname "$1")" && cat > "$1"'
    inside("sh", "-c", script, "sh", unix(path), given=content)


def names(folder: str) -> list[str]:
    """Return what is in a folder."""
    return sorted(inside("ls", "-A", unix(folder)).decode().split("\n")[:-1])


@contextmanager
def held(path: str, shared: str) -> Iterator[None]:
    """Somebody has a file open, granting others ``none``, ``read`` or ``all``."""
    command = ["docker", "exec", "--interactive", "--user", "Administrator", WINDOWS, "hold-open", shared, path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout
        assert json.loads(holder.stdout.readline()) == {}
        yield
        assert holder.stdin
        holder.stdin.close()


@contextmanager
def window(user: User, program: str, *arguments: str) -> Iterator[None]:
    """RustDesk's window is open; it is closed at the end, and writes its settings."""
    with user.start(program, *arguments) as process:
        wait_until(lambda: exists(CONTACTS) and b"window" in read(CONTACTS))
        try:
            yield
        finally:
            ADMINISTRATOR.run("rustdesk.exe", "--stub-quit")
            process.communicate(timeout=SECONDS)


def wait_until(is_so: Callable[[], bool]) -> None:
    """Wait for something that has to come."""
    end = time.monotonic() + SECONDS
    while not is_so():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.2)


@contextmanager
def blocked(rule: str) -> Iterator[None]:
    """A firewall on the way drops what a rule of nftables names."""
    chain = f"type filter hook input priority -10; policy accept; {rule} counter drop;"
    table = f"add table inet launcher_test {{ chain input {{ {chain} }}; }}"
    on_server("nft", table)
    try:
        yield
        # The rule has met something: otherwise the test would show nothing.
        assert "packets 0 " not in on_server("nft", "list", "table", "inet", "launcher_test")
    finally:
        on_server("nft", "delete", "table", "inet", "launcher_test")


@dataclass(frozen=True)
class Programs:
    """The launchers as the module has built them."""

    folder: Path
    key: str


def build(folder: Path, key: str, client_sha256: str) -> Programs:
    """Build the launchers for the lab's server, as the role does it: through Ansible."""
    arguments: dict[str, Any] = {
        "source": str(ROOT / "launcher"),
        "output": str(folder),
        "site": {
            "company": "Läb",
            "host": SERVER_NAME,
            "key": key,
            "download_url": "https://dl.lab.test/rd",
            "email": "help@lab.test",
        },
        "client": {"version": "1.4.9", "sha256": client_sha256},
        "launcher_name": LAUNCHER,
        "version": "1.2.3",
        "architectures": ["amd64"],
    }
    ansible = Path(sys.executable).with_name("ansible")
    done = subprocess.run(
        [str(ansible), "localhost", "-m", "rustdesk_launchers", "-a", json.dumps(arguments)],
        cwd=ROOT,
        env={"GOCACHE": str(ROOT / ".cache" / "go"), **os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return Programs(folder / "amd64", key)


def place(programs: Programs) -> None:
    """Put the programs into the bundle's folder, beside the stub."""
    inside("mkdir", "-p", unix(FOLDER))
    inside("cp", STUB, unix(rf"{FOLDER}\rustdesk.exe"))
    for name in (LAUNCHER, RESET):
        write(rf"{FOLDER}\{name}", (programs.folder / name).read_bytes())


@pytest.fixture(scope="session")
def stub_sha256() -> str:
    """Digest of the client that the bundle is made with."""
    return hashlib.sha256(inside("cat", STUB)).hexdigest()


@pytest.fixture(scope="session")
def right_key() -> str:
    """The server's public key."""
    return on_server("cat", "/var/lib/rustdesk-server/id_ed25519.pub").strip()


@pytest.fixture(scope="session")
def programs(right_key: str, stub_sha256: str) -> Iterator[Programs]:
    """The launchers of the lab's server."""
    with tempfile.TemporaryDirectory() as folder:
        yield build(Path(folder), right_key, stub_sha256)


@pytest.fixture(scope="session")
def programs_with_a_wrong_key(stub_sha256: str) -> Iterator[Programs]:
    """The launchers of somebody who has mixed up two keys."""
    with tempfile.TemporaryDirectory() as folder:
        yield build(Path(folder), WRONG_KEY, stub_sha256)


@pytest.fixture
def bundle(programs: Programs) -> Iterator[Programs]:
    """The unpacked bundle on a Windows machine where nobody has used RustDesk yet."""
    emptied()
    place(programs)
    yield programs
    emptied()


def emptied() -> None:
    """Take everything of RustDesk off the Windows machine."""
    inside("sh", "-c", UNINSTALL, "sh", unix(INSTALLED))
    roaming = [*(user.roaming for user in USERS), SERVICE_ROAMING]
    paths = [FOLDER, CONTACTS, *(rf"{path}\RustDesk" for path in roaming)]
    inside("rm", "-rf", *(unix(path) for path in paths))
