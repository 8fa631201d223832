"""A change that fails is taken back at once, and one that cuts the host off undoes itself."""

from __future__ import annotations

import subprocess
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.firewall.firewall_lab import BACKENDS, FILES, PORTS, RULES, address, firewall, refused
from tests.testinfra.plays import Play, play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from testinfra.host import Host

FEWER = {"rustdesk_firewall_ports": PORTS[:2]}
WAITING = "systemctl is-active --quiet rustdesk-firewall-undo.timer"

FAILING = {
    # The rule that is asked for is written; the one after it cannot be.
    "ufw": ("ufw", "*udp*"),
    # The files are written; the runtime does not take them.
    "firewalld": ("firewall-cmd", "--reload"),
    # The files are written and sound; the kernel refuses the transaction.
    "nftables": ("nft", '"--file -"'),
}
"""The program that fails once, and the arguments it does so with."""


@contextmanager
def failing(host: Host, program: str, arguments: str) -> Iterator[None]:
    """Put something in front of a program that fails the first time it is asked for this."""
    real = host.check_output("command -v %s", program)
    # The unit of the role may write nowhere else.
    mark = "/run/rustdesk-firewall/planted"
    script = f"""#!/bin/sh
case "$*" in
    {arguments}) [ -e {mark} ] || {{ : >{mark}; echo planted >&2; exit 1; }} ;;
esac
exec {real} "$@"
"""
    host.check_output(f"mkdir -p /run/rustdesk-firewall && printf %s %s >/usr/local/sbin/{program}", "%s", script)
    host.check_output(f"chmod 755 /usr/local/sbin/{program}")
    try:
        yield
        assert host.file(mark).exists, "it was not asked for this, so nothing failed"
    finally:
        host.check_output(f"rm -f /usr/local/sbin/{program} {mark}")


@contextmanager
def slow(host: Host, program: str, arguments: str, seconds: int) -> Iterator[None]:
    """Put something in front of a program that takes its time when it is asked for this."""
    real = host.check_output("command -v %s", program)
    script = f"""#!/bin/sh
case "$*" in
    {arguments}) sleep {seconds} ;;
esac
exec {real} "$@"
"""
    host.check_output(f"printf %s %s >/usr/local/sbin/{program} && chmod 755 /usr/local/sbin/{program}", "%s", script)
    try:
        yield
    finally:
        host.check_output(f"rm -f /usr/local/sbin/{program}")


@pytest.mark.parametrize(("backend", "name"), BACKENDS.items())
def test_a_failed_change_is_taken_back(on: Callable[[str], Host], backend: str, name: str) -> None:
    host = on(name)
    look = f"{RULES[backend]}; find /etc -xdev -type f -exec sha256sum {{}} + | sort"
    before = host.check_output(look)
    with failing(host, *FAILING[backend]):
        message = refused(name, FEWER)
    assert "is as it was" in message
    assert host.check_output(look) == before
    assert host.run(WAITING).rc != 0
    assert not host.file("/run/rustdesk-firewall-undo").exists
    assert firewall(name).changed == 0


def test_rules_that_nft_does_not_know_are_never_written(on: Callable[[str], Host]) -> None:
    name = BACKENDS["nftables"]
    host = on(name)
    before = host.check_output(f"{RULES['nftables']}; {FILES}")
    texts = {
        "/etc/rustdesk-firewall-out.nft": "table inet rustdesk_firewall_out { chain output { tcp dport x accept } }",
        "/etc/rustdesk-firewall-out.pass": "",
        "/usr/local/lib/rustdesk-firewall.py": host.file("/usr/local/lib/rustdesk-firewall.py").content_string,
        "/etc/systemd/system/rustdesk-firewall.service": host.file(
            "/etc/systemd/system/rustdesk-firewall.service"
        ).content_string,
    }
    message = refused(name, {"__rustdesk_firewall_texts": texts})
    assert "failed to validate" in message
    assert host.check_output(f"{RULES['nftables']}; {FILES}") == before


