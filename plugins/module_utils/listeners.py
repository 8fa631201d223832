# SPDX-License-Identifier: MIT
"""Which process listens on which port of this Linux host, read from /proc (no tool needs to be installed)."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Iterable, Iterator

_LISTENING = {"tcp": "0A", "udp": "07"}
"""Socket states in /proc/net: TCP_LISTEN and, for UDP, a bound socket without a peer (linux include/net/tcp_states.h)."""


@dataclass(frozen=True)
class Listener:
    """One listening socket. ``unit`` is the systemd unit its process belongs to, "" when unknown."""

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
    """Tell whether a socket bound to one address stands in the way of one bound to another; "" means every address."""
    if not wanted:
        return True
    address = ipaddress.ip_address(bound)
    return address.is_unspecified or address == ipaddress.ip_address(wanted)


def listeners(ports: Iterable[tuple[str, int]], proc: Path = Path("/proc")) -> list[Listener]:
    """Return the sockets that listen on any of the given (protocol, port) pairs, in the order of the kernel's tables."""
    wanted = set(ports)
    found = [entry for entry in _sockets(proc) if (entry[0], entry[2]) in wanted]
    owners = _owners({inode for *_, inode in found}, proc) if found else {}
    return [_listener(protocol, address, port, owners.get(inode, 0), proc) for protocol, address, port, inode in found]


def _sockets(proc: Path) -> Iterator[tuple[str, str, int, str]]:
    for protocol, state in _LISTENING.items():
        for table in (protocol, protocol + "6"):
            try:
                lines = (proc / "net" / table).read_text(encoding="ascii").splitlines()[1:]
            except OSError:
                continue
            for line in lines:
                fields = line.split()
                if fields[3] == state:
                    address, port = fields[1].split(":")
                    yield protocol, _address(address), int(port, 16), fields[9]


def _address(text: str) -> str:
    """Decode an address of /proc/net: 32-bit words in host byte order, which is little-endian on every supported machine."""
    raw = b"".join(bytes.fromhex(text[start : start + 8])[::-1] for start in range(0, len(text), 8))
    address = ipaddress.ip_address(raw)
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def _owners(inodes: set[str], proc: Path) -> dict[str, int]:
    links = {f"socket:[{inode}]": inode for inode in inodes}
    owners = {}
    for directory in proc.glob("[0-9]*/fd"):
        try:
            for entry in os.scandir(directory):
                inode = links.get(os.readlink(entry.path))
                if inode:
                    owners[inode] = int(directory.parent.name)
        except OSError:
            continue
    return owners


def _listener(protocol: str, address: str, port: int, pid: int, proc: Path) -> Listener:
    process = unit = ""
    if pid:
        try:
            process = (proc / str(pid) / "comm").read_text(encoding="utf-8", errors="replace").strip()
            control_group = (proc / str(pid) / "cgroup").read_text(encoding="utf-8", errors="replace")
            units = re.findall(r"/([^/\n]+\.service)", control_group)
            unit = units[-1] if units else ""
        except OSError:
            pass
    return Listener(protocol, address, port, process, pid, unit)
