"""Listening sockets as upstream opens them, and the text forms of addresses."""

from __future__ import annotations

import ipaddress
import socket
from typing import TYPE_CHECKING

from .errors import DaemonError

if TYPE_CHECKING:
    import asyncio

    from .codec import Address

BACKLOG = 128
"""Pending connections per TCP listener."""


def plain_ip(ip: str) -> str:
    """Write an IPv4 address that a dual-stack socket reports as ``::ffff:a.b.c.d`` without the prefix."""
    return ip.removeprefix("::ffff:") if "." in ip else ip


def plain(address: Address) -> Address:
    """Write an address without the IPv4-mapped prefix."""
    return plain_ip(address[0]), address[1]


def is_loopback(address: Address) -> bool:
    """Tell whether the connection comes from this host (or container)."""
    return ipaddress.ip_address(plain_ip(address[0])).is_loopback


def show(address: Address) -> str:
    """Write an address as upstream logs it: ``1.2.3.4:5`` or ``[::ffff:1.2.3.4]:5``."""
    ip, port = address
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


def peer_address(connection: asyncio.BaseTransport | asyncio.StreamWriter) -> Address:
    """Return a client's address; the unspecified one when it has gone already."""
    name = connection.get_extra_info("peername")
    return (name[0], name[1]) if name else ("::", 0)


def parse_address(text: str) -> Address:
    """Read ``1.2.3.4:5`` or ``[::1]:5``; raise DaemonError for anything else (names included)."""
    host, _, port = text.rpartition(":")
    try:
        if host.startswith("[") and host.endswith("]"):
            ipaddress.IPv6Address(host[1:-1])
        else:
            ipaddress.IPv4Address(host)
    except ValueError as error:
        raise DaemonError("invalid socket address syntax") from error
    if not (port.isascii() and port.isdigit() and int(port) <= 0xFFFF):
        raise DaemonError("invalid socket address syntax")
    return host.strip("[]"), int(port)


def _bind(kind: socket.SocketKind, family: socket.AddressFamily, port: int) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        # Like upstream: a second instance of the same user shares the port without an error.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.settimeout(0)
        sock.bind(("::" if family == socket.AF_INET6 else "0.0.0.0", port))
        if kind == socket.SOCK_STREAM:
            sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def bind_any(kind: socket.SocketKind, port: int) -> socket.socket:
    """Open a dual-stack socket on a port, falling back to IPv4 alone; raise OSError when neither is possible.

    Of ``port`` the low 16 bits count.
    """
    port &= 0xFFFF
    try:
        return _bind(kind, socket.AF_INET6, port)
    except OSError:
        return _bind(kind, socket.AF_INET, port)
