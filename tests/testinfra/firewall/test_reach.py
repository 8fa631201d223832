"""Behind a firewall that denies what leaves the host, the role lets RustDesk through, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.firewall.firewall_lab import (
    BACKENDS,
    CLIENT,
    ENDPOINTS,
    PORTS,
    RULES,
    SERVER,
    address,
    failed_proofs,
    firewall,
    is_within,
    probe,
    reaches,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

OTHER = "mirror.lab.test"
OTHER_PORT = 80
RELAY_PROOFS = {"relay_accepted", "relay_enforced", "relay_bytes"}


def test_rustdesk_gets_through(server_key: str) -> None:
    for name, report in probe(ENDPOINTS, server_key).items():
        assert report["passed"], (name, report["msg"])


@pytest.mark.parametrize("name", BACKENDS.values())
def test_a_port_outside_the_list_stays_blocked(on: Callable[[str], Host], name: str) -> None:
    assert reaches(on(CLIENT), OTHER, OTHER_PORT), "nothing listens there, so this test proves nothing"
    assert not reaches(on(name), OTHER, OTHER_PORT)
    assert reaches(on(name), f"{SERVER}.lab.test", 21116)


def test_the_probe_names_the_port_that_is_missing(server_key: str) -> None:
    try:
        firewall(ENDPOINTS, {"rustdesk_firewall_ports": [entry for entry in PORTS if entry["port"] != 21117]})
        reports = probe(ENDPOINTS, server_key)
        assert len(reports) == len(BACKENDS)
        for name, report in reports.items():
            assert failed_proofs(report) == RELAY_PROOFS, (name, report["msg"])
            assert "21117" in report["msg"], (name, report["msg"])
    finally:
        firewall(ENDPOINTS)
    for name, report in probe(ENDPOINTS, server_key).items():
        assert report["passed"], (name, report["msg"])


def test_removed_rules_are_those_of_the_role_and_no_others(on: Callable[[str], Host], server_key: str) -> None:
    def rules() -> dict[str, str]:
        return {backend: on(name).check_output(RULES[backend]) for backend, name in BACKENDS.items()}

    absent = {"rustdesk_firewall_state": "absent"}
    assert firewall(ENDPOINTS, absent).changed >= len(BACKENDS)
    try:
        without = rules()
        assert [text for text in without.values() if "rustdesk" in text] == []
        for name, report in probe(ENDPOINTS, server_key).items():
            assert {"nat_test", "rendezvous_udp", "rendezvous_tcp"} <= failed_proofs(report), name
        assert firewall(ENDPOINTS, absent).changed == 0
        firewall(ENDPOINTS)
        for backend, text in rules().items():
            assert text != without[backend]
            assert is_within(without[backend], text), f"rules of others in {backend} have changed"
        firewall(ENDPOINTS, absent)
        assert rules() == without
    finally:
        firewall(ENDPOINTS)


def test_only_the_given_addresses_are_let_through(on: Callable[[str], Host], server_key: str) -> None:
    given = {"rustdesk_firewall_remote_addresses": [address(SERVER), "2001:db8::/32"]}
    try:
        firewall(ENDPOINTS, given)
        assert firewall(ENDPOINTS, given).changed == 0
        for name, report in probe(ENDPOINTS, server_key).items():
            assert report["passed"], (name, report["msg"])
        firewall(ENDPOINTS, {"rustdesk_firewall_remote_addresses": ["192.0.2.7", "198.51.100.0/24"]})
        for name in BACKENDS.values():
            assert not reaches(on(name), f"{SERVER}.lab.test", 21116), name
    finally:
        firewall(ENDPOINTS)
    for name in BACKENDS.values():
        assert reaches(on(name), f"{SERVER}.lab.test", 21116), name


def test_what_a_site_denies_to_some_stays_first_and_is_named(on: Callable[[str], Host]) -> None:
    name = BACKENDS["nftables"]
    host = on(name)
    host.check_output("nft insert rule inet site output ip daddr %s tcp dport 21000-22000 drop", address(SERVER))
    try:
        done = firewall(name)
        assert done.changed == 0
        assert not reaches(host, f"{SERVER}.lab.test", 21116)
        results = {task.rpartition(" : ")[2]: result for task, result in done.results(name)}
        said = results["preflight | Say what the host denies before the role's rules"]["msg"]
        assert "in inet site output" in said
        # A rule that denies all of a kind, and comes before the role's, is another matter.
        host.check_output("nft -f /etc/nftables.conf")
        firewall(name)
        host.check_output("nft insert rule inet site output meta l4proto tcp ct state new reject")
        assert firewall(name).changed
        assert reaches(host, f"{SERVER}.lab.test", 21116)
        assert firewall(name).changed == 0
    finally:
        host.check_output("nft -f /etc/nftables.conf")
        firewall(name)
