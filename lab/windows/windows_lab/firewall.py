"""Firewall rules as Windows stores them: one registry value each, in the grammar of [MS-GPFAS] 2.2.2.19.

Stored and read back, never applied: nothing filters a packet here. Properties have the names and forms of the COM
object ``HNetCfg.FWRule``, through which the real module sees them.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from dataclasses import dataclass, fields, replace

from windows_lab import registry
from windows_lab.errors import NotModelledError, Refused

KEY = r"HKLM\SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy\FirewallRules"
VERSION = "v2.33"
ANY_PROTOCOL, TCP, UDP = 256, 6, 17
ALL_PROFILES = 0x7FFFFFFF
PROFILES = {"Domain": 1, "Private": 2, "Public": 4}
INBOUND, OUTBOUND = 1, 2
BLOCK, ALLOW = 0, 1
PORT_RANGE = re.compile(r"^(\d{1,5})(?:-(\d{1,5}))?$")
KEYWORD_PORTS = {"RPC", "RPC-EPMAP", "IPHTTPSIN", "IPHTTPSOUT", "PLY2DISC", "TEREDO", "MDNS", "CORTANAOUT"}
KEYWORD_ADDRESSES = {"LocalSubnet", "DNS", "DHCP", "WINS", "DefaultGateway"}
OUT_OF_RANGE = "Value does not fall within the expected range."


@dataclass(frozen=True)
class Rule:
    """A rule by its COM properties. ``*`` is any; None where a property does not apply."""

    name: str
    description: str | None = None
    direction: int = INBOUND
    action: int = ALLOW
    application_name: str | None = None
    grouping: str | None = None
    service_name: str | None = None
    enabled: bool = True
    profiles: int = ALL_PROFILES
    local_addresses: str = "*"
    remote_addresses: str = "*"
    local_ports: str | None = None
    remote_ports: str | None = None
    protocol: int = ANY_PROTOCOL


@dataclass(frozen=True)
class Stored:
    """A rule and the name of its registry value."""

    id: str
    rule: Rule


def validated(rule: Rule) -> Rule:
    """The rule as the COM object takes it, addresses in its normal form.

    Raises Refused with its one and only sentence for what it does not take.
    """
    if "|" in "".join(str(getattr(rule, item.name) or "") for item in fields(rule)) or not rule.name:
        raise Refused(OUT_OF_RANGE)
    has_ports = rule.protocol in {TCP, UDP}
    for ports in (rule.local_ports, rule.remote_ports):
        if ports not in {None, "*"} and not has_ports:
            raise Refused(OUT_OF_RANGE)
    return replace(
        rule,
        local_addresses=_addresses(rule.local_addresses),
        remote_addresses=_addresses(rule.remote_addresses),
        local_ports=_ports(rule.local_ports) if has_ports else None,
        remote_ports=_ports(rule.remote_ports) if has_ports else None,
    )


def _ports(text: str | None) -> str:
    if text is None or text == "*":
        return "*"
    if re.search(r"\s", text):
        raise NotModelledError(f"blanks in a firewall rule's ports ({text!r}); Windows stores a list without them")
    for port in text.split(","):
        found = PORT_RANGE.match(port)
        if not found and port.upper() not in KEYWORD_PORTS:
            raise Refused(OUT_OF_RANGE)
        if found:
            first, last = int(found[1]), int(found[2] or found[1])
            if not first <= last <= 65535:
                raise Refused(OUT_OF_RANGE)
    return text


def _addresses(text: str) -> str:
    if text == "*":
        return text
    return ",".join(_address(part.strip()) for part in text.split(","))


def _address(text: str) -> str:
    keyword = next((word for word in KEYWORD_ADDRESSES if word.lower() == text.lower()), None)
    if keyword:
        return keyword
    try:
        if "-" in text:
            first, last = (ipaddress.ip_address(end) for end in text.split("-"))
            return f"{first}-{last}"
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise Refused(OUT_OF_RANGE) from None
    return f"{network.network_address}/{network.netmask if network.version == 4 else network.prefixlen}"


def encode(rule: Rule) -> str:
    """The text of the registry value."""
    pairs = [
        ("Action", "Allow" if rule.action == ALLOW else "Block"),
        ("Active", "TRUE" if rule.enabled else "FALSE"),
        ("Dir", "In" if rule.direction == INBOUND else "Out"),
    ]
    if rule.protocol != ANY_PROTOCOL:
        pairs.append(("Protocol", str(rule.protocol)))
    if rule.profiles != ALL_PROFILES:
        pairs += [("Profile", name) for name, bit in PROFILES.items() if rule.profiles & bit]
    pairs += _port_pairs("LPort", rule.local_ports) + _port_pairs("RPort", rule.remote_ports)
    pairs += _address_pairs("L", rule.local_addresses) + _address_pairs("R", rule.remote_addresses)
    optional = (
        ("App", rule.application_name),
        ("Svc", rule.service_name),
        ("Name", rule.name),
        ("Desc", rule.description),
        ("EmbedCtxt", rule.grouping),
    )
    pairs += [(name, value) for name, value in optional if value]
    return "|".join([VERSION, *(f"{name}={value}" for name, value in pairs), ""])


def _port_pairs(name: str, ports: str | None) -> list[tuple[str, str]]:
    if ports is None or ports == "*":
        return []
    return [(f"{name}2_10" if "-" in port and port[0].isdigit() else name, port) for port in ports.split(",")]


def _address_pairs(end: str, addresses: str) -> list[tuple[str, str]]:
    if addresses == "*":
        return []
    pairs = []
    for address in addresses.split(","):
        if address in KEYWORD_ADDRESSES:
            pairs += [(f"{end}A4", address), (f"{end}A6", address)]
        elif ":" in address:
            pairs.append((f"{end}A6", address.removesuffix("/128")))
        else:
            pairs.append((f"{end}A4", address.removesuffix("/255.255.255.255")))
    return pairs


def decode(text: str) -> Rule:
    """Read a registry value.

    Raises NotModelledError for a property that rules made here never have.
    """
    version, *parts = text.rstrip("|").split("|")
    values: dict[str, list[str]] = {}
    for part in parts:
        name, _, value = part.partition("=")
        values.setdefault(name.removesuffix("2_10"), []).append(value)

    def one(name: str) -> str | None:
        return values.pop(name, [None])[0]

    def many(*names: str) -> list[str]:
        return [value for name in names for value in values.pop(name, [])]

    protocol = int(one("Protocol") or ANY_PROTOCOL)
    local_ports, remote_ports = ",".join(many("LPort")), ",".join(many("RPort"))
    rule = Rule(
        name=one("Name") or "",
        description=one("Desc"),
        direction=INBOUND if one("Dir") == "In" else OUTBOUND,
        action=ALLOW if one("Action") == "Allow" else BLOCK,
        application_name=one("App"),
        grouping=one("EmbedCtxt"),
        service_name=one("Svc"),
        enabled=one("Active") == "TRUE",
        profiles=sum(PROFILES[name] for name in many("Profile")) or ALL_PROFILES,
        local_addresses=",".join(dict.fromkeys(map(_address, many("LA4", "LA6")))) or "*",
        remote_addresses=",".join(dict.fromkeys(map(_address, many("RA4", "RA6")))) or "*",
        local_ports=local_ports or None,
        remote_ports=remote_ports or None,
        protocol=protocol,
    )
    if not version.startswith("v2.") or values:
        raise NotModelledError(f"this firewall rule: {text}")
    return validated(rule)


def stored() -> list[Stored]:
    """Every rule, in the order of the registry."""
    key = registry.query(KEY)
    return [Stored(name, decode(str(value.data))) for name, value in key.values.items()] if key else []


def add(rule: Rule) -> None:
    """Store a new rule; there may be others of its name."""
    put(Stored(f"{{{uuid.uuid4()}}}".upper(), rule))


def put(entry: Stored) -> None:
    """Store a rule in place of what stands under its id."""
    registry.set_value(KEY, entry.id, registry.Value("REG_SZ", encode(validated(entry.rule))))


def remove(entry: Stored) -> None:
    """Forget a rule."""
    registry.delete_value(KEY, entry.id)
