# SPDX-License-Identifier: MIT
"""The words of a probe: what is proven of which server, how a proof ends, why, and what to do then.

Reports, documentation and other programs use the same names of proofs (`PROOFS`), causes
(`Cause`) and remedies (`REMEDIES`).
"""

from __future__ import annotations

import enum
import ipaddress
import re
from dataclasses import dataclass

from .ed25519 import KeyFormatError, parse_public

PROOFS = (
    "dns",
    "nat_test",
    "rendezvous_udp",
    "rendezvous_tcp",
    "key_accepted",
    "key_enforced",
    "relay_accepted",
    "relay_enforced",
    "relay_bytes",
)
"""Every proof, in the order in which they are reported: causes before their effects."""

NEED_KEY = frozenset(PROOFS[4:])
"""Proofs that are skipped when no key is given."""

DEFAULT_PORT = 21116
"""hbbs's port P: P-1 is the NAT test, P+1 the relay unless named (hbb_common `src/config.rs`)."""

DEFAULT_RELAY_PORT = 21117
"""Port of a relay that is named without one (hbb_common `src/config.rs`)."""

MIN_TIMEOUT = 0.1
MAX_TIMEOUT = 20.0
"""Seconds; below hbbr's 30, after which it also closes a connection whose key it never checked."""


class Cause(str, enum.Enum):
    """Why a proof was not given."""

    NAME_UNKNOWN = "name_unknown"
    NAME_TIMEOUT = "name_timeout"
    NAME_LOOPBACK = "name_loopback"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    UDP_REFUSED = "udp_refused"
    UDP_SILENT = "udp_silent"
    NO_ANSWER = "no_answer"
    CLOSED = "closed"
    HUNG_UP = "hung_up"
    INTERCEPTED = "intercepted"
    FOREIGN = "foreign"
    UNEXPECTED = "unexpected"
    KEY_DIFFERS = "key_differs"
    KEY_NOT_CHECKED = "key_not_checked"
    RELAY_KEY_REFUSED = "relay_key_refused"
    RELAY_OPEN = "relay_open"
    RELAY_SILENT = "relay_silent"
    RELAY_INCOMPLETE = "relay_incomplete"
    RELAY_CORRUPT = "relay_corrupt"
    NO_KEY = "no_key"


REMEDIES: dict[Cause, str] = {
    Cause.NAME_UNKNOWN: "Correct the name, or create its A or AAAA record.",
    Cause.NAME_TIMEOUT: "Check the name servers in /etc/resolv.conf of the machine that probes.",
    Cause.NAME_LOOPBACK: (
        "Use a name or address that leads to the server's network interface (check /etc/hosts): "
        "on loopback the ports of the NAT test and of the relay are administration consoles."
    ),
    Cause.REFUSED: ("Start {daemon} on {host}, or open {port}/tcp in the firewall that rejects it."),
    Cause.TIMEOUT: (
        "Open {port}/tcp to {host} in the firewalls on the way and on the server, and check that {host} is up."
    ),
    Cause.UNREACHABLE: (
        "Open {port}/{protocol} to {host} in the firewall that rejects it, this machine's own outbound rules first, "
        "and check the route to the server."
    ),
    Cause.UDP_REFUSED: (
        "Start hbbs on {host}, or open {port}/udp in the firewall that rejects it: "
        "without UDP no client can be controlled."
    ),
    Cause.UDP_SILENT: (
        "Open {port}/udp to {host} in the firewalls on the way and on the server: "
        "TCP on the same port is not enough, without UDP no client can be controlled."
    ),
    Cause.NO_ANSWER: (
        "Restart {daemon} on {host}; if it stays silent, look for a proxy or firewall that "
        "accepts {port}/tcp in its place."
    ),
    Cause.CLOSED: (
        "Check that {port}/tcp leads to {daemon} itself: behind a proxy that connects from "
        "127.0.0.1 it takes every client for its administration console."
    ),
    Cause.HUNG_UP: (
        "Take this machine's address out of hbbr's blocklist.txt and restart hbbr, "
        "or repair the proxy in front of {port}/tcp that has no hbbr behind it."
    ),
    Cause.INTERCEPTED: (
        "Exempt {port}/tcp to {host} from TLS inspection and web proxies: RustDesk's ports speak neither TLS nor HTTP."
    ),
    Cause.FOREIGN: "Check which program {port}/{protocol} of {host} leads to: it is not {daemon}.",
    Cause.UNEXPECTED: ("Check the version of {daemon} on {host} and its log: the free server does not answer so."),
    Cause.KEY_DIFFERS: (
        "Give clients the content of id_ed25519.pub that belongs to hbbs's id_ed25519 (hbbs logs it as 'Key: …' when "
        "it starts), and restart hbbs if its key was replaced. "
        "If it refuses only now and then, two servers share the port."
    ),
    Cause.KEY_NOT_CHECKED: (
        "Make id_ed25519 readable for hbbs's user, start hbbs with -k _ and restart it: its log then has a line "
        "'Key: …'. Until then it serves everybody, and sessions may not be end-to-end encrypted."
    ),
    Cause.RELAY_KEY_REFUSED: (
        "Start hbbr with the public key of hbbs as -k (or -k _ where both share the key file) "
        "and restart it. Where hbbs refuses the key as well, the key given here is the wrong one; "
        "behind a proxy that connects from 127.0.0.1 hbbr closes every connection."
    ),
    Cause.RELAY_OPEN: (
        "Start hbbr with -k and the server's public key (or -k _ where it can read the key file) "
        "and restart it: until then it relays for everybody."
    ),
    Cause.RELAY_SILENT: (
        "Restart hbbr on {host}; if it stays silent, look for a proxy or firewall that accepts {port}/tcp in its place."
    ),
    Cause.RELAY_INCOMPLETE: (
        "Look for a firewall that holds back data on {port}/tcp, and for hbbr's bandwidth limits."
    ),
    Cause.RELAY_CORRUPT: (
        "Exempt {port}/tcp to {host} from every device that rewrites what passes through it "
        "(application gateway, inspection)."
    ),
    Cause.NO_KEY: "Give the server's public key, the content of id_ed25519.pub.",
}
"""What to do next, by cause. Placeholders: `host`, `port`, `protocol`, `daemon`."""


