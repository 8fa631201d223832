"""`absent` takes back what the role did, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.plays import deploy, play
from tests.testinfra.refusals import small_disk

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

SERVER = "server-deb13"
PROGRAMS = "/opt/rustdesk-server"
STATE = "/var/lib/rustdesk-server"
UNITS = "/etc/systemd/system"
SNAPSHOT = (
    "find /etc /opt /usr/local /var/lib -xdev -path /var/lib/rustdesk-server -prune "
    "-o -printf '%p %m %u %g %l\\n' | sort"
)
VOLATILE = (
    "/etc/passwd",
    "/etc/group",
    "/etc/shadow",
    "/etc/gshadow",
    "/etc/subuid",
    "/etc/subgid",
    "/etc/.pwd.lock",
    "/var/lib/systemd",
)


def snapshot(host: Host) -> set[str]:
    """Every file that the role could have left, but for those that user management rewrites."""
    return {line for line in host.check_output(SNAPSHOT).splitlines() if not line.startswith(VOLATILE)}


def test_a_colleagues_drop_in_survives(on: Callable[[str], Host]) -> None:
    host = on(SERVER)
    drop_in = f"{UNITS}/rustdesk-hbbs.service.d/99-colleague.conf"
    host.check_output("printf '[Service]\\nNice=1\\n' >%s", drop_in)
    try:
        deploy(SERVER, rustdesk_server_state="absent")
        assert host.check_output("ls -A %s", f"{UNITS}/rustdesk-hbbs.service.d") == "99-colleague.conf"
        assert not host.file(f"{UNITS}/rustdesk-hbbr.service.d").exists
        assert not host.file(f"{UNITS}/rustdesk-hbbs.service").exists
        assert deploy(SERVER, rustdesk_server_state="absent").changed == 0
    finally:
        host.check_output("rm --force %s", drop_in)
        deploy(SERVER)


def test_removal_keeps_the_key_and_takes_the_rest(on: Callable[[str], Host]) -> None:
    host = on(SERVER)
    key = host.check_output("cat %s/id_ed25519.pub", STATE)
    deploy(SERVER, rustdesk_server_state="absent")
    try:
        assert host.run("systemctl cat rustdesk-hbbs.service rustdesk-hbbr.service").rc != 0
        assert host.run("pgrep -x 'hbbs|hbbr'").rc != 0
        assert not host.user("rustdesk-server").exists
        assert host.file(f"{STATE}/id_ed25519").user == "root", (
            "a kept key belongs to whoever gets the freed user number"
        )
        assert host.file(f"{STATE}/db_v2.sqlite3").exists
        assert deploy(SERVER, rustdesk_server_state="absent").changed == 0
        removed = snapshot(host)
        listed = {"rustdesk_server_blocked_addresses": ["192.0.2.77"]}
        for variables in ({}, listed):
            checked = play(SERVER, variables, "--check")
            assert checked.status == 0, checked.failure(SERVER)
        assert snapshot(host) == removed
    finally:
        deploy(SERVER)
    assert host.check_output("cat %s/id_ed25519.pub", STATE) == key
    assert host.file(f"{STATE}/db_v2.sqlite3").user == "rustdesk-server"

    deploy(SERVER, rustdesk_server_state="absent", rustdesk_server_purge=True)
    try:
        assert not host.file(STATE).exists
        assert snapshot(host) == removed
    finally:
        deploy(SERVER)
    assert host.check_output("cat %s/id_ed25519.pub", STATE) != key


@pytest.mark.parametrize(
    "lost",
    [
        pytest.param(
            f"rm {UNITS}/rustdesk-hbbs.service && systemctl daemon-reload", id="the unit file of one that runs"
        ),
        pytest.param(
            f"systemctl disable --quiet --now rustdesk-hbbs && rm {UNITS}/rustdesk-hbbs.service",
            id="all but the drop-in",
        ),
    ],
)
def test_what_was_removed_by_hand_does_not_stop_the_removal(on: Callable[[str], Host], lost: str) -> None:
    host = on(SERVER)
    host.check_output(lost)
    try:
        deploy(SERVER, rustdesk_server_state="absent")
        assert host.check_output(f"find {UNITS} -name 'rustdesk-hbb*'") == ""
        assert host.run("pgrep -x 'hbbs|hbbr'").rc != 0
        assert not host.user("rustdesk-server").exists
        assert deploy(SERVER, rustdesk_server_state="absent").changed == 0
    finally:
        deploy(SERVER)


def test_a_mount_point_is_emptied_and_stays(on: Callable[[str], Host]) -> None:
    host = on(SERVER)
    taken_back = {"rustdesk_server_state": "absent", "rustdesk_server_purge": True}
    deploy(SERVER, **taken_back)
    try:
        with small_disk(PROGRAMS, "150m")(host), small_disk(STATE, "20m")(host):
            try:
                deploy(SERVER)
                assert deploy(SERVER).changed == 0
            finally:
                deploy(SERVER, **taken_back)
            assert host.check_output("find %s %s -mindepth 1", PROGRAMS, STATE) == ""
            assert host.file(STATE).user == "root", "it belongs to whoever gets the freed user number"
            assert deploy(SERVER, **taken_back).changed == 0
    finally:
        deploy(SERVER)


def test_directories_above_the_state_are_roots(on: Callable[[str], Host]) -> None:
    """Else the service could put a link in the place of its directory, and root would give it what that leads to."""
    host = on(SERVER)
    elsewhere = {"rustdesk_server_state_dir": "/srv/rustdesk-test/deep/state/"}
    taken_back = {"rustdesk_server_state": "absent", "rustdesk_server_purge": True}
    deploy(SERVER, **taken_back)
    try:
        deploy(SERVER, **elsewhere)
        for above in ("/srv/rustdesk-test", "/srv/rustdesk-test/deep"):
            assert (host.file(above).user, host.file(above).mode) == ("root", 0o755)
        assert host.file("/srv/rustdesk-test/deep/state").user == "rustdesk-server"
        assert deploy(SERVER, **elsewhere).changed == 0
    finally:
        deploy(SERVER, **elsewhere, **taken_back)
        host.check_output("rm --recursive --force /srv/rustdesk-test")
        deploy(SERVER)
