#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Look at the firewalls of a Linux host, and at the rules the role rustdesk_firewall has there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_firewall_info
short_description: Look at the firewalls of a Linux host
description:
  - Finds out in one remote execution which firewalls are installed and active, which rules of the role
    C(rustdesk_firewall) they hold, and which connection this run came over.
  - Rules of the role are told by their comment, which begins with C(rustdesk_firewall); in firewalld, whose rules have
    no comment, by the name of the service and the policy they refer to.
  - Changes nothing.
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
requirements:
  - firewalld's Python library, where firewalld is active
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Look at the firewalls
  rustdesk_firewall_info:
  register: __firewalls
"""

RETURN = r"""
systemd:
  description: Whether systemd manages the services of this host.
  returned: always
  type: bool
installed:
  description: Those of ufw, firewalld and nftables that are installed.
  returned: always
  type: list
  elements: str
  sample: [ufw, nftables]
active:
  description:
    - Those that filter. nftables counts when its service is active, when a chain that is not of another firewall denies
      what it does not allow, or when the role has activated it.
  returned: always
  type: list
  elements: str
  sample: [ufw]
activated:
  description: The firewall that the role has switched on, empty when it has not.
  returned: always
  type: str
connection:
  description: The TCP port of this host, and the peer's address, that this run came over by SSH.
  returned: always
  type: dict
  contains:
    port:
      description: The port; 0 when it did not come over SSH.
      type: int
    peer:
      description: The address; empty when it did not come over SSH.
      type: str
directions:
  description: The directions, V(in) and V(out), for which something of the role is on this host.
  returned: always
  type: list
  elements: str
files:
  description: The files of the role on this host, with their SHA-256.
  returned: always
  type: dict
undo_pending:
  description: Whether a change waits for its confirmation, and is undone without.
  returned: always
  type: bool
ufw:
  description: Rules of ufw.
  returned: always
  type: dict
  contains:
    own:
      description: >-
        Rules of the role as direction, protocol, ports, address and comment; C(complete) is whether the rule is there
        for IPv4 and IPv6.
      type: list
      elements: dict
    foreign:
      description: Rules of others that allow ports to addresses, without comment.
      type: list
      elements: dict
    limited:
      description: Rules that limit connections to ports, likewise.
      type: list
      elements: dict
    rules:
      description: >-
        All rules that are not bound to an interface, a source port or an address of this host, in their order. Each as
        version (of IP), action, direction, protocol, ports, address, comment and profile, the application profile it
        was made from.
      type: list
      elements: dict
firewalld:
  description: State of firewalld.
  returned: always
  type: dict
  contains:
    version:
      description: Its version, empty when it is not active.
      type: str
    default_zone:
      description: The zone of interfaces that have no other.
      type: str
    zones:
      description: Its zones.
      type: list
      elements: str
    entries:
      description: Where zones refer to services of the role; each as zone, kind, value, permanent and runtime.
      type: list
      elements: dict
    runtime_only:
      description: A few sentences on what the runtime has and the permanent configuration has not, or the other way.
      type: list
      elements: str
    admits_connection:
      description: >-
        Whether the default zone, by its permanent configuration, lets in the connection this run came over. Always true
        where firewalld is active, or the run did not come over SSH.
      type: bool
    own_stale:
      description: Whether a service or policy of the role is another one in the runtime.
      type: bool
nftables:
  description: State of nftables.
  returned: always
  type: dict
  contains:
    loaded:
      description: Directions whose table is loaded.
      type: list
      elements: str
    intact:
      description: For each direction, whether its rules are what was loaded, and in every chain that needs them.
      type: dict
    denying:
      description: >-
        Chains of others that deny what they do not allow, as name and hook; C(compat) is whether they belong to
        iptables.
      type: list
      elements: dict
    narrowing:
      description: >-
        Rules of others that deny some addresses, ports or interfaces before rules of the role could allow them; each as
        direction, chain, handle, protocols and ports, ranges of these or none for all.
      type: list
      elements: dict
    unit_active:
      description: Whether the unit that loads the role's rules has done so.
      type: bool
    unit_enabled:
      description: Whether the unit is enabled.
      type: bool
