# SPDX-License-Identifier: MIT
"""What the rules of a host have to be, and what is to be done until they are: the difference to what it has."""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Mapping
from typing import Any

from ansible.module_utils.firewall_nft import DIRECTIONS, TAG, comment, file_of

Inputs = Mapping[str, Any]
"""As in `firewall_inputs`."""
Host = Mapping[str, Any]
"""What the module rustdesk_firewall_info returned; nothing for a Windows host."""
Rule = dict[str, Any]

LOADER = "/usr/local/lib/rustdesk-firewall.py"
UNIT = "/etc/systemd/system/rustdesk-firewall.service"
SERVICES = "/etc/firewalld/services"
POLICIES = "/etc/firewalld/policies"


# --- What is asked for --------------------------------------------------------------------------------------------


def windows_shell(shell_type: str, connection: str) -> bool:
    """Tell whether a host is a Windows one, by the shell that modules are run with."""
    return shell_type in ("powershell", "cmd") or connection in ("winrm", "psrp")


def _switched(inputs: Inputs) -> list[tuple[str, int, str]]:
    """Return the ports that have a switch: its name, the port, and what it is for."""
    id_port, relay_port = int(inputs["id_port"]), int(inputs["relay_port"])
    return [
        ("api_port", id_port - 2, "API server, which the open-source server has not"),
        ("websocket_ports", id_port + 2, "WebSocket to the ID server, without TLS"),
        ("websocket_ports", relay_port + 2, "WebSocket to the relay, without TLS"),
    ]


def asked_ports(inputs: Inputs) -> list[Rule]:
    """Return the entries that are to be open, in the order they are given in."""
    entries = [{**entry, "port": int(entry["port"])} for entry in inputs["ports"]]
    return entries + [
        {"protocol": "tcp", "port": port, "purpose": purpose}
        for switch, port, purpose in _switched(inputs)
        if inputs[switch]
    ]


def closed_ports(inputs: Inputs) -> dict[int, str]:
    """Return the TCP ports that stay closed, each with the variable that opens it."""
    return {port: switch for switch, port, _purpose in _switched(inputs) if not inputs[switch]}


def needs_table(inputs: Inputs) -> bool:
    """Tell whether something is asked for that only a table of nftables can do: limit by source, close for certain."""
    restricts = bool(int(inputs["udp_rate"])) or bool(closed_ports(inputs))
    return inputs["state"] == "present" and inputs["direction"] == "in" and restricts


def ports_of(entries: list[Rule], protocol: str) -> list[int]:
    """Return the ports of one protocol, ascending."""
    return sorted(entry["port"] for entry in entries if entry["protocol"] == protocol)


def addresses_of(inputs: Inputs) -> list[str]:
    """Return the remote addresses in the one spelling that all backends print: a single host without its prefix."""
    networks = [ipaddress.ip_network(str(address)) for address in inputs["remote_addresses"]]
    return [str(net.network_address) if net.prefixlen == net.max_prefixlen else str(net) for net in networks]


# --- Which firewall -----------------------------------------------------------------------------------------------


def look(inputs: Inputs) -> tuple[str, dict[str, Any]] | None:
    """Return the module that looks at the host, and its arguments; none for Windows, whose modules look themselves."""
    return None if inputs["windows"] else ("rustdesk_firewall_info", {})


def chosen_backend(inputs: Inputs, host: Host) -> str:
    """Return the backend whose rules are written; "" when none is, as none is active and none is to be activated."""
    if inputs["windows"]:
        return "windows"
    active, backend = host["active"], str(inputs["backend"])
    if backend == "auto":
        return str(active[0]) if active else ""
    return backend if backend in active or inputs["activate"] else ""


def _writes(inputs: Inputs, host: Host, backend: str) -> bool:
    return inputs["state"] == "present" and chosen_backend(inputs, host) == backend


def _is_last(inputs: Inputs, host: Host) -> bool:
    """Tell whether no rule of the role remains once this direction's are removed."""
    others = [direction for direction in DIRECTIONS if direction != inputs["direction"]]
    return inputs["state"] == "absent" and not any(other in host["directions"] for other in others)