# --- Over SSH ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ssh") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture
def over_ssh(on: Callable[[str], Host], key: Path) -> Iterator[Callable[..., Play]]:
    """Run the role on a machine over SSH, as everywhere but in the lab."""
    public = key.with_suffix(".pub").read_text().strip()
    used: list[Host] = []

    def run(name: str, variables: dict[str, Any], port: int = 22) -> Play:
        host = on(name)
        host.check_output("mkdir -p -m 700 /root/.ssh && echo %s >/root/.ssh/authorized_keys", public)
        host.check_output("printf 'Port %s\\n' >/etc/ssh/sshd_config.d/lab.conf", str(port))
        host.check_output("ssh-keygen -A && mkdir -p /run/sshd && systemctl restart ssh.service")
        used.append(host)
        connection = {
            "ansible_connection": "ssh",
            "ansible_host": address(name),
            "ansible_port": port,
            "ansible_user": "root",
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR",
            "ansible_ssh_timeout": 4,
        }
        return play(name, connection | variables, playbook="firewall.yml")

    yield run
    for host in used:
        host.run("systemctl stop ssh.service; rm -rf /root/.ssh /etc/ssh/sshd_config.d/lab.conf")


def settled(host: Host, look: str, before: str, seconds: float) -> str:
    """What a look shows as soon as it is what it was, or when the time is up."""
    until = time.monotonic() + seconds
    while (seen := str(host.check_output(look))) != before and time.monotonic() < until:
        time.sleep(1)
    return seen


@contextmanager
def let_in(host: Host, backend: str) -> Iterator[None]:
    """Let SSH in where the firewall denies what arrives, by another rule than the role would write."""
    if backend == "ufw":
        host.check_output("ufw allow 22")
    try:
        yield
    finally:
        if backend == "ufw":
            host.check_output("ufw delete allow 22")


@pytest.mark.parametrize(("backend", "name"), BACKENDS.items())
def test_a_change_that_cuts_the_host_off_undoes_itself(
    on: Callable[[str], Host], over_ssh: Callable[..., Play], backend: str, name: str
) -> None:
    """The table closes the port of SSH, which preflight would refuse: nobody comes back to confirm."""
    host = on(name)
    look = f"{RULES[backend]}; find /etc -xdev -type f -not -path '/etc/ssh/*' -exec sha256sum {{}} + | sort"
    closing = {
        "rustdesk_firewall_direction": "in",
        "rustdesk_firewall_undo_after": 20,
        "__rustdesk_firewall_closed": [22],
    }
    with let_in(host, backend):
        done = over_ssh(name, {})
        assert (done.status, done.changed) == (0, 0), done.output
        before = host.check_output(look)
        done = over_ssh(name, closing)
        assert done.status != 0, "the host was cut off and said nothing"
        # Either the connection is given up, or it comes to life again once the timer has undone the change.
        assert done.result["stats"][name]["unreachable"] or "was undone" in done.failure(name), done.output
        assert settled(host, look, before, 60) == before
        done = over_ssh(name, {})
        assert (done.status, done.changed) == (0, 0), done.output


def test_the_port_the_run_came_over_is_never_closed(on: Callable[[str], Host], over_ssh: Callable[..., Play]) -> None:
    name = BACKENDS["nftables"]
    before = on(name).check_output(RULES["nftables"])
    done = over_ssh(name, {"rustdesk_firewall_direction": "in"}, port=21118)
    assert done.status != 0
    assert "rustdesk_firewall_websocket_ports: this run came over port 21118" in done.failure(name)
    assert on(name).check_output(RULES["nftables"]) == before