"""

import contextlib
import hashlib
import os
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils import firewall_undo
from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.firewall_nft import (
    ACTIVATED,
    DIRECTIONS,
    TAG,
    NftError,
    denying,
    file_of,
    intact,
    narrowing,
    own_table,
    ruleset,
)
from ansible.module_utils.firewall_plan import LOADER, POLICIES, SERVICES, UNIT, firewalld_service

if TYPE_CHECKING:
    from collections.abc import Iterator

SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd is the system's manager (sd_booted(3))."""
UFW = Path("/etc/ufw")
ZONES = (Path("/etc/firewalld/zones"), Path("/usr/lib/firewalld/zones"))

_UNITS = ("firewalld.service", "nftables.service", "rustdesk-firewall.service")
_TUPLE = re.compile(
    r"### tuple ### (?P<rule>\S+) (?P<protocol>\S+) (?P<ports>\S+) (?P<destination>\S+) (?P<source_port>\S+) "
    r"(?P<source>\S+)(?: (?P<profile>\S+) (?P<source_profile>\S+))? (?P<direction>in|out)"
    r"(?: comment=(?P<comment>[0-9a-f]+))?"
)
"""A rule for all interfaces, as ufw writes it before its translation (ufw, `backend_iptables.py`)."""
_ANYWHERE = ("0.0.0.0/0", "::/0")

_FEW = 3
"""As many differences as fit into a sentence."""

Rule = dict[str, Any]


# --- The connection -----------------------------------------------------------------------------------------------


