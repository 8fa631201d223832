"""`absent` takes back what the role did, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testinfra.plays import deploy, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

SERVER = "server-deb13"
STATE = "/var/lib/rustdesk-server"
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
