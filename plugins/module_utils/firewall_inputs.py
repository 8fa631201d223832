# SPDX-License-Identifier: MIT
"""What is wrong with the inputs of the role rustdesk_firewall: one sentence for each fault.

Runs on the controller. A sentence names the variable, what is wrong with its value and the way out. Types and misspelt
names are checked before, see `role_inputs`.
"""

from __future__ import annotations

import ipaddress
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Union

from ansible.module_utils.firewall_plan import (
    asked_ports,
    chosen_backend,
    closed_ports,
    needs_table,
    plan,
    ports_of,
    ufw_denials,
)

PREFIX = "rustdesk_firewall_"

MOST_PORTS = 15
"""Ports that one rule of ufw can hold (iptables-extensions(8), multiport)."""
OLDEST_FIREWALLD = (0, 9)
"""The first firewalld with policies, the only objects of it that filter what leaves a host (firewalld.policies(5))."""

_PURPOSE_BYTES = 80
"""What a comment of nftables (128 bytes, nft(8)) leaves beside the role's name, direction and port."""
_PURPOSE = re.compile(r"[^\x00-\x1f\x7f\"'\\`$|<>]+")
"""Text that is the same in a rule, a shell command, a table and XML."""
_INTERFACE = re.compile(r"[a-z][a-z0-9_]{0,31}")
_ZONE = re.compile(r"[A-Za-z0-9_-]{1,17}")

Inputs = Mapping[str, Any]
"""The role's variables without their prefix, and what belongs to them:

* `windows`: whether the host is a Windows one
* `again`: whether the role looks at its own, yet unconfirmed, work
* `texts`: the content of every file that the role may write, by its path
"""

Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


def faults(inputs: Inputs) -> list[str]:
    """Return every fault that the variables show by themselves."""
    found = [*_backend(inputs), *_undo(inputs), *_zone(inputs)]
    if inputs["state"] == "present":
        checks = (_ports, _services, _addresses, _rate, _activation, _exports)
        found += [fault for check in checks for fault in check(inputs)]
    return found


def host_faults(inputs: Inputs, host: Mapping[str, Any]) -> list[str]:
    """Return every fault that shows when the variables meet the host.

    Args:
        inputs: as in `faults`, without a fault by themselves.
        host: what the module rustdesk_firewall_info returned; nothing for a Windows host.
    """
    if inputs["windows"]:
        return []
    found = [*_choice_faults(inputs, host)]
    # Without sound variables there is no plan to hold against the host.
    if not found and not faults(inputs) and (chosen_backend(inputs, host) or inputs["state"] == "absent"):
        checks = (
            _system_faults,
            _firewalld_faults,
            _runtime_faults,
            _ufw_faults,
            _activation_faults,
            _nftables_faults,
            _connection_faults,
        )
        found += [fault for check in checks for fault in check(inputs, host)]
    return found


def _name(variable: str) -> str:
    return PREFIX + variable


def _backend(inputs: Inputs) -> Iterator[str]:
    backend = inputs["backend"]
    if backend == "windows" and not inputs["windows"]:
        yield (
            f"{_name('backend')}: windows is for hosts whose shell is PowerShell, and this one's is not; "
            "set ansible_shell_type to powershell for a Windows host, or leave the backend at auto"
        )
    if inputs["windows"] and backend not in ("auto", "windows"):
        yield f"{_name('backend')}: {backend} does not exist on Windows; leave it at auto"
    if inputs["windows"] and inputs["direction"] == "in":
        yield (
            f"{_name('direction')}: in is for servers, which run on Linux, and Windows cannot limit rates; "
            "give out for a Windows host"
        )


def _undo(inputs: Inputs) -> Iterator[str]:
    if not 10 <= int(inputs["undo_after"]) <= 600:
        yield f"{_name('undo_after')}: {inputs['undo_after']} cannot be used; give 10 to 600 seconds"


