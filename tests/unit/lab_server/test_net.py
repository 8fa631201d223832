"""Addresses as the sockets report them and as the log shows them."""

from __future__ import annotations

import asyncio
import socket

import pytest

from rustdesk_lab import net
from rustdesk_lab.errors import DaemonError


@pytest.mark.parametrize(
    ("address", "shown", "plain"),
    [
        (("10.0.0.1", 5), "10.0.0.1:5", "10.0.0.1"),
        (("::ffff:10.0.0.1", 5), "[::ffff:10.0.0.1]:5", "10.0.0.1"),
        (("2001:db8::ffff:1", 5), "[2001:db8::ffff:1]:5", "2001:db8::ffff:1"),
    ],
)
def test_addresses_are_shown_as_upstream_does(address: tuple[str, int], shown: str, plain: str) -> None:
    assert net.show(address) == shown
    assert net.plain(address) == (plain, 5)


@pytest.mark.parametrize("ip", ["127.0.0.1", "127.1.2.3", "::1", "::ffff:127.0.0.1"])
def test_this_host_is_recognised(ip: str) -> None:
    assert net.is_loopback((ip, 1))


@pytest.mark.parametrize("ip", ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:128.0.0.1", "::", "2001:db8::1", "fe80::1%eth0"])
def test_other_hosts_are_not_this_one(ip: str) -> None:
    assert not net.is_loopback((ip, 1))


@pytest.mark.parametrize("text", ["", "1.2.3.4", "localhost:1", "1.2.3.4:x", "1.2.3.4:70000", "::1:5", "[1.2.3.4]:5"])
def test_what_is_no_socket_address_is_refused(text: str) -> None:
    with pytest.raises(DaemonError, match=r"^invalid socket address syntax$"):
        net.parse_address(text)


def test_socket_addresses_are_read() -> None:
    assert net.parse_address("1.2.3.4:5") == ("1.2.3.4", 5)
    assert net.parse_address("[::1]:21116") == ("::1", 21116)


def test_a_client_that_has_gone_has_no_address() -> None:
    class Gone(asyncio.BaseTransport):
        pass

    assert net.peer_address(Gone()) == ("::", 0)
    assert net.peer_address(Gone({"peername": ("::1", 5, 0, 0)})) == ("::1", 5)


def test_two_instances_share_a_port_as_upstreams_do() -> None:
    with net.bind_any(socket.SOCK_STREAM, 0) as first:
        port = first.getsockname()[1]
        with net.bind_any(socket.SOCK_STREAM, port) as second, socket.create_connection(("127.0.0.1", port)):
            assert second.getsockname()[1] == port


def test_of_a_port_the_low_sixteen_bits_count() -> None:
    with net.bind_any(socket.SOCK_DGRAM, 0) as first:
        port = first.getsockname()[1]
    with net.bind_any(socket.SOCK_DGRAM, port + 0x10000) as second:
        assert second.getsockname()[1] == port
