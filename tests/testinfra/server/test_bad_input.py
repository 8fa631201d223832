"""Bad input is refused with the variable's name and the way out, and the host stays as it was."""

from __future__ import annotations

import hashlib
import json
import zipfile
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.plays import ROOT, play
from tests.testinfra.refusals import (
    ACCEPTED,
    Case,
    Place,
    Surroundings,
    alone,
    disturbed,
    port_taken,
    small_disk,
    told,
    undisturbed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from testinfra.host import Host

SERVER = "server-deb13"
SNAPSHOT = (
    "find /etc /opt /usr/local /var/lib/rustdesk-server -xdev -type f -not -name 'db_v2*' -exec sha256sum {} + ; "
    "find /etc /opt /usr/local /var/lib/rustdesk-server -xdev -not -name 'db_v2*' -printf '%p %m %u %g %l\\n'; "
    "systemctl show --property=MainPID,ActiveState rustdesk-hbbs rustdesk-hbbr"
)

# What the system's own timers write below /var/lib is not the role's doing.
FRESH = "find /etc /opt /usr/local -xdev -type f -exec sha256sum {} + | sort; ls /var/lib"


@contextmanager
def env_file(host: Host) -> Iterator[None]:
    """Somebody left a file that the daemons would read."""
    host.check_output("echo KEY= >/var/lib/rustdesk-server/.env")
    try:
        yield
    finally:
        host.check_output("rm /var/lib/rustdesk-server/.env")


def linked(path: str) -> Surroundings:
    """Somebody has moved a directory, and left a link in its place."""

    @contextmanager
    def leading_elsewhere(host: Host) -> Iterator[None]:
        host.check_output(f"mkdir {path}.real && ln -s {path}.real {path}")
        try:
            yield
        finally:
            host.check_output(f"rm {path} && rmdir {path}.real")

    return leading_elsewhere


def archive() -> Path:
    """The archive the lab runs."""
    return Path(json.loads((ROOT / ".cache" / "archive.json").read_text())["path"])


def forged(members: Mapping[str, bytes], directory: Path) -> dict[str, str]:
    """Variables for an archive with other members than a release has, and with its own right digest."""
    path = directory / f"forged-{len(list(directory.iterdir()))}.zip"
    with zipfile.ZipFile(path, "w") as zipped:
        for name, content in members.items():
            zipped.writestr(name, content)
    return given(path)


def truncated(directory: Path) -> dict[str, str]:
    """Variables for an archive whose end is missing, with its own right digest."""
    path = directory / "truncated.zip"
    path.write_bytes(archive().read_bytes()[:-1000])
    return given(path)


def given(path: Path) -> dict[str, str]:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {
        "archive_file": str(path),
        "archive_sha256": digest,
        "version": "1.1.99",
    }


PROGRAMS = dict.fromkeys(("amd64/hbbs", "amd64/hbbr", "amd64/rustdesk-utils"), b"x")
CASES = {
    "wrong type": Case(("rustdesk_server_relays", "a list"), {"relays": "relay.example.org"}),
    "misspelt variable": Case(("rustdesk_server_relay_prot", "rustdesk_server_relay_port"), {"relay_prot": 21117}),
    "port clash": Case(("rustdesk_server_port", "rustdesk_server_relay_port", "21118"), {"relay_port": 21118}),
    "key of wrong length": Case(("rustdesk_server_public_key", "32 bytes"), {"public_key": "c2hvcnQ="}),
    "key with a line break": Case(
        ("rustdesk_server_public_key",),
        {"public_key": "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA=\nEnvironment=X=Y"},
    ),
    "relay that does not resolve": Case(
        ("rustdesk_server_relays", "nowhere.lab.test"), {"relays": ["nowhere.lab.test"]}
    ),
    "self-test of another port": Case(("rustdesk_server_self_test", "21117"), {"self_test": "127.0.0.1:21117"}),
    "proofs on loopback": Case(("rustdesk_server_verify_address", "consoles"), {"verify_address": "127.0.0.1"}),
    "proofs that take too long": Case(("rustdesk_server_verify_timeout", "1 to 20"), {"verify_timeout": 30}),
    "address in another spelling": Case(
        ("rustdesk_server_blocked_addresses", "2001:db8::7"), {"blocked_addresses": ["2001:DB8:0:0:0:0:0:7"]}
    ),
    "unknown architecture": Case(("rustdesk_server_architecture", "riscv64"), {"architecture": "riscv64"}),
    "another architecture": Case(("rustdesk_server_architecture", "x86_64"), {"architecture": "arm64"}),
    "vulnerable version": Case(("rustdesk_server_version", "1.1.16 or newer"), {"version": "1.1.14"}),
    "unpinned version": Case(
        ("rustdesk_server_archive_sha256", "1.1.99"),
        {"version": "1.1.99", "archive_sha256": ""},
    ),
    "hash mismatch of a file": Case(
        ("rustdesk_server_archive_file", "sha256", "0" * 64),
        {"archive_file": str(archive()), "archive_sha256": "0" * 64},
    ),
    "hash mismatch of a download": Case(
        ("rustdesk_server_archive_mirror", "sha256", "0" * 64), {"archive_sha256": "0" * 64}
    ),
    "download that is not there": Case(
        ("rustdesk_server_archive_mirror", "404"),
        {"version": "1.1.98", "archive_sha256": "0" * 64},
    ),
    "file missing on the host": Case(
        ("rustdesk_server_archive_remote_file", "/root/none.zip"),
        {"archive_remote_file": "/root/none.zip", "version": "1.1.99"},
    ),
    "disk full": Case(
        ("rustdesk_server_install_dir", "MiB free"),
        {"install_dir": "/opt/small/server"},
        small_disk("/opt/small", "200k"),
    ),
    "port taken": Case(
        ("rustdesk_server_relay_port", "22117/tcp", "squatter"), {"relay_port": 22117}, port_taken(22117)
    ),
    "linked programs": Case(
        ("rustdesk_server_install_dir", "is a link", "/opt/linked.real"),
        {"install_dir": "/opt/linked"},
        linked("/opt/linked"),
    ),
    "linked state": Case(
        ("rustdesk_server_state_dir", "is a link", "/opt/linked.real"),
        {"state_dir": "/opt/linked/"},
        linked("/opt/linked"),
    ),
    "linked state that is to be removed": Case(
        ("rustdesk_server_state_dir", "is a link", "/opt/linked.real"),
        {"state_dir": "/opt/linked", "state": "absent", "purge": True},
        linked("/opt/linked"),
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
            "host": "no..host",
            "version": "1.1.1",
            "public_key": "short",
            "relays": ["nowhere.lab.test"],
        },
    ),
    "archive without a program": Case(
        ("rustdesk_server_archive_file", "lacks amd64/rustdesk-utils"),
        partial(forged, {"amd64/hbbs": b"x", "amd64/hbbr": b"x"}),
    ),
    "archive that climbs": Case(
        ("rustdesk_server_archive_file", "outside"), partial(forged, PROGRAMS | {"../etc/cron.d/x": b"x"})
    ),
    "archive from the root": Case(
        ("rustdesk_server_archive_file", "outside"), partial(forged, PROGRAMS | {"/etc/cron.d/x": b"x"})
    ),
    "truncated archive": Case(("not a usable zip archive",), truncated),
}