def _zone(inputs: Inputs) -> Iterator[str]:
    zone = str(inputs["zone"])
    if zone and inputs["backend"] not in ("auto", "firewalld"):
        yield f"{_name('zone')}: only firewalld has zones, and {_name('backend')} is {inputs['backend']}; remove it"
    if zone and not _ZONE.fullmatch(zone):
        yield f"{_name('zone')}: '{zone}' is not the name of a zone; give one that firewall-cmd --get-zones lists"


def _ports(inputs: Inputs) -> Iterator[str]:
    ports = inputs["ports"]
    if not ports:
        yield (
            f"{_name('ports')}: is empty, so there is nothing to open; give the list rustdesk_ports in the site's "
            "variables, or this one"
        )
    for number, entry in enumerate(ports, start=1):
        for fault in _entry(entry):
            yield f"{_name('ports')}: entry {number} {fault}"
    sound = [(str(entry["protocol"]), int(entry["port"])) for entry in ports if not list(_entry(entry))]
    for (protocol, port), count in Counter(sound).items():
        if count > 1:
            yield f"{_name('ports')}: {port}/{protocol} is there {count} times; keep one"
    for protocol, count in Counter(protocol for protocol, _port in set(sound)).items():
        if count > MOST_PORTS:
            yield (
                f"{_name('ports')}: has {count} {protocol} ports, and one rule holds {MOST_PORTS} at most; "
                "RustDesk needs four ports in all, so remove what is not its own"
            )
    for protocol, port in sound:
        switch = closed_ports(inputs).get(port) if protocol == "tcp" else None
        if switch:
            yield (
                f"{_name('ports')}: {port}/tcp stays closed unless {_name(switch)} is true; "
                "set that, or remove the entry"
            )


def _entry(entry: Mapping[str, Any]) -> Iterator[str]:
    """Say what is wrong with one entry of the port list."""
    unknown = sorted(map(str, set(entry) - {"protocol", "port", "purpose"}))
    if unknown:
        yield f"has {', '.join(unknown)}, which means nothing; give protocol, port and purpose"
    if entry.get("protocol") not in ("tcp", "udp"):
        yield f"has the protocol '{entry.get('protocol', '')}'; give tcp or udp, and an entry for each"
    port = entry.get("port")
    usable = re.fullmatch(r"[0-9]{1,5}", str(port)) and not isinstance(port, bool)
    if not (usable and 1 <= int(str(port)) <= 65535):
        yield f"has the port '{'' if port is None else port}'; give one number, 1 to 65535"
    purpose = entry.get("purpose")
    if not (isinstance(purpose, str) and _PURPOSE.fullmatch(purpose) and len(purpose.encode()) <= _PURPOSE_BYTES):
        yield (
            "has a purpose that cannot be written beside a rule; "
            f"give plain text of up to {_PURPOSE_BYTES} bytes, without quotes, $, |, < and >"
        )


def _services(inputs: Inputs) -> Iterator[str]:
    for name in ("id_port", "relay_port"):
        if not 3 <= int(inputs[name]) <= 65533:
            yield f"{_name(name)}: {inputs[name]} cannot be used; give 3 to 65533"
    if int(inputs["id_port"]) == int(inputs["relay_port"]):
        yield (
            f"{_name('id_port')} and {_name('relay_port')}: are both {inputs['id_port']}; "
            "give hbbs and hbbr a port each"
        )


def _addresses(inputs: Inputs) -> Iterator[str]:
    networks: list[Network] = []
    for address in map(str, inputs["remote_addresses"]):
        try:
            network = ipaddress.ip_network(address)
        except ValueError:
            yield f"{_name('remote_addresses')}: {_address_fault(address)}"
            continue
        fault = _network_fault(network)
        if fault:
            yield f"{_name('remote_addresses')}: '{address}' {fault}"
        twin = next((other for other in networks if other.version == network.version and other.overlaps(network)), None)
        if twin is not None:
            yield f"{_name('remote_addresses')}: '{address}' is covered by {twin} or covers it; keep one of them"
        networks.append(network)


def _address_fault(address: str) -> str:
    try:
        network = ipaddress.ip_network(address, strict=False)
    except ValueError:
        return (
            f"'{address}' is neither an address nor a network, and a firewall follows no name; give what it resolves to"
        )
    return f"'{address}' is an address within a network; give {network}, or the address alone"


