"""Bad input is refused with the variable's name and the way out, and the host stays as it was."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.plays import ROOT, play

if TYPE_CHECKING:
    from testinfra.host import Host

SERVER = "server-deb13"
SNAPSHOT = (
    "find /etc /opt /usr/local /var/lib/rustdesk-server -xdev -type f -not -name 'db_v2*' -exec sha256sum {} + ; "
    "find /etc /opt /usr/local /var/lib/rustdesk-server -xdev -not -name 'db_v2*' -printf '%p %m %u %g %l\\n'; "
    "systemctl show --property=MainPID,ActiveState rustdesk-hbbs rustdesk-hbbr"
)

# What the system's own timers write below /var/lib is not the role's doing.
FRESH = "find /etc /opt /usr/local -xdev -type f -exec sha256sum {} + | sort; ls /var/lib"

Surroundings = Callable[["Host"], AbstractContextManager[None]]


def undisturbed(_host: Host) -> AbstractContextManager[None]:
    return nullcontext()


@contextmanager
def port_taken(host: Host) -> Iterator[None]:
    """Another program holds a port that the server is to take."""
    host.check_output("systemd-run --quiet --unit=squatter nc -l -k 0.0.0.0 22117")
    host.check_output("for i in $(seq 50); do ss -Hltn 'sport = 22117' | grep -q . && exit 0; sleep 0.1; done; exit 1")
    try:
        yield
    finally:
        host.check_output("systemctl stop squatter")


@contextmanager
def disk_full(host: Host) -> Iterator[None]:
    """The programs are to go to a file system without room."""
    host.check_output("mkdir /opt/small && mount -t tmpfs -o size=200k tmpfs /opt/small")
    try:
        yield
    finally:
        host.check_output("umount /opt/small && rmdir /opt/small")


@contextmanager
def env_file(host: Host) -> Iterator[None]:
    """Somebody left a file that the daemons would read."""
    host.check_output("echo KEY= >/var/lib/rustdesk-server/.env")
    try:
        yield
    finally:
        host.check_output("rm /var/lib/rustdesk-server/.env")


def archive() -> Path:
    """The archive the lab runs."""
    return Path(json.loads((ROOT / ".cache" / "archive.json").read_text())["path"])


def forged(directory: Path, members: Mapping[str, bytes]) -> dict[str, str]:
    """Variables for an archive with other members than a release has, and with its own right digest."""
    path = directory / "forged.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return given(path)


def given(path: Path) -> dict[str, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "rustdesk_server_archive_file": str(path),
        "rustdesk_server_archive_sha256": digest,
        "rustdesk_server_version": "1.1.99",
    }


@dataclass(frozen=True)
class Case:
    """Variables that cannot work, and what the message has to say."""

    says: tuple[str, ...]
    variables: dict[str, Any] = field(default_factory=dict)
    surroundings: Surroundings = undisturbed


CASES = {
    "wrong type": Case(("rustdesk_server_relays", "a list"), {"rustdesk_server_relays": "relay.example.org"}),
    "misspelt variable": Case(
        ("rustdesk_server_relay_prot", "rustdesk_server_relay_port"), {"rustdesk_server_relay_prot": 21117}
    ),
    "port clash": Case(
        ("rustdesk_server_port", "rustdesk_server_relay_port", "21118"), {"rustdesk_server_relay_port": 21118}
    ),
    "key of wrong length": Case(("rustdesk_server_public_key", "32 bytes"), {"rustdesk_server_public_key": "c2hvcnQ="}),
    "key with a line break": Case(
        ("rustdesk_server_public_key",),
        {"rustdesk_server_public_key": "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA=\nEnvironment=X=Y"},
    ),
    "relay that does not resolve": Case(
        ("rustdesk_server_relays", "nowhere.lab.test"), {"rustdesk_server_relays": ["nowhere.lab.test"]}
    ),
    "unknown architecture": Case(
        ("rustdesk_server_architecture", "riscv64"), {"rustdesk_server_architecture": "riscv64"}
    ),
    "another architecture": Case(("rustdesk_server_architecture", "x86_64"), {"rustdesk_server_architecture": "arm64"}),
    "vulnerable version": Case(("rustdesk_server_version", "1.1.16 or newer"), {"rustdesk_server_version": "1.1.14"}),
    "unpinned version": Case(
        ("rustdesk_server_archive_sha256", "1.1.99"),
        {"rustdesk_server_version": "1.1.99", "rustdesk_server_archive_sha256": ""},
    ),
    "hash mismatch of a file": Case(
        ("rustdesk_server_archive_file", "sha256", "0" * 64),
        {"rustdesk_server_archive_file": str(archive()), "rustdesk_server_archive_sha256": "0" * 64},
    ),
    "hash mismatch of a download": Case(
        ("rustdesk_server_archive_mirror", "sha256", "0" * 64), {"rustdesk_server_archive_sha256": "0" * 64}
    ),
    "download that is not there": Case(
        ("rustdesk_server_archive_mirror", "404"),
        {"rustdesk_server_version": "1.1.98", "rustdesk_server_archive_sha256": "0" * 64},
    ),
    "file missing on the host": Case(
        ("rustdesk_server_archive_remote_file", "/root/none.zip"),
        {"rustdesk_server_archive_remote_file": "/root/none.zip", "rustdesk_server_version": "1.1.99"},
    ),
    "disk full": Case(
        ("rustdesk_server_install_dir", "MiB free"),
        {"rustdesk_server_install_dir": "/opt/small/server"},
        disk_full,
    ),
    "port taken": Case(
        ("rustdesk_server_relay_port", "22117/tcp", "squatter"), {"rustdesk_server_relay_port": 22117}, port_taken
    ),
    "forgotten settings file": Case(("rustdesk_server_state_dir", ".env"), {}, env_file),
    "everything at once": Case(
        (
            "4 faults",
            "rustdesk_server_host",
            "rustdesk_server_version",
            "rustdesk_server_public_key",
            "nowhere.lab.test",
        ),
        {
            "rustdesk_server_host": "no..host",
            "rustdesk_server_version": "1.1.1",
            "rustdesk_server_public_key": "short",
            "rustdesk_server_relays": ["nowhere.lab.test"],
        },
    ),
}


def refused(host: Host, case: Case) -> str:
    """Deploy with a fault, see the host unchanged, and return what was said."""
    with case.surroundings(host):
        before = host.check_output(SNAPSHOT)
        done = play(SERVER, case.variables)
        assert host.check_output(SNAPSHOT) == before
    assert done.status != 0, "the fault was accepted"
    assert "Traceback" not in done.output
    return done.failure(SERVER)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_refused(on: Callable[[str], Host], case: Case) -> None:
    message = refused(on(SERVER), case)
    assert [part for part in case.says if part not in message] == [], message


@pytest.mark.parametrize(
    ("members", "says"),
    [
        ({"amd64/hbbs": b"x", "amd64/hbbr": b"x"}, "lacks amd64/rustdesk-utils"),
        ({"amd64/hbbs": b"x", "amd64/hbbr": b"x", "amd64/rustdesk-utils": b"x", "../etc/cron.d/x": b"x"}, "outside"),
        ({"amd64/hbbs": b"x", "amd64/hbbr": b"x", "amd64/rustdesk-utils": b"x", "/etc/cron.d/x": b"x"}, "outside"),
    ],
)
def test_forged_archive_is_refused(
    on: Callable[[str], Host], tmp_path: Path, members: dict[str, bytes], says: str
) -> None:
    message = refused(on(SERVER), Case((), forged(tmp_path, members)))
    assert "rustdesk_server_archive_file" in message
    assert says in message


def test_truncated_archive_is_refused(on: Callable[[str], Host], tmp_path: Path) -> None:
    path = tmp_path / "truncated.zip"
    path.write_bytes(archive().read_bytes()[:-1000])
    message = refused(on(SERVER), Case((), given(path)))
    assert "not a usable zip archive" in message


def test_refused_on_a_fresh_host(on: Callable[[str], Host]) -> None:
    """A host that never had a server gets nothing of one: no user, no directory, no archive."""
    host = on("client-deb12")
    before = host.check_output(FRESH)
    variables = {"rustdesk_server_archive_sha256": "0" * 64, "rustdesk_host": "client-deb12.lab.test"}
    done = play(
        "client-deb12",
        variables | {"rustdesk_server_archive_mirror": "http://mirror.lab.test"},
        playbook="../tests/testinfra/server/anywhere.yml",
    )
    assert done.status != 0
    assert "rustdesk_server_archive_mirror" in done.failure("client-deb12")
    assert host.check_output(FRESH) == before
    assert not host.file("/opt/rustdesk-server").exists
    assert not host.user("rustdesk-server").exists