# --- ufw ----------------------------------------------------------------------------------------------------------


def ufw_rules(inputs: Inputs, host: Host) -> list[Rule]:
    """Return the rules ufw has to have: one for each protocol and address, as one rule holds several ports."""
    if not _writes(inputs, host, "ufw"):
        return []
    entries = asked_ports(inputs)
    rules = [
        {
            "direction": inputs["direction"],
            "protocol": protocol,
            "ports": ",".join(map(str, ports_of(entries, protocol))),
            "address": address,
            "comment": comment(inputs["direction"]),
        }
        for protocol in ("tcp", "udp")
        for address in addresses_of(inputs) or ["any"]
        if ports_of(entries, protocol)
    ]
    port = host["connection"]["port"]
    keep = {"direction": "in", "protocol": "tcp", "ports": str(port), "address": "any"}
    # A rule of somebody else that limits this port lets the connection through, and ufw would replace it. Where ufw is
    # active, the connection is let in already, and perhaps from few addresses only.
    if inputs["activate"] and "ufw" not in host["active"] and port and keep not in host["ufw"]["limited"]:
        # First, so that the way back is open before anything else changes.
        rules.insert(0, {**keep, "comment": f"{TAG} keep"})
    return rules


def ufw_denials(inputs: Inputs, host: Host) -> list[tuple[Rule, Rule]]:
    """Return what makes rules of ufw impossible or useless: the wanted rule, and the one of somebody else.

    ufw replaces a rule that differs in nothing but its action, and the first rule that fits a packet decides on it.
    """
    found = []
    asked = ufw_rules(inputs, host)
    kept = [
        rule
        for rule in host["ufw"]["rules"]
        if not rule["comment"].startswith(f"{TAG} ") or any(_is_same(rule, wanted) for wanted in asked)
    ]
    for wanted in asked:
        keeps = wanted["comment"] == f"{TAG} keep"
        denying = ("deny", "reject") if keeps else ("deny", "reject", "limit")
        remote = _peer(host) if keeps else wanted["address"]
        for version in (4, 6):
            rules = [rule for rule in kept if rule["version"] == version]
            deciding = [_first(rules, wanted, port, remote) for port in wanted["ports"].split(",")]
            deciding += [rule for rule in rules if _is_same(rule, wanted)]
            found += [(wanted, rule) for rule in deciding if rule is not None and rule["action"] in denying]
    return found


def _peer(host: Host) -> str:
    """Return the address this run came from; "any" when it is none that rules could have."""
    try:
        return str(ipaddress.ip_network(host["connection"]["peer"]))
    except ValueError:
        return "any"


def _is_same(rule: Rule, wanted: Rule) -> bool:
    names = ("direction", "protocol", "ports", "address")
    return not rule["profile"] and all(rule[name] == wanted[name] for name in names)


def _first(rules: list[Rule], wanted: Rule, port: str, remote: str) -> Rule | None:
    """Return the first of the rules that fits all packets to a port; rules for some of them are somebody's will."""
    for rule in rules:
        fits = rule["direction"] == wanted["direction"] and rule["protocol"] in ("any", wanted["protocol"])
        if fits and _holds_port(rule["ports"], int(port)) and _holds_address(rule, remote):
            return rule
    return None


def _holds_port(ports: str, port: int) -> bool:
    ranges = [part.partition(":") for part in ports.split(",")]
    return ports == "any" or any(int(first) <= port <= int(last or first) for first, _colon, last in ranges)


def _holds_address(rule: Rule, remote: str) -> bool:
    if "any" in (rule["address"], remote):
        return bool(rule["address"] == "any" and (remote == "any" or _version(remote) == rule["version"]))
    theirs, ours = ipaddress.ip_network(rule["address"], strict=False), ipaddress.ip_network(remote)
    return theirs.version == ours.version and theirs.prefixlen <= ours.prefixlen and theirs.overlaps(ours)


def _version(address: str) -> int:
    return ipaddress.ip_network(address).version