def _network_fault(network: Network) -> str:
    if network.prefixlen == 0:
        return "is every address; leave the list empty for that"
    if network.is_loopback:
        return "is the host itself, where nothing is filtered; remove it"
    if network.is_multicast or network.is_unspecified:
        return "is no host's address; remove it"
    if network.version == 6 and getattr(network.network_address, "scope_id", None):
        return "has a scope, which rules cannot have; remove it"
    return ""


def _rate(inputs: Inputs) -> Iterator[str]:
    rate, burst = int(inputs["udp_rate"]), int(inputs["udp_burst"])
    if rate and not 10 <= rate <= 1000000:
        yield (
            f"{_name('udp_rate')}: {rate} cannot be used; give packets per second and source, 10 to 1000000, "
            "or 0 for no limit"
        )
    if rate and not 1 <= burst <= 1000000:
        yield f"{_name('udp_burst')}: {burst} cannot be used; give 1 to 1000000 packets"


def _activation(inputs: Inputs) -> Iterator[str]:
    if not inputs["activate"]:
        return
    if inputs["windows"]:
        yield (
            f"{_name('activate')}: the firewall of Windows is switched on by Windows or by group policy; leave it false"
        )
    elif inputs["backend"] == "auto":
        yield (
            f"{_name('activate')}: true does not say which firewall to switch on; "
            f"set {_name('backend')} to ufw, firewalld or nftables"
        )


def _exports(inputs: Inputs) -> Iterator[str]:
    interface = str(inputs["exports_interface"])
    if not _INTERFACE.fullmatch(interface):
        yield (
            f"{_name('exports_interface')}: '{interface}' is not the internal name of an interface; "
            "give one such as lan or opt1"
        )
    for name in ("exports_pfsense_aliases", "exports_pfsense_filter"):
        path = str(inputs[name])
        if path and not Path(path).is_file():
            yield f"{_name(name)}: there is no file {path} on the controller; correct the path, or leave it empty"


# --- What shows when they meet the host ---------------------------------------------------------------------------


def _choice_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    active, backend = host["active"], inputs["backend"]
    if backend == "auto" and len(active) > 1:
        yield (
            f"{_name('backend')}: {' and '.join(active)} are active on this host, and what one lets through another "
            f"may stop; switch off all but one, or name the one to use"
        )
    if inputs["activate"] and active and backend not in active and backend != "auto":
        yield (
            f"{_name('activate')}: {' and '.join(active)} is active on this host, and a second firewall beside it "
            f"would close what it lets through; name {active[0]} in {_name('backend')}, or switch it off first"
        )
    if backend != "auto" and backend not in host["installed"]:
        yield (
            f"{_name('backend')}: {backend} is not installed on this host; install it, or name what is "
            f"({', '.join(host['installed']) or 'there is none'})"
        )


def _system_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if not host["systemd"]:
        yield (
            f"{_name('state')}: {inputs['state']} needs systemd, which undoes a change that cuts the host off, "
            "and it does not run the services of this host"
        )
    if host["undo_pending"] and not inputs["again"]:
        yield (
            f"{_name('undo_after')}: the change of an earlier run has not been confirmed and is about to be undone; "
            "run again in some minutes, or end it now with systemctl start rustdesk-firewall-undo.service"
        )
    if inputs["again"] and not host["undo_pending"]:
        yield (
            f"{_name('undo_after')}: the change was undone after {inputs['undo_after']} s, before it could be "
            "confirmed; give a greater number for a host as slow as this"
        )
    if needs_table(inputs) and "nftables" not in host["installed"]:
        yield (
            f"{_name('udp_rate')}: limits and closed ports need nft, which this host does not have; install the "
            f"package nftables, or set it to 0 and {_name('websocket_ports')} and {_name('api_port')} to true"
        )


