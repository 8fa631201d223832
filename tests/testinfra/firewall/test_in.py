"""On a server: clients get in, floods and what nobody asked for do not, and one source's flood is not another's."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.firewall.firewall_lab import (
    BACKENDS,
    CLIENT,
    PLAIN,
    RULES,
    SERVER,
    failed_proofs,
    firewall,
    is_within,
    listening,
    probe,
    reaches,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

INWARDS = {"rustdesk_firewall_direction": "in"}
ASKED = INWARDS | {"rustdesk_firewall_backend": "nftables", "rustdesk_firewall_activate": True}
NAME = f"{SERVER}.lab.test"
CLOSED = (21118, 21119)

DENY = """
table inet site {
	chain input {
		type filter hook input priority filter; policy drop;
		iifname "lo" accept
		ct state established,related accept
		icmp type echo-request accept
		tcp dport 22 accept
		{last}
	}
}
"""

DENIALS = {
    "all": "counter drop",
    "by protocol": """meta l4proto udp reject
		meta l4proto tcp reject with tcp reset
		counter reject with icmpx port-unreachable""",
    "some a second": "pkttype host limit rate 50/second counter reject with icmpx admin-prohibited",
}
"""What a chain may end with."""

FLOOD = """
import socket, sys
flood = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(5000):
    flood.sendto(b"x", (sys.argv[1], 21116))
"""


def dropped(host: Host) -> int:
    """Packets that the rate limit has dropped so far."""
    rules = host.check_output("nft list table inet rustdesk_firewall_in")
    return sum(int(count) for count in re.findall(r"update .* counter packets (\d+) .* drop", rules))


def open_server(**variables: Any) -> None:
    firewall(SERVER, ASKED | {f"rustdesk_firewall_{name}": value for name, value in variables.items()})


def test_clients_get_in(server_key: str) -> None:
    open_server()
    report = probe(CLIENT, server_key)[CLIENT]
    assert report["passed"], report["msg"]


def test_web_socket_and_api_are_closed_unless_asked_for(on: Callable[[str], Host]) -> None:
    server, client = on(SERVER), on(CLIENT)
    with listening(server, 21114):
        try:
            open_server()
            for port in (*CLOSED, 21114):
                assert server.check_output("ss -Hltn sport = %s", str(port)), "nothing listens, so this proves nothing"
                assert not reaches(client, NAME, port)
            assert reaches(server, "127.0.0.1", 21118), "a proxy on the host itself needs it"
            open_server(websocket_ports=True)
            assert [port for port in CLOSED if not reaches(client, NAME, port)] == []
            assert not reaches(client, NAME, 21114)
            open_server(api_port=True)
            assert reaches(client, NAME, 21114)
            assert not reaches(client, NAME, 21118)
        finally:
            open_server()


def test_a_flood_is_dropped_and_others_are_served(on: Callable[[str], Host], server_key: str) -> None:
    open_server()
    server, client = on(SERVER), on(CLIENT)
    before = dropped(server)
    target = server.check_output("hostname -I").split()[0]
    client.check_output("python3 -c %s %s", FLOOD, target)
    assert dropped(server) - before > 3000
    report = probe(PLAIN, server_key)[PLAIN]
    assert report["passed"], report["msg"]


def test_without_a_limit_nothing_is_dropped(on: Callable[[str], Host]) -> None:
    try:
        open_server(udp_rate=0)
        server = on(SERVER)
        assert "limit rate" not in server.check_output("nft list table inet rustdesk_firewall_in")
        target = server.check_output("hostname -I").split()[0]
        on(CLIENT).check_output("python3 -c %s %s", FLOOD, target)
        assert dropped(server) == 0
    finally:
        open_server()


@pytest.mark.parametrize("last", DENIALS.values(), ids=list(DENIALS))
def test_a_server_that_denies_all_lets_clients_in(on: Callable[[str], Host], server_key: str, last: str) -> None:
    server = on(SERVER)
    firewall(SERVER, ASKED | {"rustdesk_firewall_state": "absent"})
    server.check_output("echo %s | nft -f -", DENY.replace("{last}", last))
    try:
        before = server.check_output(RULES["nftables"])
        assert {"nat_test", "rendezvous_udp", "rendezvous_tcp"} <= failed_proofs(probe(CLIENT, server_key)[CLIENT])
        firewall(SERVER, INWARDS)
        report = probe(CLIENT, server_key)[CLIENT]
        assert report["passed"], report["msg"]
        assert is_within(before, server.check_output(RULES["nftables"]))
        assert firewall(SERVER, INWARDS).changed == 0
        firewall(SERVER, INWARDS | {"rustdesk_firewall_state": "absent"})
        assert server.check_output(RULES["nftables"]) == before
    finally:
        server.check_output("nft delete table inet site")
        open_server()


@pytest.mark.parametrize("backend", ["ufw", "firewalld"])
def test_others_open_the_ports_and_limit_them_too(on: Callable[[str], Host], backend: str) -> None:
    """ufw and firewalld cannot limit by source: the table of nftables beside them does."""
    name = BACKENDS[backend]
    host, client = on(name), on(CLIENT)
    target = f"{name}.lab.test"
    absent = INWARDS | {"rustdesk_firewall_state": "absent"}
    before = host.check_output(RULES[backend])
    with listening(host, 21115, 21117, 21118, 9999):
        assert not reaches(client, target, 21115)
        try:
            firewall(name, INWARDS)
            assert firewall(name, INWARDS).changed == 0
            assert reaches(client, target, 21115)
            assert reaches(client, target, 21117)
            assert not reaches(client, target, 21118)
            assert not reaches(client, target, 9999)
            address = host.check_output("hostname -I").split()[0]
            client.check_output("python3 -c %s %s", FLOOD, address)
            assert dropped(host) > 3000
            assert is_within(before, host.check_output(RULES[backend]))
            only = INWARDS | {"rustdesk_firewall_remote_addresses": ["192.0.2.7"]}
            firewall(name, only)
            assert firewall(name, only).changed == 0
            assert not reaches(client, target, 21115)
        finally:
            firewall(name, absent)
    assert host.check_output(RULES[backend]) == before
    assert firewall(name).changed == 0, "the other direction's rules were touched"


def test_firewalld_opens_the_zone_that_is_named(on: Callable[[str], Host]) -> None:
    name = BACKENDS["firewalld"]
    host = on(name)
    try:
        firewall(name, INWARDS | {"rustdesk_firewall_zone": "internal"})
        assert host.check_output("firewall-cmd --zone internal --query-service rustdesk-in") == "yes"
        assert host.run("firewall-cmd --zone public --query-service rustdesk-in").stdout.strip() == "no"
        firewall(name, INWARDS)
        assert host.run("firewall-cmd --zone internal --query-service rustdesk-in").stdout.strip() == "no"
        assert host.check_output("firewall-cmd --permanent --zone public --query-service rustdesk-in") == "yes"
    finally:
        firewall(name, INWARDS | {"rustdesk_firewall_state": "absent"})
