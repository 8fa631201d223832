"""The lab's machines behave like machines: what every other scenario takes for granted."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from testinfra.host import Host

GROUPS = ("lab_clients", "lab_outside", "rustdesk_endpoints_linux", "rustdesk_relays", "rustdesk_servers")
testinfra_hosts = [f"ansible://{group}" for group in GROUPS]

TRANSIENT = "systemd-run --quiet --wait --pipe --collect"


def test_boots_without_a_failed_unit(host: Host) -> None:
    assert host.check_output("systemctl is-system-running --wait") == "running"


def test_answers_to_its_name_on_the_network(host: Host) -> None:
    name = host.check_output("hostname")
    resolved = {line.split()[0] for line in host.check_output("getent ahostsv4 %s.lab.test", name).splitlines()}
    assert resolved == set(host.check_output("hostname -I").split())


def test_hardening_takes_effect(host: Host) -> None:
    """In a container without the right capabilities these settings are ignored, and a test of a unit proves nothing."""
    settings = "-p ProtectSystem=strict -p PrivateUsers=yes -p ProtectProc=invisible -p SetCredential=token:secret"
    probe = "touch /etc/probe 2>/dev/null && echo writable; cat $CREDENTIALS_DIRECTORY/token"
    assert host.check_output(f"{TRANSIENT} {settings} sh -c %s", probe) == "secret"


def test_a_unit_can_be_cut_off_from_the_network(host: Host) -> None:
    """Address filters per unit need a unified cgroup tree, which the host of the containers may not have."""
    fetch = "curl -s -m 5 -o /dev/null http://mirror.lab.test/"
    assert host.run(f"{TRANSIENT} {fetch}").rc == 0
    assert host.run(f"{TRANSIENT} -p IPAddressDeny=any {fetch}").rc != 0


def test_only_its_own_sysctls_can_be_set(host: Host) -> None:
    rewrite = "cat /proc/sys/{0} >/tmp/value && cat /tmp/value >/proc/sys/{0}"
    assert host.run(rewrite.format("net/ipv4/ip_local_port_range")).rc == 0
    assert host.run(rewrite.format("kernel/panic")).rc != 0


def test_system_files_can_be_replaced(host: Host) -> None:
    assert host.run("cp /etc/hosts /etc/hosts.new && mv /etc/hosts.new /etc/hosts").rc == 0


def test_packages_can_be_installed_without_a_refresh(host: Host) -> None:
    assert host.run("apt-get install --simulate tree").rc == 0