def _firewalld_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    firewalld = host["firewalld"]
    if chosen_backend(inputs, host) != "firewalld" or "firewalld" not in host["active"]:
        return
    version = tuple(int(part) for part in re.findall(r"[0-9]+", firewalld["version"])[:2])
    if inputs["direction"] == "out" and version < OLDEST_FIREWALLD:
        yield (
            f"{_name('direction')}: firewalld {firewalld['version']} cannot filter what leaves the host with the means "
            "of its own; update it to 0.9 or newer"
        )
    if inputs["zone"] and inputs["zone"] not in firewalld["zones"]:
        yield (
            f"{_name('zone')}: firewalld has no zone {inputs['zone']} on this host, "
            f"only {', '.join(firewalld['zones'])}; name one of these"
        )


def _runtime_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    """Say what firewalld would forget, whichever firewall gets the rules: also to remove some, it is reloaded."""
    kept = host["firewalld"]["runtime_only"]
    if not kept or "firewalld" not in host["active"]:
        return
    done = plan(inputs, host)
    if done and (done["firewalld"] or done["deactivate"] == "firewalld"):
        yield (
            f"{_name('backend')}: firewalld holds what is not in its permanent configuration "
            f"({'; '.join(kept)}), and the reload that this change needs would lose it; keep it "
            "with firewall-cmd --runtime-to-permanent, or drop it with firewall-cmd --reload"
        )


def _ufw_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    named: dict[str, str] = {}
    for wanted, rule in ufw_denials(inputs, host):
        keeps = wanted["comment"].endswith(" keep")
        named.setdefault(_ufw_text(rule), _name("activate" if keeps else "ports"))
    for text, variable in named.items():
        yield (
            f"{variable}: the rule '{text}' of ufw decides on what is to be let through, before the role's rule could, "
            f"and the role replaces no rule of others; remove it with ufw delete {text}, or narrow it down to what it "
            "has to stop"
        )


def _ufw_text(rule: Mapping[str, Any]) -> str:
    """Return a rule as ufw takes it."""
    ends = (rule["address"], "any") if rule["direction"] == "in" else ("any", rule["address"])
    protocol = "" if rule["protocol"] == "any" else f" proto {rule['protocol']}"
    port = "" if rule["ports"] == "any" else f" port {rule['ports']}"
    if rule["profile"]:
        protocol, port = "", f" app {rule['profile']}"
    return f"{rule['action']} {rule['direction']}{protocol} from {ends[0]} to {ends[1]}{port}"


def _activation_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    port = host["connection"]["port"]
    starts = inputs["state"] == "present" and inputs["backend"] == "firewalld" and "firewalld" not in host["active"]
    if starts and inputs["activate"] and port and not host["firewalld"]["admits_connection"]:
        zone = host["firewalld"]["default_zone"]
        yield (
            f"{_name('activate')}: this run came over port {port}, which firewalld's zone {zone} does not let in, so "
            f"the host would be cut off; allow it first, with firewall-offline-cmd --zone={zone} --add-port={port}/tcp"
        )


def _nftables_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    if chosen_backend(inputs, host) != "nftables" or inputs["state"] != "present":
        return
    foreign = [chain["name"] for chain in host["nftables"]["denying"] if chain["compat"]]
    if foreign:
        yield (
            f"{_name('backend')}: {', '.join(foreign)} denies what is not allowed and belongs to iptables, whose rules "
            "nft must not touch; allow the ports where these rules are made, or move them to nftables"
        )


def _connection_faults(inputs: Inputs, host: Mapping[str, Any]) -> Iterator[str]:
    port = host["connection"]["port"]
    switch = closed_ports(inputs).get(port)
    if inputs["state"] == "present" and inputs["direction"] == "in" and switch:
        yield (
            f"{_name(switch)}: this run came over port {port}, which would be closed; "
            "set it to true, or let the remote shell listen on another port"
        )
    held = inputs["state"] == "absent" and inputs["direction"] == "in" and not list(_ports(inputs))
    if held and port in ports_of(asked_ports(inputs), "tcp"):
        yield (
            f"{_name('state')}: this run came over port {port}, which the role's rules hold open; "
            "connect over another port to remove them"
        )