def _parent(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    match = re.search(r"^PPid:\s*(\d+)", status, re.MULTILINE)
    return int(match[1]) if match else 0


def connection() -> dict[str, Any]:
    """Return the port and the peer of the SSH connection this process came over.

    sshd tells them in the environment (sshd(8), SSH_CONNECTION), which sudo takes away again: so the parents are asked.
    """
    pid = os.getpid()
    while pid > 1:
        with contextlib.suppress(OSError):
            variables = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace").split("\0")
            for variable in variables:
                words = variable.partition("SSH_CONNECTION=")[2].split()
                if len(words) == 4 and words[3].isdigit():
                    return {"port": int(words[3]), "peer": words[0]}
        try:
            pid = _parent(pid)
        except OSError:
            break
    return {"port": 0, "peer": ""}


# --- ufw ----------------------------------------------------------------------------------------------------------


def ufw_tuples(text: str) -> Iterator[Rule]:
    """Yield the rules for ports, in the order that ufw has written them down in."""
    for match in map(_TUPLE.fullmatch, text.splitlines()):
        if match is None or match["source_port"] != "any" or (match["source_profile"] or "-") != "-":
            continue
        remote, local = match["source"], match["destination"]
        if match["direction"] == "out":
            remote, local = local, remote
        if local in _ANYWHERE:
            yield {
                "action": match["rule"].partition("_")[0],
                "logged": "_" in match["rule"],
                "direction": match["direction"],
                "protocol": match["protocol"],
                "ports": match["ports"],
                "address": "any" if remote in _ANYWHERE else remote,
                "comment": bytes.fromhex(match["comment"] or "").decode(errors="replace"),
                "profile": (match["profile"] or "").replace("%20", " "),
            }


def _text(path: Path) -> str:
    """Return what a file holds; nothing when there is none."""
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _bare(rule: Rule, *more: str) -> Rule:
    """Return a rule as the role would write it, without what it is read with."""
    return {name: value for name, value in rule.items() if name not in ("action", "logged", "profile", *more)}


def ufw_state(directory: Path = UFW, defaults: Path = Path("/etc/default/ufw")) -> dict[str, Any]:
    """Return the rules of ufw, those for any address as one for both versions of IP."""
    with_six = not re.search(r"^IPV6=no", _text(defaults), re.MULTILINE | re.IGNORECASE)
    four, six = (list(ufw_tuples(_text(directory / name))) for name in ("user.rules", "user6.rules"))
    both = [rule for rule in four + [rule for rule in six if rule not in four] if not rule["profile"]]
    allowed = [rule for rule in both if rule["action"] == "allow"]
    own = [rule for rule in allowed if rule["comment"].startswith(f"{TAG} ") and not rule["logged"]]
    return {
        "own": [
            {**_bare(rule), "complete": rule["address"] != "any" or (rule in four and (rule in six or not with_six))}
            for rule in own
        ],
        "foreign": [
            _bare(rule, "comment")
            for rule in allowed
            if not rule["comment"].startswith(f"{TAG} ")
            and (rule["address"] != "any" or not with_six or (rule in four and rule in six))
        ],
        "limited": [_bare(rule, "comment") for rule in both if rule["action"] == "limit" and rule in four],
        "rules": [
            {name: value for name, value in {**rule, "version": version}.items() if name != "logged"}
            for version, rules in ((4, four), (6, six if with_six else []))
            for rule in rules
            if not rule["action"].startswith("route:")
        ],
    }


# --- firewalld ----------------------------------------------------------------------------------------------------


def zone_values(element: ET.Element) -> Iterator[tuple[str, str]]:
    """Yield what a zone's file holds of the role's services, as kind and value."""
    own = {firewalld_service(name) for name in DIRECTIONS}
    for service in element.findall("service"):
        if service.get("name") in own:
            yield "service", str(service.get("name"))
    for rule in element.findall("rule"):
        names = [str(service.get("name")) for service in rule.findall("service")]
        sources = [f' source address="{source.get("address")}"' for source in rule.findall("source")]
        if own.intersection(names):
            text = f'rule family="{rule.get("family")}"{"".join(sources)} service name="{names[0]}" accept'
            yield "rich_rule", text


def permanent_entries() -> list[Rule]:
    """Return where zones refer to services of the role, in the permanent configuration."""
    return [
        {"zone": path.stem, "kind": kind, "value": value}
        for path in sorted(ZONES[0].glob("*.xml"))
        for kind, value in zone_values(ET.parse(path).getroot())  # noqa: S314  # the host's own configuration
    ]


def _settings(holder: Any) -> dict[str, Any]:
    values: dict[str, Any] = holder.getSettingsDict()
    return values


def _differences(kind: str, name: str, runtime: dict[str, Any], permanent: dict[str, Any]) -> Iterator[str]:
    """Yield a sentence for each setting that the runtime does not share; interfaces are bound by who manages them."""
    for key in sorted((set(runtime) | set(permanent)) - {"interfaces"}):
        if runtime.get(key) != permanent.get(key):
            yield f"{kind} {name}: {key.replace('_', ' ')}"


def firewalld_running() -> dict[str, Any]:
    """Return the state of the running firewalld.

    Raises:
        ImportError: its library is not there for this Python.
    """
    from firewall.client import FirewallClient  # type: ignore[import-not-found]  # noqa: PLC0415  # only where firewalld is

    client = FirewallClient()
    config = client.config()
    own = [firewalld_service(name) for name in DIRECTIONS]
    zones, policies = list(client.getZones()), list(client.getPolicies())
    permanent_policies = list(config.getPolicyNames())
    differences: list[str] = []
    entries: list[Rule] = []
    for zone in zones:
        runtime = _settings(client.getZoneSettings(zone))
        differences += _differences("zone", zone, runtime, _settings(config.getZoneByName(zone).getSettings()))
        entries += [
            {"zone": zone, "kind": "service", "value": name} for name in runtime.get("services", ()) if name in own
        ]
        entries += [
            {"zone": zone, "kind": "rich_rule", "value": rule}
            for rule in runtime.get("rules_str", ())
            if any(f'service name="{name}"' in rule for name in own)
        ]
    stale = set(permanent_policies) ^ set(policies)
    for policy in sorted(set(policies) & set(permanent_policies)):
        runtime = _settings(client.getPolicySettings(policy))
        if list(_differences("policy", policy, runtime, _settings(config.getPolicyByName(policy).getSettings()))):
            stale.add(policy)
    differences += [f"policy {policy}" for policy in sorted(stale - set(own))]
    direct = config.direct().getSettings()
    if list(client.getAllRules()) != list(direct.getAllRules()) or list(client.getAllChains()) != list(
        direct.getAllChains()
    ):
        differences.append("direct rules")
    known = list(client.listServices())
    permanent_services = list(config.getServiceNames())
    stale_services = [
        name
        for name in own
        if (name in known) != (name in permanent_services)
        or (
            name in known
            and _settings(client.getServiceSettings(name)) != _settings(config.getServiceByName(name).getSettings())
        )
    ]
    return {
        "version": str(client.get_property("version")),
        "default_zone": str(client.getDefaultZone()),
        "zones": zones,
        "runtime": entries,
        "runtime_only": [str(text) for text in differences],
        "own_stale": bool(stale & set(own)) or bool(stale_services),
    }


def definition(kind: str, name: str) -> ET.Element | None:
    """Return a zone or a service as firewalld would read it; none when there is none."""
    for directory in ("/etc/firewalld", "/usr/lib/firewalld"):
        path = Path(directory, kind, f"{name}.xml")
        if path.exists():
            return ET.parse(path).getroot()  # noqa: S314  # the host's own configuration
    return None


def admits(zone: ET.Element | None, port: int) -> bool:
    """Tell whether a zone lets in a TCP port."""
    if zone is None:
        return False
    holders = [zone, *(definition("services", str(service.get("name"))) for service in zone.findall("service"))]
    ports = [entry for holder in holders if holder is not None for entry in holder.findall("port")]
    for entry in ports:
        first, _dash, last = str(entry.get("port")).partition("-")
        if entry.get("protocol") == "tcp" and int(first) <= port <= int(last or first):
            return True
    return zone.get("target") == "ACCEPT"


def firewalld_state(module: AnsibleModule, *, active: bool, port: int) -> dict[str, Any]:
    """Return the state of firewalld; of one that does not run, only what its files say."""
    permanent = permanent_entries()
    state: dict[str, Any] = {
        "version": "",
        "default_zone": default_zone(),
        "zones": sorted({path.stem for directory in ZONES for path in directory.glob("*.xml")}),
        "runtime": [],
        "runtime_only": [],
        "own_stale": False,
    }
    admitted = active or not port or admits(definition("zones", state["default_zone"]), port)
    if active:
        try:
            state = firewalld_running()
        except ImportError:
            module.fail_json(
                msg="the Python that Ansible uses on this host has no library of firewalld; set "
                "ansible_python_interpreter to the system's (/usr/bin/python3) and install python3-firewall"
            )
    runtime = state.pop("runtime")
    entries = permanent + [entry for entry in runtime if entry not in permanent]
    own = {(entry["zone"], entry["kind"], entry["value"]) for entry in entries}
    told = {f"zone {zone}: {'services' if kind == 'service' else 'rules str'}" for zone, kind, _value in own}
    # What differs because of the role's own entries is the role's to mend.
    same = [entry for entry in entries if (entry in permanent) == (entry in runtime)]
    if len(same) != len(entries):
        state["runtime_only"] = [text for text in state["runtime_only"] if text not in told]
    state["runtime_only"] = state["runtime_only"][:_FEW]
    state["admits_connection"] = admitted
    state["entries"] = [{**entry, "permanent": entry in permanent, "runtime": entry in runtime} for entry in entries]
    return state


def default_zone(file: Path = Path("/etc/firewalld/firewalld.conf")) -> str:
    """Return the default zone by firewalld's settings."""
    match = re.search(r"^DefaultZone=(\S+)", _text(file), re.MULTILINE)
    return match[1] if match else "public"


# --- The host -----------------------------------------------------------------------------------------------------


def units(module: AnsibleModule) -> dict[str, dict[str, str]]:
    """Return the state of the units that matter."""
    systemctl = module.get_bin_path("systemctl") if SYSTEMD.is_dir() else None
    if systemctl is None:
        return {}
    names = [*_UNITS, "rustdesk-firewall-undo.timer", "rustdesk-firewall-undo.service"]
    _code, out, _err = module.run_command([systemctl, "show", "--property=Id,ActiveState,UnitFileState", "--", *names])
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in out.strip().split("\n\n")]
    return {block.get("Id", ""): block for block in blocks}


