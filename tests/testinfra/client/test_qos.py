"""The DSCP mark: seen by who receives the packets, gone when it is not asked for any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.client.endpoints import apply, killed_before, put, reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

CLASS_SELECTOR_1 = 8

RECEIVE = """\
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
s.bind(("0.0.0.0", 21116))
s.settimeout(10)
open("/run/qos.ready", "w").close()
_, extra, _, _ = s.recvmsg(100, 100)
print(extra[0][2][0] >> 2)
"""


def mark(sender: Host, receiver: Host) -> int:
    """Send a packet to the server's port, and return the DSCP it arrives with."""
    put(receiver, "/run/qos.py", RECEIVE.encode(), "root")
    receiver.check_output(
        "rm -f /run/qos.ready; systemd-run --quiet --collect --unit=qos sh -c 'python3 /run/qos.py >/run/qos.out'"
    )
    receiver.check_output("for i in $(seq 600); do [ -e /run/qos.ready ] && exit 0; sleep 0.1; done; exit 1")
    sender.check_output("echo x | nc -u -w 1 client-deb12.lab.test 21116")
    receiver.check_output("for i in $(seq 600); do [ -s /run/qos.out ] && exit 0; sleep 0.1; done; exit 1")
    return int(receiver.check_output("cat /run/qos.out"))


def rules(host: Host) -> str:
    """Everybody's rules, without counters: the container engine has rules of its own."""
    return str(host.check_output("nft --stateless list ruleset"))


def test_packets_are_marked_until_they_are_not(endpoint: Host, on: Callable[[str], Host]) -> None:
    receiver = on("client-deb12")
    before = rules(endpoint)
    assert mark(endpoint, receiver) == 0
    try:
        apply(users=["anna"], qos=True)
        assert mark(endpoint, receiver) == CLASS_SELECTOR_1
        assert endpoint.service("rustdesk-client-qos").is_enabled
        assert apply(users=["anna"], qos=True).changed == 0
        apply(users=["anna"])
        assert rules(endpoint) == before
        apply(users=["anna"], qos=True, qos_dscp=34)
        assert mark(endpoint, receiver) == 34
    finally:
        reset(users=["anna"])
    assert rules(endpoint) == before
    assert not endpoint.file("/etc/nftables-rustdesk-client.nft").exists


@pytest.fixture
def plain(endpoint: Host) -> Iterator[Host]:
    """An endpoint that gets back what rules it had."""
    before = rules(endpoint)
    yield endpoint
    reset(users=["anna"])
    assert rules(endpoint) == before


@pytest.mark.parametrize("task", ["qos | Write the unit that loads them", "qos | Load them now and at boot"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_killed_run_keeps_nobody_from_taking_the_mark_off(plain: Host, task: str, state: str) -> None:
    killed_before(task, users=["anna"], qos=True)
    apply(users=["anna"], state=state)
    assert not plain.file("/etc/nftables-rustdesk-client.nft").exists
    assert apply(users=["anna"], state=state).changed == 0


@pytest.mark.parametrize("task", ["qos | Write the unit that loads them", "qos | Load them now and at boot"])
def test_a_change_that_was_killed_before_it_was_loaded_is_loaded(plain: Host, task: str) -> None:
    apply(users=["anna"], qos=True)
    killed_before(task, users=["anna"], qos=True, qos_dscp=34)
    assert "af41" not in rules(plain)
    apply(users=["anna"], qos=True, qos_dscp=34)
    assert "af41" in rules(plain)
    assert apply(users=["anna"], qos=True, qos_dscp=34).changed == 0


FLUSH = "table inet rustdesk_client_qos\\ndelete table inet rustdesk_client_qos\\n"
OVERRIDE = "[Service]\\nExecStart=\\nExecStart={0}\\nExecReload=\\nExecReload={0}\\nExecStop=\\n".format(
    "/usr/sbin/nft -f /run/site.nft"
)


@pytest.fixture
def site(plain: Host) -> Iterator[Host]:
    """An endpoint whose nftables.service takes no rules away but the role's: the container needs its own."""
    place = "/run/systemd/system/nftables.service.d"
    plain.check_output(f"mkdir -p {place} && printf '{OVERRIDE}' >{place}/site.conf && printf '{FLUSH}' >/run/site.nft")
    plain.check_output("systemctl daemon-reload && systemctl restart nftables")
    yield plain
    plain.check_output(f"systemctl stop nftables; rm -r {place} /run/site.nft && systemctl daemon-reload")


@pytest.mark.parametrize("act", ["reload", "restart"])
def test_the_mark_outlives_new_rules_of_the_site(site: Host, act: str) -> None:
    apply(users=["anna"], qos=True)
    before = rules(site)
    assert "rustdesk_client_qos" in before
    site.check_output("systemctl %s nftables", act)
    site.check_output("timeout 60 sh -c 'until nft list table inet rustdesk_client_qos; do sleep 0.2; done'")
    assert rules(site) == before
    assert apply(users=["anna"], qos=True).changed == 0


def test_a_mark_that_somebody_has_flushed_is_made_again(plain: Host) -> None:
    apply(users=["anna"], qos=True)
    before = rules(plain)
    plain.check_output("nft delete table inet rustdesk_client_qos")
    apply(users=["anna"], qos=True)
    assert rules(plain) == before
    plain.check_output("nft delete table inet rustdesk_client_qos")
