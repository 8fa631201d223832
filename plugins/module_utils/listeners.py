# SPDX-License-Identifier: MIT
"""Which process listens on which port of this Linux host, read from /proc (no tool needs to be installed)."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_LISTENING = {"tcp": "0A", "udp": "07"}
"""Socket states in /proc/net: TCP_LISTEN and, for UDP, a bound socket without peer (linux include/net/tcp_states.h)."""


@dataclass(frozen=True)
class Listener:
    """One listening socket. `unit` is the systemd unit its process belongs to, "" when unknown."""

    protocol: str
    address: str
    port: int
    process: str
    pid: int
    unit: str

    @property
    def sentence(self) -> str:
        """Describe the listener for an operator."""
        who = f"{self.process} (pid {self.pid})" if self.pid else "a process that could not be identified"
        return f"{self.port}/{self.protocol} is taken by {who}" + (f" of {self.unit}" if self.unit else "")


def overlaps(bound: str, wanted: str) -> bool:
    """Tell whether a socket bound to one address stands in the way of one that is to be bound to another.

    Args:
        bound: an IPv4 or IPv6 address.
        wanted: another one; "" and anything that is no address mean every address.
    """
    try:
        asked = _plain(wanted)
    except ValueError:
        return True
    taken = _plain(bound)
    if taken.version == asked.version:
        return taken == asked or taken.is_unspecified or asked.is_unspecified
    # A socket on :: usually takes IPv4 as well, one on 0.0.0.0 never takes IPv6.
    return (taken if taken.version == 6 else asked).is_unspecified


def _plain(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    address = ipaddress.ip_address(text)
    return (address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None) or address


def listeners(ports: Iterable[tuple[str, int]], proc: Path = Path("/proc")) -> list[Listener]:
    """Return the sockets that listen on any of the (protocol, port) pairs, in the order of the kernel's tables."""
    wanted = set(ports)
    found = [entry for entry in _sockets(proc) if (entry[0], entry[2]) in wanted]
    owners = _owners({inode for *_, inode in found}, proc)
    return [_listener(protocol, address, port, owners.get(inode, 0), proc) for protocol, address, port, inode in found]


def _sockets(proc: Path) -> Iterator[tuple[str, str, int, str]]:
    """Yield protocol, address, port, inode of listening sockets (linux Documentation/networking/proc_net_tcp.rst)."""
    for protocol, state in _LISTENING.items():
        for table in (protocol, protocol + "6"):
            for line in _lines(proc / "net" / table)[1:]:
                fields = line.split()
                if fields[3] == state:
                    address, port = fields[1].split(":")
                    yield protocol, _address(address), int(port, 16), fields[9]


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii").splitlines()
    except OSError:
        return []


def _address(text: str) -> str:
    """Decode an address of /proc/net: 32-bit words in host byte order, little-endian on every supported machine."""
    raw = b"".join(bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8))
    return str(_plain(str(ipaddress.ip_address(raw))))


def _owners(inodes: set[str], proc: Path) -> dict[str, int]:
    """Return the process that holds each of the sockets."""
    missing = {f"socket:[{inode}]": inode for inode in inodes}
    owners: dict[str, int] = {}
    # From the last one down, so that systemd counts only when no process of a socket-activated service has the socket.
    for pid in sorted((int(name) for name in _names(proc) if name.isdecimal()), reverse=True):
        if not missing:
            break
        directory = proc / str(pid) / "fd"
        for name in _names(directory):
            inode = missing.pop(_target(directory / name), "")
            if inode:
                owners[inode] = pid
    return owners


def _names(directory: Path) -> list[str]:
    """List a directory of /proc; a process may be gone, or not ours, at any moment."""
    try:
        with os.scandir(directory) as entries:
            return [entry.name for entry in entries]
    except OSError:
        return []


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _listener(protocol: str, address: str, port: int, pid: int, proc: Path) -> Listener:
    process = unit = ""
    if pid:
        try:
            process = (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
            control_group = (proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return Listener(protocol, address, port, "", 0, "")
        units = re.findall(r"/([^/\n]+\.service)", control_group)
        unit = units[-1] if units else ""
    # A process chooses its name itself.
    return Listener(protocol, address, port, re.sub(r"[^ -~]", "?", process), pid, unit)