def ufw_active(module: AnsibleModule) -> bool:
    """Ask ufw whether it filters."""
    ufw = module.get_bin_path("ufw")
    if ufw is None:
        return False
    _code, out, _err = module.run_command([ufw, "status"], environ_update={"LC_ALL": "C"})
    return bool(re.search(r"^Status: active", out, re.MULTILINE))


def own_files() -> dict[str, str]:
    """Return the files of the role, with their digests."""
    paths = [Path(LOADER), Path(UNIT)]
    paths += [file_of(direction, kind) for direction in DIRECTIONS for kind in ("nft", "pass")]
    paths += [Path(f"{SERVICES}/{firewalld_service(name)}.xml") for name in DIRECTIONS]
    paths += [Path(f"{POLICIES}/{firewalld_service(name)}.xml") for name in DIRECTIONS]
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.exists()}


def nftables_state(module: AnsibleModule, unit: dict[str, str]) -> dict[str, Any]:
    """Return what nft has loaded.

    Raises:
        NftError: nft refuses to tell.
    """
    objects = ruleset() if module.get_bin_path("nft") else []
    tables = [entry["table"]["name"] for entry in objects if "table" in entry]
    return {
        "loaded": [direction for direction in DIRECTIONS if own_table(direction) in tables],
        "intact": {direction: intact(objects, direction) for direction in DIRECTIONS},
        "denying": [
            {"name": chain.path, "hook": DIRECTIONS[direction], "compat": chain.compat}
            for direction in DIRECTIONS
            for chain in denying(objects, direction)
            if chain.denies
        ],
        "narrowing": [
            {"direction": direction, **rule} for direction in DIRECTIONS for rule in narrowing(objects, direction)
        ],
        "unit_active": unit.get("ActiveState") == "active",
        "unit_enabled": unit.get("UnitFileState") == "enabled",
    }