@pytest.mark.parametrize("port", [22, 2222])
def test_ufw_is_switched_on_behind_an_open_door(
    on: Callable[[str], Host], over_ssh: Callable[..., Play], port: int
) -> None:
    name = BACKENDS["ufw"]
    host = on(name)
    firewall(name, {"rustdesk_firewall_state": "absent"})
    host.check_output("ufw --force disable")
    rules = RULES["ufw"]
    try:
        off = host.check_output(rules)
        asked = {"rustdesk_firewall_backend": "ufw", "rustdesk_firewall_activate": True}
        done = over_ssh(name, asked, port)
        assert done.status == 0, done.output
        assert "Status: active" in host.check_output("ufw status")
        assert f"{port}/tcp" in host.check_output("ufw status | grep 'rustdesk_firewall keep'")
        assert over_ssh(name, asked, port).changed == 0
        done = over_ssh(name, asked | {"rustdesk_firewall_state": "absent"}, port)
        assert done.status == 0, done.output
        assert "Status: inactive" in host.check_output("ufw status"), "the role has switched it on, and not off again"
        assert host.check_output(rules) == off
    finally:
        host.check_output("ufw --force enable")
        firewall(name)


def test_a_change_that_is_undone_half_way_does_not_go_on(
    on: Callable[[str], Host], over_ssh: Callable[..., Play]
) -> None:
    """The timer takes back the rule that lets the run in, before ufw is switched on: so it must not be."""
    name = BACKENDS["ufw"]
    host = on(name)
    firewall(name, {"rustdesk_firewall_state": "absent"})
    host.check_output("ufw --force disable")
    files = "cat /etc/ufw/user.rules /etc/ufw/user6.rules /etc/ufw/ufw.conf"
    try:
        asked = {
            "rustdesk_firewall_backend": "ufw",
            "rustdesk_firewall_activate": True,
            "rustdesk_firewall_undo_after": 10,
        }
        off = host.check_output(files)
        # Three rules: the timer runs off while the second is written.
        with slow(host, "ufw", "*allow*", 6):
            done = over_ssh(name, asked)
        assert done.status != 0, done.output
        assert not done.result["stats"][name]["unreachable"], done.output
        assert "is as it was" in done.failure(name)
        assert "was undone" in done.failure(name)
        assert "Status: inactive" in host.check_output("ufw status")
        assert host.check_output(files) == off
        assert not host.file("/run/rustdesk-firewall-undo").exists
        assert host.run(WAITING).rc != 0
    finally:
        host.check_output("ufw --force enable")
        firewall(name)


def test_an_active_ufw_is_opened_to_nobody_else(on: Callable[[str], Host], over_ssh: Callable[..., Play]) -> None:
    name = BACKENDS["ufw"]
    host = on(name)
    asked = {"rustdesk_firewall_backend": "ufw", "rustdesk_firewall_activate": True}
    with let_in(host, "ufw"):
        before = host.check_output(RULES["ufw"])
        done = over_ssh(name, asked)
        assert (done.status, done.changed) == (0, 0), done.output
        assert host.check_output(RULES["ufw"]) == before


def test_firewalld_is_not_switched_on_before_a_closed_door(
    on: Callable[[str], Host], over_ssh: Callable[..., Play]
) -> None:
    name = BACKENDS["firewalld"]
    host = on(name)
    asked = {"rustdesk_firewall_backend": "firewalld", "rustdesk_firewall_activate": True}
    host.check_output("systemctl disable --now --quiet firewalld.service")
    try:
        done = over_ssh(name, asked, port=2222)
        assert "rustdesk_firewall_activate: this run came over port 2222" in done.failure(name)
        assert not host.service("firewalld").is_running
        done = over_ssh(name, asked)
        assert done.status == 0, done.output
        assert host.service("firewalld").is_running
        done = over_ssh(name, asked | {"rustdesk_firewall_state": "absent"})
        assert done.status == 0, done.output
        assert not host.service("firewalld").is_running
        assert not host.service("firewalld").is_enabled
    finally:
        host.check_output("systemctl enable --now --quiet firewalld.service")
        firewall(name)
