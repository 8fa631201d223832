"""Rules that are there stay untouched by another run, and that run is cheap; they outlive a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from tests.testinfra.firewall.firewall_lab import BACKENDS, ENDPOINTS, FILES, PLAIN, RULES, firewall, probe, reboot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testinfra.host import Host

MOST_EXECUTIONS = 1
"""The role looks at the host once, and is told that there is nothing to do."""


def test_steady_run_changes_nothing_and_is_cheap(tmp_path: Path) -> None:
    counts = tmp_path / "executions.json"
    counting = {"COUNT_EXECUTIONS_FILE": str(counts), "ANSIBLE_CALLBACKS_ENABLED": "count_executions"}
    done = firewall(f"{ENDPOINTS},{PLAIN}", extra_environment=counting)
    assert done.changed == 0, [done.changes(host) for host in BACKENDS.values()]
    executions = json.loads(counts.read_text())
    for host in (*BACKENDS.values(), PLAIN):
        assert 0 < executions[host]["remote"] <= MOST_EXECUTIONS, executions[host]


def test_check_mode_finds_nothing_to_do() -> None:
    assert firewall(f"{ENDPOINTS},{PLAIN}", {}, "--check", "--diff").changed == 0


def test_check_mode_tells_what_would_change_and_changes_nothing(on: Callable[[str], Host]) -> None:
    firewall(ENDPOINTS, {"rustdesk_firewall_state": "absent"})
    try:
        before = {name: on(name).check_output(f"{RULES[backend]}; {FILES}") for backend, name in BACKENDS.items()}
        done = firewall(ENDPOINTS, {}, "--check", "--diff")
        for backend, name in BACKENDS.items():
            assert done.changes(name), name
            assert on(name).check_output(f"{RULES[backend]}; {FILES}") == before[name]
    finally:
        firewall(ENDPOINTS)


@pytest.mark.parametrize(("backend", "name"), BACKENDS.items())
def test_rules_outlive_a_restart_of_the_machine(
    on: Callable[[str], Host], server_key: str, backend: str, name: str
) -> None:
    reboot(name)
    report = probe(name, server_key)[name]
    assert report["passed"], report["msg"]
    assert firewall(name).changed == 0, on(name).check_output(RULES[backend])


@pytest.mark.parametrize("act", ["reload", "restart"])
def test_rules_outlive_new_rules_of_the_site(on: Callable[[str], Host], server_key: str, act: str) -> None:
    """nftables.service replaces the site's chains, and with the old ones goes what the role had written into them."""
    name = BACKENDS["nftables"]
    host = on(name)
    try:
        host.check_output("systemctl %s nftables.service", act)
        host.check_output("timeout 60 sh -c 'until nft list table inet site | grep -q rustdesk; do sleep 0.2; done'")
        # A restart flushes every rule, and with them how a container looks up names.
        target = host.check_output("getent ahostsv4 server-deb12.lab.test") if act == "reload" else ""
        if target:
            assert probe(name, server_key)[name]["passed"]
        assert firewall(name).changed == 0
    finally:
        if act == "restart":
            reboot(name)


def test_rules_are_mended(on: Callable[[str], Host]) -> None:
    """Whatever part of its rules somebody removes, the next run puts it back."""
    nftables = on(BACKENDS["nftables"])
    for damage in (
        "nft flush chain inet rustdesk_firewall_out output",
        "nft -f /etc/nftables.conf",
        "nft delete table inet rustdesk_firewall_out",
        "rm /etc/rustdesk-firewall-out.pass",
        "systemctl disable --quiet rustdesk-firewall.service",
    ):
        nftables.check_output(damage)
        assert firewall(BACKENDS["nftables"]).changed, damage
        assert firewall(BACKENDS["nftables"]).changed == 0, damage
    on(BACKENDS["ufw"]).check_output("ufw delete allow out proto udp to any port 21116")
    on(BACKENDS["firewalld"]).check_output("firewall-cmd --policy rustdesk-out --remove-service rustdesk-out")
    names = f"{BACKENDS['ufw']},{BACKENDS['firewalld']}"
    done = firewall(names)
    assert [name for name in names.split(",") if not done.changes(name)] == []
    assert firewall(names).changed == 0