def look(module: AnsibleModule) -> dict[str, Any]:
    """Return everything there is to know of the host.

    Raises:
        NftError: nft refuses to tell.
        OSError: a file cannot be read.
    """
    states = units(module)
    activated = ACTIVATED.read_text(encoding="ascii").strip() if ACTIVATED.exists() else ""
    nftables = nftables_state(module, states.get("rustdesk-firewall.service", {}))
    running = {
        name: states.get(f"{name}.service", {}).get("ActiveState") == "active" for name in ("firewalld", "nftables")
    }
    filters = {
        "ufw": ufw_active(module),
        "firewalld": running["firewalld"],
        "nftables": running["nftables"]
        or activated == "nftables"
        or any(not chain["compat"] for chain in nftables["denying"]),
    }
    programs = {"ufw": "ufw", "firewalld": "firewall-cmd", "nftables": "nft"}
    way = connection()
    firewalld = firewalld_state(module, active=filters["firewalld"], port=way["port"])
    ufw, files = ufw_state(), own_files()
    traces = [rule["comment"] for rule in ufw["own"]] + [entry["value"] for entry in firewalld["entries"]]
    words = {
        word for trace in [*traces, *map(_stem, files), *nftables["loaded"]] for word in re.split(r"[^a-z]+", trace)
    }
    undo = [states.get(f"rustdesk-firewall-undo.{kind}", {}).get("ActiveState") for kind in ("timer", "service")]
    return {
        "systemd": SYSTEMD.is_dir(),
        "installed": [name for name, program in programs.items() if module.get_bin_path(program)],
        "active": [name for name, filtering in filters.items() if filtering],
        "activated": activated,
        "connection": way,
        "directions": [direction for direction in DIRECTIONS if direction in words],
        "files": files,
        "undo_pending": (firewall_undo.DIRECTORY / firewall_undo.MEMORY).exists()
        and any(state in ("active", "activating") for state in undo),
        "ufw": ufw,
        "firewalld": firewalld,
        "nftables": nftables,
    }


def _stem(path: str) -> str:
    return Path(path).stem


def main() -> None:
    """Run the module."""
    module = AnsibleModule(argument_spec={}, supports_check_mode=True)
    try:
        host = look(module)
    except NftError as error:
        module.fail_json(msg=f"nft does not tell the rules of this host: {error}")
    except (OSError, ET.ParseError) as error:
        module.fail_json(msg=f"the firewalls of this host cannot be looked at ({error})")
    module.exit_json(changed=False, **host)


if __name__ == "__main__":
    main()
