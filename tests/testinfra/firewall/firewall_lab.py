"""What the suites of the firewall role know of the lab's machines."""

from __future__ import annotations

import json
import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tests.testinfra.plays import Play, lab_name, play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from testinfra.host import Host

SERVER = "server-deb12"
CLIENT = "client-deb12"
PLAIN = "endpoint-plain"
BACKENDS = {"ufw": "endpoint-ufw", "firewalld": "endpoint-firewalld", "nftables": "endpoint-nftables"}
ENDPOINTS = ",".join(BACKENDS.values())

PORTS = [
    {"protocol": "tcp", "port": 21115, "purpose": "NAT type test"},
    {"protocol": "tcp", "port": 21116, "purpose": "Connection requests"},
    {"protocol": "udp", "port": 21116, "purpose": "Registration"},
    {"protocol": "tcp", "port": 21117, "purpose": "Relay"},
]

RULES = {
    # Counters are no rules: [0:0] and timestamps go.
    "ufw": "cat /etc/ufw/user.rules /etc/ufw/user6.rules; "
    "for v in iptables ip6tables; do $v-save | grep -v '^#' | sed 's/\\[.*\\]//'; done",
    "firewalld": "nft --stateless list ruleset; firewall-cmd --list-all-zones; firewall-cmd --list-all-policies; "
    "firewall-cmd --permanent --list-all-zones; firewall-cmd --permanent --list-all-policies",
    "nftables": "nft --stateless list ruleset",
}
"""What shows every rule of a host."""

FILES = (
    "find /etc /usr/local -xdev -type f -exec sha256sum {} + | sort; "
    "find /etc /usr/local -xdev -printf '%p %m %u %g %l\\n' | sort"
)
"""Every file the role could write."""


def firewall(hosts: str, variables: dict[str, Any] | None = None, *options: str, **settings: Any) -> Play:
    """Run the role on hosts and expect it to succeed."""
    done = play(hosts, variables or {}, *options, playbook="firewall.yml", **settings)
    assert done.status == 0, done.output
    return done


def refused(host: str, variables: dict[str, Any], *options: str) -> str:
    """Run the role on a host, expect it to fail, and return what it said."""
    done = play(host, variables, *options, playbook="firewall.yml")
    assert done.status != 0, "it was accepted"
    assert "Traceback" not in done.output
    return done.failure(host)


def probe(hosts: str, key: str, server: str = f"{SERVER}.lab.test") -> dict[str, dict[str, Any]]:
    """Prove the service from hosts, and return the report of each."""
    given = {"lab_probe_host": server, "lab_probe_key": key}
    done = play(hosts, given, playbook="../tests/testinfra/firewall/probe.yml")
    assert done.status == 0, done.output
    return {name: dict(done.results(name))["Run the proofs"] for name in done.result["stats"]}


def failed_proofs(report: dict[str, Any]) -> set[str]:
    """The names of the proofs that failed."""
    return {proof["name"] for proof in report["proofs"] if proof["state"] == "failed"}


def container(name: str) -> str:
    """Name of a machine's container."""
    return f"rustdesk-{lab_name()}-{name}"


def address(name: str) -> str:
    """Address of a machine on the lab's network."""
    shown = subprocess.run(
        ["docker", "inspect", "--format", "{{json .NetworkSettings.Networks}}", container(name)],
        capture_output=True,
        text=True,
        check=True,
    )
    (network,) = json.loads(shown.stdout).values()
    return str(network["IPAddress"])


def reboot(name: str) -> None:
    """Restart a machine and wait until its services are up."""
    subprocess.run(["docker", "restart", container(name)], capture_output=True, check=True)
    for _ in range(100):
        command = ["docker", "exec", container(name), "systemctl", "is-system-running", "--wait"]
        state = subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
        if state in ("running", "degraded"):
            assert state == "running", state
            return
        time.sleep(0.2)
    raise AssertionError(f"{name} did not boot")


def reaches(host: Host, target: str, port: int) -> bool:
    """Whether a TCP connection comes about."""
    return bool(host.run(f"nc -z -w 2 {target} {port}").rc == 0)


@contextmanager
def listening(host: Host, *ports: int) -> Iterator[None]:
    """Something on a machine that accepts TCP connections."""
    for port in ports:
        host.check_output(f"systemd-run --quiet --unit=listen-{port} nc -l -k 0.0.0.0 {port}")
    try:
        for port in ports:
            wait = f"for i in $(seq 600); do ss -Hltn 'sport = {port}' | grep -q . && exit 0; sleep 0.1; done; exit 1"
            host.check_output(wait)
        yield
    finally:
        for port in ports:
            host.run(f"systemctl stop listen-{port}")


def is_within(few: str, many: str) -> bool:
    """Whether every word of a text is in another one, in the same order; firewalld lists services side by side."""
    words = iter(many.split())
    return all(word in words for word in few.split())