class ProbeArgumentError(ValueError):
    """The probe cannot be started like this; the text is one sentence for the caller."""


@dataclass(frozen=True)
class Target:
    """The server to prove: hbbs at `host`:`port`, hbbr at `relay_host`:`relay_port`."""

    host: str
    port: int = DEFAULT_PORT
    relay_host: str = ""
    relay_port: int = 0
    key: str = ""

    @classmethod
    def parse(cls, host: str, port: int = DEFAULT_PORT, relay: str | None = None, key: str | None = None) -> Target:
        """Check what a person wrote and fill in what clients would.

        Args:
            host: name or address of the ID server, without a port.
            port: P of hbbs; P-1 is used as well.
            relay: `host`, `host:port` or `[IPv6]:port`; by default `host` and P+1.
            key: content of id_ed25519.pub; without it the proofs in `NEED_KEY` are skipped.

        Raises:
            ProbeArgumentError: naming the argument, its fault and the way out.
        """
        host = _host_name("host", host)
        _port_number("port", port, smallest=2)
        relay_host, relay_port = host, port + 1
        if relay:
            relay_host, relay_port = _relay(relay)
        _port_number("relay port", relay_port)
        key = (key or "").strip()
        if key:
            try:
                parse_public(key)
            except KeyFormatError as error:
                raise ProbeArgumentError(f"key is not the content of id_ed25519.pub: {error}") from None
        return cls(host, port, relay_host, relay_port, key)


def _port_number(name: str, port: int, smallest: int = 1) -> None:
    if not smallest <= port <= 0xFFFF:
        raise ProbeArgumentError(f"{name} must be between {smallest} and 65535, not {port}")


def address_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that the text spells, a mapped IPv4 as IPv4, or None."""
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")


def _host_name(name: str, value: str) -> str:
    """Return a host name or an address, the brackets of an IPv6 address left out."""
    value = value.strip()
    bracketed = re.fullmatch(r"\[(.+:.*)\]", value)
    bare = bracketed[1] if bracketed else value
    if address_of(bare) is not None:
        return bare
    if re.fullmatch(r"[^:]+:\d+", value):
        raise ProbeArgumentError(f"{name} must not hold a port, give it as port: {value}")
    if len(value) > 253 or not _HOST_NAME.fullmatch(value):
        raise ProbeArgumentError(f"{name} must be a host name or an IP address, not {value!r}")
    return value


def _relay(value: str) -> tuple[str, int]:
    """Split `host`, `host:port`, `[IPv6]` and `[IPv6]:port`."""
    value = value.strip()
    match = re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d{1,5})", value)
    if match and address_of(value) is None:
        return _host_name("relay", match[1]), int(match[2])
    return _host_name("relay", value), DEFAULT_RELAY_PORT


@dataclass(frozen=True)
class ProofResult:
    """What became of one proof.

    `state` is `passed`, `failed` or `skipped`; `latency_ms` the time from the proof's start to
    its decision, None when skipped; `cause` a value of `Cause`, and `remedy` the next action
    for an operator, both empty when passed.
    """

    name: str
    state: str
    latency_ms: float | None
    detail: str
    cause: str = ""
    remedy: str = ""


@dataclass(frozen=True)
class Report:
    """Everything a probe found out; `address` and `relay_address` are None if unresolved."""

    target: Target
    address: str | None
    relay_address: str | None
    proofs: list[ProofResult]

    @property
    def passed(self) -> bool:
        """Whether at least one proof was given and none failed."""
        states = {proof.state for proof in self.proofs}
        return "passed" in states and "failed" not in states

    @property
    def message(self) -> str:
        """One line: the failed proofs with the first one's detail and remedy, or the success."""
        failed = [proof for proof in self.proofs if proof.state == "failed"]
        skipped = [proof for proof in self.proofs if proof.state == "skipped"]
        if failed:
            names = ", ".join(proof.name for proof in failed)
            return f"RustDesk at {self.target.host} failed {names}: {failed[0].detail}. {failed[0].remedy}"
        if len(skipped) == len(self.proofs):
            return f"Nothing was proven: {skipped[0].detail}. {skipped[0].remedy}"
        place = self.target.host if self.target.host == self.address else f"{self.target.host} ({self.address})"
        text = f"RustDesk at {place} passed {len(self.proofs) - len(skipped)} proofs"
        if skipped:
            text += f", {len(skipped)} skipped: {skipped[0].detail}"
        return text
