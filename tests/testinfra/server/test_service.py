"""What a deployed server looks like from the inside."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from testinfra.host import Host

testinfra_hosts = ["ansible://rustdesk_servers", "ansible://rustdesk_relays"]

STATE = "/var/lib/rustdesk-server"
HIGHEST_EXPOSURE = 1.5
RETURN_SECONDS = 20


def daemons(host: Host) -> list[str]:
    names = ["hbbr"] if host.check_output("hostname").startswith("relay") else ["hbbs", "hbbr"]
    return [f"rustdesk-{name}.service" for name in names]


def pid(host: Host, unit: str) -> int:
    return int(host.check_output("systemctl show --property=MainPID --value %s", unit))


def test_runs_and_starts_at_boot(host: Host) -> None:
    for unit in daemons(host):
        assert host.service(unit).is_running
        assert host.service(unit).is_enabled


def test_a_relay_runs_no_rendezvous_server(host: Host) -> None:
    expected = [f"/etc/systemd/system/{unit}" for unit in sorted(daemons(host))]
    assert host.check_output("ls /etc/systemd/system/rustdesk-*.service").split() == expected


def test_exposure_is_low(host: Host) -> None:
    for unit in daemons(host):
        overall = host.check_output("systemd-analyze security --no-pager %s | tail -n 1", unit)
        match = re.search(r"([\d.]+) ", overall.split(":", 1)[1])
        assert match
        assert float(match[1]) <= HIGHEST_EXPOSURE, overall


def test_confinement_is_in_force(host: Host) -> None:
    """What a unit asks for is worth nothing where the kernel ignores it: look at the process itself."""
    for unit in daemons(host):
        number = pid(host, unit)
        status = dict(
            line.split(":", 1) for line in host.check_output(f"cat /proc/{number}/status").splitlines() if ":" in line
        )
        assert status["NoNewPrivs"].strip() == "1"
        assert status["Seccomp"].strip() == "2"
        assert status["CapEff"].strip() == status["CapBnd"].strip() == "0" * 16
        assert "0" not in status["Uid"].split()
        mounts = host.check_output(f"cat /proc/{number}/mountinfo")
        assert re.search(r" / / ro[, ]", mounts), "the root file system is writable"
        assert re.search(rf" {STATE} rw[, ]", mounts), "the state directory is not writable"


def test_key_belongs_to_the_service_alone(host: Host) -> None:
    if host.check_output("hostname").startswith("relay"):
        assert not host.file(f"{STATE}/id_ed25519").exists
        return
    key = host.file(f"{STATE}/id_ed25519")
    assert (key.user, key.group, key.mode) == ("rustdesk-server", "rustdesk-server", 0o600)
    assert host.file(STATE).mode == 0o700


def test_secret_is_in_no_command_line_environment_or_journal(host: Host) -> None:
    if host.check_output("hostname").startswith("relay"):
        pytest.fail("a relay has no secret") if host.file(f"{STATE}/id_ed25519").exists else None
        return
    secret = host.check_output("cat %s/id_ed25519", STATE)
    assert len(secret) == 88
    for place in (
        "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ",
        "journalctl --no-pager",
        "cat /etc/systemd/system/rustdesk-*",
    ):
        assert secret not in host.run(f"{place} 2>/dev/null | tr '\\0' '\\n'").stdout


def test_ports_are_the_expected_ones_only(host: Host) -> None:
    listening = host.check_output("ss --no-header --listening --tcp --udp --numeric --processes")
    ports = {
        (line.split()[0], int(line.split()[4].rsplit(":", 1)[1]))
        for line in listening.splitlines()
        if '"hbb' in line and not re.search(r":(3276[89]|327[7-9]\d|32[89]\d\d|3[3-9]\d{3}|[4-6]\d{4})\s", line)
    }
    relay = {("tcp", 21117), ("tcp", 21119)}
    rendezvous = {("tcp", 21115), ("tcp", 21116), ("udp", 21116), ("tcp", 21118)}
    assert ports == (relay if len(daemons(host)) == 1 else relay | rendezvous)


def test_comes_back_after_its_end(host: Host) -> None:
    before = {unit: pid(host, unit) for unit in daemons(host)}
    host.check_output(f"systemctl kill --signal=KILL {' '.join(before)}")
    deadline = time.monotonic() + RETURN_SECONDS
    while any(pid(host, unit) in (0, number) for unit, number in before.items()):
        assert time.monotonic() < deadline, host.check_output("systemctl status --no-pager rustdesk-hbb* || :")
        time.sleep(0.2)
