"""The DSCP mark: seen by who receives the packets, gone when it is not asked for any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.testinfra.client.endpoints import apply, put, reset

if TYPE_CHECKING:
    from collections.abc import Callable

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
    receiver.check_output("for i in $(seq 100); do [ -e /run/qos.ready ] && exit 0; sleep 0.1; done; exit 1")
    sender.check_output("echo x | nc -u -w 1 client-deb12.lab.test 21116")
    receiver.check_output("for i in $(seq 100); do [ -s /run/qos.out ] && exit 0; sleep 0.1; done; exit 1")
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