def _ufw_plan(inputs: Inputs, host: Host) -> dict[str, list[Rule]]:
    wanted = ufw_rules(inputs, host)
    there = [{name: value for name, value in rule.items() if name != "complete"} for rule in host["ufw"]["own"]]
    complete = [rule for rule, entry in zip(there, host["ufw"]["own"]) if entry["complete"]]
    same = [{name: value for name, value in rule.items() if name != "comment"} for rule in wanted]
    foreign = [rule for rule, bare in zip(wanted, same) if bare in host["ufw"]["foreign"]]
    return {
        "add": [rule for rule in wanted if rule not in complete and rule not in foreign],
        "remove": [rule for rule in there if rule not in wanted and _is_ours_to_remove(inputs, host, rule["comment"])],
    }


def _is_ours_to_remove(inputs: Inputs, host: Host, text: str) -> bool:
    """Tell whether a rule goes with this direction; what holds the connection open goes with the last one."""
    return text == comment(inputs["direction"]) or (text == f"{TAG} keep" and _is_last(inputs, host))


# --- firewalld ----------------------------------------------------------------------------------------------------


def firewalld_service(direction: str) -> str:
    """Return the name of the service, and of the policy, that holds a direction's ports."""
    return f"rustdesk-{direction}"


def firewalld_entries(inputs: Inputs, host: Host) -> list[Rule]:
    """Return what zones have to hold: the service, or a rich rule with it for each address."""
    if not _writes(inputs, host, "firewalld"):
        return []
    zone = inputs["zone"] or host["firewalld"]["default_zone"]
    service = firewalld_service("in")
    if inputs["direction"] == "out":
        return []
    if not inputs["remote_addresses"]:
        return [{"zone": zone, "kind": "service", "value": service}]
    return [
        {
            "zone": zone,
            "kind": "rich_rule",
            "value": f'rule family="ipv{ipaddress.ip_network(address).version}" source address="{address}" '
            f'service name="{service}" accept',
        }
        for address in addresses_of(inputs)
    ]


def _firewalld_plan(inputs: Inputs, host: Host) -> dict[str, list[Rule]]:
    wanted = firewalld_entries(inputs, host)
    found = host["firewalld"]["entries"]
    there = [{name: entry[name] for name in ("zone", "kind", "value")} for entry in found]
    active = "firewalld" in host["active"]
    complete = [rule for rule, entry in zip(there, found) if entry["permanent"] and (entry["runtime"] or not active)]
    return {
        "add": [rule for rule in wanted if rule not in complete],
        "remove": [rule for rule in there if rule not in wanted and inputs["direction"] == "in"],
    }


# --- Files --------------------------------------------------------------------------------------------------------


def wanted_files(inputs: Inputs, host: Host) -> list[str]:
    """Return the files the role has to have on the host for this direction, and those both directions share."""
    direction, files = inputs["direction"], []
    if _writes(inputs, host, "nftables") or (chosen_backend(inputs, host) and needs_table(inputs)):
        files += [str(file_of(direction, "nft")), LOADER, UNIT]
    if _writes(inputs, host, "nftables"):
        files.append(str(file_of(direction, "pass")))
    if _writes(inputs, host, "firewalld"):
        files.append(f"{SERVICES}/{firewalld_service(direction)}.xml")
        if direction == "out":
            files.append(f"{POLICIES}/{firewalld_service(direction)}.xml")
    return files


def _removable_files(inputs: Inputs, host: Host) -> list[str]:
    direction = inputs["direction"]
    files = [
        str(file_of(direction, "nft")),
        str(file_of(direction, "pass")),
        f"{POLICIES}/{firewalld_service(direction)}.xml",
        f"{SERVICES}/{firewalld_service(direction)}.xml",
    ]
    if not any(str(file_of(other, "nft")) in host["files"] for other in DIRECTIONS if other != direction):
        files += [LOADER, UNIT]
    return files


def _file_plan(inputs: Inputs, host: Host) -> dict[str, list[str]]:
    wanted, there = wanted_files(inputs, host), host["files"]
    digests = {path: hashlib.sha256(str(inputs["texts"][path]).encode()).hexdigest() for path in wanted}
    return {
        "write": [path for path in wanted if there.get(path) != digests[path]],
        "remove": [path for path in _removable_files(inputs, host) if path in there and path not in wanted],
    }