def place(on: Callable[[str], Host]) -> Place:
    return Place(on(SERVER), SERVER, SNAPSHOT)


@pytest.fixture(scope="module")
def said(on: Callable[[str], Host], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What was said where nothing is at fault but the variables."""
    return told(place(on), "rustdesk_server", undisturbed(CASES), tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("name", undisturbed(CASES))
def test_refused(said: dict[str, str], name: str) -> None:
    assert said[name] != ACCEPTED
    assert CASES[name].unsaid(said[name]) == [], said[name]


@pytest.mark.parametrize("name", disturbed(CASES))
def test_refused_where_the_host_is_at_fault(on: Callable[[str], Host], tmp_path: Path, name: str) -> None:
    message = alone(place(on), "rustdesk_server", CASES[name], tmp_path, "server.yml")
    assert CASES[name].unsaid(message) == [], message


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


def test_a_failed_upgrade_leaves_what_runs(on: Callable[[str], Host]) -> None:
    """A directory whose mode an administrator has changed is still not one that the failed run has made."""
    host = on(SERVER)
    host.check_output("chmod 0750 /opt/rustdesk-server")
    try:
        done = play(SERVER, {"rustdesk_server_archive_sha256": "0" * 64})
        assert done.status != 0
        assert "rustdesk_server_archive_mirror" in done.failure(SERVER)
        for program in ("hbbs", "hbbr"):
            assert host.file(f"/opt/rustdesk-server/current/{program}").exists
            assert host.service(f"rustdesk-{program}").is_running
        assert not host.file("/opt/rustdesk-server/.staging").exists
    finally:
        host.check_output("chmod 0755 /opt/rustdesk-server")
