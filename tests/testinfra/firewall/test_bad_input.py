"""Bad input is refused with the variable's name and the way out, and the host stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.firewall.firewall_lab import BACKENDS, FILES, PORTS, RULES, firewall, refused
from tests.testinfra.refusals import ACCEPTED, Case, Place, told

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from testinfra.host import Host

PREFIX = "rustdesk_firewall_"


def ports(**change: Any) -> dict[str, Any]:
    """The port list with an entry that differs."""
    return {"ports": [*PORTS[1:], {**PORTS[0], **change}]}


CASES = {
    "unknown state": Case(("state", "present, absent"), {"state": "deployed"}),
    "unknown direction": Case(("direction", "out, in"), {"direction": "both"}),
    "unknown backend": Case(("backend", "nftables"), {"backend": "pf"}),
    "backend of Windows": Case(("backend", "PowerShell"), {"backend": "windows"}),
    "backend that is not installed": Case(("backend", "ufw is not installed"), {"backend": "ufw"}),
    "misspelt variable": Case(("prots", "rustdesk_firewall_ports"), {"prots": PORTS}),
    "no ports": Case(("ports", "rustdesk_ports"), {"ports": []}),
    "ports as text": Case(("ports", "a list"), {"ports": "21115,21116"}),
    "ports without protocol": Case(("ports", "entry 1", "a mapping"), {"ports": [21115, 21116]}),
    "unknown protocol": Case(("ports", "entry 4", "sctp", "tcp or udp"), ports(protocol="sctp")),
    "both protocols at once": Case(("ports", "entry 4", "an entry for each"), ports(protocol="tcp/udp")),
    "port too high": Case(("ports", "entry 4", "65535"), ports(port=70000)),
    "range of ports": Case(("ports", "entry 4", "one number"), ports(port="21115-21119")),
    "purpose that ends a rule": Case(("ports", "entry 4", "plain text"), ports(purpose='x" drop')),
    "purpose with a line break": Case(("ports", "entry 4", "plain text"), ports(purpose="x\naccept")),
    "unknown part of an entry": Case(("ports", "entry 4", "comment"), ports(comment="x")),
    "port twice": Case(("ports", "21116/tcp", "2 times"), ports(port=21116)),
    "port that stays closed": Case(("ports", "21118/tcp", "websocket_ports"), ports(port=21118)),
    "too many ports": Case(
        ("ports", "15"),
        {"ports": [{"protocol": "tcp", "port": 1000 + number, "purpose": "x"} for number in range(16)]},
    ),
    "name as address": Case(("remote_addresses", "follows no name"), {"remote_addresses": ["rustdesk.example.org"]}),
    "address within a network": Case(("remote_addresses", "192.0.2.0/24"), {"remote_addresses": ["192.0.2.7/24"]}),
    "every address": Case(("remote_addresses", "leave the list empty"), {"remote_addresses": ["0.0.0.0/0"]}),
    "address in a rule's clothes": Case(("remote_addresses",), {"remote_addresses": ["192.0.2.1 } accept #"]}),
    "overlapping networks": Case(
        ("remote_addresses", "192.0.2.0/24"), {"remote_addresses": ["192.0.2.0/24", "192.0.2.128/25"]}
    ),
    "loopback": Case(("remote_addresses", "the host itself"), {"remote_addresses": ["127.0.0.1"]}),
    "zone without firewalld": Case(("zone", "only firewalld"), {"zone": "public", "backend": "nftables"}),
    "activation of nothing in particular": Case(("activate", "backend"), {"activate": True}),
    "rate as text": Case(("udp_rate", "a whole number"), {"udp_rate": "100/s", "direction": "in"}),
    "rate too low": Case(("udp_rate", "10 to 1000000"), {"udp_rate": 1, "direction": "in"}),
    "no burst": Case(("udp_burst",), {"udp_burst": 0, "direction": "in"}),
    "time too short": Case(("undo_after", "10 to 600"), {"undo_after": 1}),
    "services on one port": Case(("id_port", "relay_port"), {"id_port": 21116, "relay_port": 21116}),
    "everything at once": Case(
        ("4 faults", "rustdesk_firewall_ports", "rustdesk_firewall_remote_addresses", "rustdesk_firewall_undo_after"),
        {**ports(port=0), "remote_addresses": ["nowhere", "::1"], "undo_after": 5},
    ),
}

FIREWALLD_CASES = {
    "zone that is no name": Case(("zone", "--get-zones"), {"zone": "pub lic"}),
    "zone that is not there": Case(("zone", "no zone office", "public"), {"zone": "office"}),
}
"""What only a host with firewalld can be asked for."""

TRIED = [("nftables", CASES), ("firewalld", FIREWALLD_CASES)]


@pytest.mark.parametrize(("backend", "cases"), TRIED, ids=[backend for backend, _ in TRIED])
def test_every_fault_is_refused_by_its_name_with_the_way_out(
    on: Callable[[str], Host], tmp_path: Path, backend: str, cases: dict[str, Case]
) -> None:
    name = BACKENDS[backend]
    place = Place(on(name), name, f"{RULES[backend]}; {FILES}")
    messages = told(place, "rustdesk_firewall", cases, tmp_path)
    for fault, case in cases.items():
        message = messages[fault]
        assert message != ACCEPTED, fault
        assert case.unsaid(message) == [], f"{fault}: {message}"
        named = PREFIX + case.says[0] if not case.says[0][0].isdigit() else case.says[1]
        assert named in message, f"{fault}: {message}"


def test_enough_faults_are_tried() -> None:
    assert len(CASES) + len(FIREWALLD_CASES) >= 20


@pytest.mark.parametrize(
    "variables",
    [
        {"rustdesk_firewall_ports": PORTS[:3]},
        {"rustdesk_firewall_state": "absent", "rustdesk_firewall_backend": "nftables"},
    ],
    ids=["new rule", "another backend is named"],
)
def test_a_firewalld_that_would_forget_is_refused(on: Callable[[str], Host], variables: dict[str, Any]) -> None:
    """What somebody has opened only for now, in the runtime, would be lost by the reload that a change needs."""
    host = on(BACKENDS["firewalld"])
    host.check_output("firewall-cmd --zone public --add-port 9999/tcp")
    try:
        before = host.check_output(RULES["firewalld"])
        message = refused(BACKENDS["firewalld"], variables)
        assert "rustdesk_firewall_backend" in message
        assert "zone public: ports" in message
        assert "--runtime-to-permanent" in message
        assert host.check_output(RULES["firewalld"]) == before
    finally:
        host.check_output("firewall-cmd --zone public --remove-port 9999/tcp")


def test_chains_of_iptables_are_left_to_iptables(on: Callable[[str], Host]) -> None:
    host = on(BACKENDS["nftables"])
    host.check_output("iptables -P FORWARD ACCEPT; iptables -A OUTPUT -o lo -j ACCEPT; iptables -P OUTPUT DROP")
    try:
        message = refused(BACKENDS["nftables"], {})
        assert "rustdesk_firewall_backend" in message
        assert "ip filter OUTPUT" in message
    finally:
        host.check_output("iptables -P OUTPUT ACCEPT; iptables -F OUTPUT; nft delete table ip filter")


@pytest.mark.parametrize(
    ("rule", "absent_before"),
    [
        # As it says the same but for its action, ufw would let the role's rule take its place.
        ("deny out proto udp from any to any port 21116", True),
        ("reject out proto tcp from any to any port 21000:22000", False),
    ],
)
def test_a_rule_of_ufw_that_denies_before_the_role_s_is_named(
    on: Callable[[str], Host], rule: str, absent_before: bool
) -> None:
    name = BACKENDS["ufw"]
    host = on(name)
    if absent_before:
        firewall(name, {"rustdesk_firewall_state": "absent"})
    host.check_output(f"ufw insert 1 {rule}")
    try:
        before = host.check_output(f"{RULES['ufw']}; {FILES}")
        message = refused(name, {})
        assert "rustdesk_firewall_ports (from rustdesk_ports)" in message
        assert f"the rule '{rule}' of ufw" in message
        assert host.check_output(f"{RULES['ufw']}; {FILES}") == before
    finally:
        host.check_output(f"ufw delete {rule}")
        firewall(name)
    assert firewall(name).changed == 0
