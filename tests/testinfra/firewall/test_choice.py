"""Which firewall is written to: the one that is active, or the one that is named; never two, and none unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.firewall.firewall_lab import BACKENDS, FILES, PLAIN, RULES, firewall, refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

SITE = (
    "table inet aside { chain output { type filter hook output priority 10; policy accept; tcp dport 9 drop; drop; }; }"
)
"""Denies all that is left, in another table than the firewall's."""


def said(host: str, **variables: object) -> str:
    done = firewall(host, {f"rustdesk_firewall_{name}": value for name, value in variables.items()})
    assert done.changed == 0
    results = {task.rpartition(" : ")[2]: result for task, result in done.results(host)}
    assert results["Return what is open"]["ansible_facts"]["rustdesk_firewall_facts"]["backend"] == ""
    return str(results["preflight | Say why nothing is done"]["msg"])


@pytest.mark.parametrize(
    ("variables", "says"),
    [({}, "No firewall that the role knows is active"), ({"backend": "nftables"}, "nftables is not active")],
)
def test_none_active_is_told_and_nothing_is_switched_on(
    on: Callable[[str], Host], variables: dict[str, object], says: str
) -> None:
    host = on(PLAIN)
    before = host.check_output(f"{FILES}; nft list ruleset")
    message = said(PLAIN, **variables)
    assert says in message
    assert "rustdesk_firewall_activate" in message
    assert host.check_output(f"{FILES}; nft list ruleset") == before


def test_one_that_is_asked_for_is_switched_on_and_off_again(on: Callable[[str], Host]) -> None:
    host = on(PLAIN)
    before = host.check_output(f"{FILES}; nft list ruleset")
    asked = {"rustdesk_firewall_backend": "nftables", "rustdesk_firewall_activate": True}
    assert firewall(PLAIN, asked).changed
    assert "rustdesk_firewall_out" in host.check_output("nft list tables")
    assert firewall(PLAIN, asked).changed == 0
    assert firewall(PLAIN).changed == 0, "what the role has switched on counts as active"
    firewall(PLAIN, {"rustdesk_firewall_state": "absent"})
    assert host.check_output(f"{FILES}; nft list ruleset") == before


def test_one_that_is_named_and_off_is_left_off(on: Callable[[str], Host]) -> None:
    host = on(BACKENDS["ufw"])
    host.check_output("ufw --force disable")
    try:
        before = host.check_output(RULES["ufw"])
        assert "ufw is not active" in said(
            BACKENDS["ufw"], backend="ufw", ports=[{"protocol": "tcp", "port": 9, "purpose": "x"}]
        )
        assert host.check_output(RULES["ufw"]) == before
        assert "Status: inactive" in host.check_output("ufw status")
    finally:
        host.check_output("ufw --force enable")


@pytest.mark.parametrize("backend", ["ufw", "firewalld"])
def test_two_active_ones_are_an_error_that_says_so(on: Callable[[str], Host], backend: str) -> None:
    name = BACKENDS[backend]
    host = on(name)
    host.check_output("echo %s | nft -f -", SITE)
    try:
        before = host.check_output(RULES[backend])
        message = refused(name, {})
        assert f"rustdesk_firewall_backend: {backend} and nftables are active" in message
        assert host.check_output(RULES[backend]) == before
        assert firewall(name, {"rustdesk_firewall_backend": backend}).changed == 0
    finally:
        host.check_output("nft delete table inet aside")


def test_a_rule_of_the_site_that_says_the_same_stays_the_site_s(on: Callable[[str], Host]) -> None:
    host = on(BACKENDS["ufw"])
    absent = {"rustdesk_firewall_state": "absent"}
    firewall(BACKENDS["ufw"], absent)
    host.check_output("ufw allow out proto udp to any port 21116 comment 'of the site'")
    try:
        firewall(BACKENDS["ufw"])
        assert firewall(BACKENDS["ufw"]).changed == 0
        firewall(BACKENDS["ufw"], absent)
        assert "of the site" in host.check_output("ufw status | grep 21116/udp")
    finally:
        host.check_output("ufw delete allow out proto udp to any port 21116")
        firewall(BACKENDS["ufw"])