# --- All of it ----------------------------------------------------------------------------------------------------


def plan(inputs: Inputs, host: Host) -> dict[str, Any]:
    """Return what is to be done on a Linux host; every part is empty or false when nothing is."""
    backend = chosen_backend(inputs, host)
    absent = inputs["state"] == "absent"
    if not backend and not absent:
        return {}
    files, ufw, firewalld = _file_plan(inputs, host), _ufw_plan(inputs, host), _firewalld_plan(inputs, host)
    wanted = wanted_files(inputs, host)
    nftables = host["nftables"]
    unit = UNIT in wanted
    direction = inputs["direction"]
    deactivate = host["activated"] if _is_last(inputs, host) else ""
    stays = "firewalld" in host["active"] and deactivate != "firewalld"
    defined = any(path.startswith((SERVICES, POLICIES)) for path in files["write"] + files["remove"])
    reload = stays and (defined or host["firewalld"]["own_stale"])
    done = {
        "write": files["write"],
        "remove": files["remove"],
        "ufw_add": ufw["add"],
        "ufw_remove": ufw["remove"],
        "firewalld_add": firewalld["add"],
        "firewalld_remove": firewalld["remove"],
        "firewalld_reload": reload,
        "firewalld": bool(firewalld["add"] or firewalld["remove"] or defined or reload),
        "load": (
            unit and not (nftables["intact"][direction] and direction in nftables["loaded"] and nftables["unit_active"])
        )
        or any(path.startswith(("/etc/rustdesk-firewall-", LOADER, UNIT)) for path in files["write"] + files["remove"]),
        "enable": unit and not nftables["unit_enabled"],
        "activate": backend if not absent and backend not in host["active"] else "",
        "deactivate": deactivate,
    }
    return done if any(done.values()) else {}


def known(inputs: Inputs, host: Host) -> dict[str, Any]:
    """Return what the role goes by: the backend, what is to be done, and a sentence when nothing can be."""
    backend = chosen_backend(inputs, host)
    entries = asked_ports(inputs) if inputs["state"] == "present" else []
    return {
        "backend": backend,
        "windows": inputs["windows"],
        "active": ["windows"] if inputs["windows"] else host["active"],
        "ports": {protocol: ports_of(entries, protocol) for protocol in ("tcp", "udp")},
        "plan": {} if inputs["windows"] else plan(inputs, host),
        "report": _report(inputs, host) if inputs["state"] == "present" and not backend else "",
        "denied": _denied(inputs, host) if inputs["state"] == "present" and backend == "nftables" else "",
    }


def _denied(inputs: Inputs, host: Host) -> str:
    """Name the rules of nftables that deny some of what is asked for; they are somebody's will, and stay first."""
    named = [
        f"handle {rule['handle']} in {rule['chain']}"
        for rule in host["nftables"]["narrowing"]
        if rule["direction"] == inputs["direction"] and any(_concerns(rule, entry) for entry in asked_ports(inputs))
    ]
    if not named:
        return ""
    return (
        f"Rules of this host deny some of what is let through, and stay before the role's: {', '.join(named)} "
        "(nft --handle list ruleset shows them)."
    )


def _concerns(rule: Rule, entry: Rule) -> bool:
    inside = any(first <= entry["port"] <= last for first, last in rule["ports"])
    return entry["protocol"] in rule["protocols"] and (inside or not rule["ports"])


def _report(inputs: Inputs, host: Host) -> str:
    denying = [chain["name"] for chain in host["nftables"]["denying"] if chain["compat"]]
    aside = f" (rules of iptables deny in {', '.join(denying)}: allow the ports there)" if denying else ""
    if inputs["backend"] == "auto":
        return (
            f"No firewall that the role knows is active{aside}, so nothing was changed. To have one switched on, name "
            "it in rustdesk_firewall_backend and set rustdesk_firewall_activate."
        )
    return (
        f"{inputs['backend']} is not active{aside}, so nothing was changed. To have it switched on, set "
        "rustdesk_firewall_activate."
    )
