"""What a host needs is the difference between what is asked for and what it has."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
import yaml
from ansible.module_utils import firewall_inputs, firewall_plan
from ansible.module_utils.firewall_plan import LOADER, UNIT

from console import ROOT

PORTS = [
    {"protocol": "tcp", "port": 21115, "purpose": "NAT type test"},
    {"protocol": "udp", "port": "21116", "purpose": "Registration"},
]
PATHS = [
    *(f"/etc/rustdesk-firewall-{direction}.{kind}" for direction in ("in", "out") for kind in ("nft", "pass")),
    LOADER,
    UNIT,
    "/etc/firewalld/services/rustdesk-in.xml",
    "/etc/firewalld/services/rustdesk-out.xml",
    "/etc/firewalld/policies/rustdesk-out.xml",
]
UFW = {"direction": "out", "protocol": "tcp", "ports": "21115", "address": "any", "comment": "rustdesk_firewall out"}


def inputs(**change: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "state": "present",
        "direction": "out",
        "backend": "auto",
        "activate": False,
        "ports": PORTS,
        "remote_addresses": [],
        "id_port": 21116,
        "relay_port": 21117,
        "websocket_ports": False,
        "api_port": False,
        "zone": "",
        "udp_rate": 100,
        "udp_burst": 200,
        "undo_after": 60,
        "exports_interface": "lan",
        "exports_pfsense_aliases": "",
        "exports_pfsense_filter": "",
        "windows": False,
        "again": False,
        "texts": {path: f"content of {path}\n" for path in PATHS},
    }
    return base | change


def host(**change: Any) -> dict[str, Any]:
    base: dict[str, Any] = {
        "systemd": True,
        "installed": ["ufw", "firewalld", "nftables"],
        "active": [],
        "activated": "",
        "connection": {"port": 0, "peer": ""},
        "directions": [],
        "files": {},
        "undo_pending": False,
        "ufw": {"own": [], "foreign": [], "limited": [], "rules": []},
        "firewalld": {
            "version": "1.3.3",
            "default_zone": "public",
            "zones": ["public"],
            "entries": [],
            "runtime_only": [],
            "own_stale": False,
            "admits_connection": True,
        },
        "nftables": {
            "loaded": [],
            "intact": {"in": True, "out": True},
            "denying": [],
            "narrowing": [],
            "unit_active": False,
            "unit_enabled": False,
        },
    }
    return base | change


def written(*paths: str) -> dict[str, str]:
    texts = inputs()["texts"]
    return {path: hashlib.sha256(texts[path].encode()).hexdigest() for path in paths}


def test_the_inputs_here_are_those_of_the_role() -> None:
    spec = yaml.safe_load((ROOT / "roles/rustdesk_firewall/meta/argument_specs.yml").read_text())
    options = {name.removeprefix("rustdesk_firewall_") for name in spec["argument_specs"]["main"]["options"]}
    assert set(inputs()) | {"exports_dir"} == options | {"windows", "again", "texts"}
    assert firewall_inputs.faults(inputs()) == []


@pytest.mark.parametrize(
    ("asked", "found", "backend"),
    [
        ({}, {"active": []}, ""),
        ({}, {"active": ["ufw"]}, "ufw"),
        ({"backend": "ufw"}, {"active": []}, ""),
        ({"backend": "ufw", "activate": True}, {"active": []}, "ufw"),
        ({"backend": "ufw"}, {"active": ["ufw", "nftables"]}, "ufw"),
        ({"windows": True}, {}, "windows"),
    ],
)
def test_the_backend_is_the_active_or_the_named_one(asked: dict[str, Any], found: dict[str, Any], backend: str) -> None:
    assert firewall_plan.chosen_backend(inputs(**asked), host(**found)) == backend


def test_nothing_active_means_nothing_to_do() -> None:
    assert firewall_plan.plan(inputs(), host()) == {}
    assert "No firewall" in firewall_plan.known(inputs(), host())["report"]


def test_ufw_gets_a_rule_for_each_protocol_and_address() -> None:
    asked = inputs(remote_addresses=["192.0.2.7/32", "2001:DB8::/32"])
    rules = firewall_plan.plan(asked, host(active=["ufw"]))["ufw_add"]
    assert [(rule["protocol"], rule["ports"], rule["address"]) for rule in rules] == [
        ("tcp", "21115", "192.0.2.7"),
        ("tcp", "21115", "2001:db8::/32"),
        ("udp", "21116", "192.0.2.7"),
        ("udp", "21116", "2001:db8::/32"),
    ]


def test_rules_that_are_there_are_left_and_others_of_the_role_go() -> None:
    own = [UFW | {"complete": True}, UFW | {"ports": "9", "complete": True}]
    plan = firewall_plan.plan(inputs(), host(active=["ufw"], ufw={"own": own, "foreign": [], "limited": []}))
    assert [rule["protocol"] for rule in plan["ufw_add"]] == ["udp"]
    assert plan["ufw_remove"] == [UFW | {"ports": "9"}]


def test_half_a_rule_is_added_again() -> None:
    found = host(active=["ufw"], ufw={"own": [UFW | {"complete": False}], "foreign": [], "limited": []})
    assert UFW in firewall_plan.plan(inputs(), found)["ufw_add"]


def test_a_rule_of_the_site_is_enough() -> None:
    foreign = [{name: value for name, value in UFW.items() if name != "comment"}]
    plan = firewall_plan.plan(inputs(), host(active=["ufw"], ufw={"own": [], "foreign": foreign, "limited": []}))
    assert [rule["protocol"] for rule in plan["ufw_add"]] == ["udp"]


def test_the_other_direction_is_not_touched() -> None:
    own = [UFW | {"comment": "rustdesk_firewall in", "direction": "in", "complete": True}]
    absent = inputs(state="absent")
    found = host(active=["ufw"], ufw={"own": own, "foreign": [], "limited": []}, directions=["in"], activated="ufw")
    assert firewall_plan.plan(absent, found) == {}


def test_what_was_switched_on_is_switched_off_with_the_last_rule() -> None:
    keep = UFW | {"comment": "rustdesk_firewall keep", "direction": "in", "ports": "22", "complete": True}
    found = host(
        active=["ufw"],
        ufw={"own": [UFW | {"complete": True}, keep], "foreign": [], "limited": []},
        directions=["out"],
        activated="ufw",
    )
    plan = firewall_plan.plan(inputs(state="absent"), found)
    assert plan["deactivate"] == "ufw"
    assert [rule["comment"] for rule in plan["ufw_remove"]] == ["rustdesk_firewall out", "rustdesk_firewall keep"]


def test_the_way_back_is_opened_first() -> None:
    asked = inputs(backend="ufw", activate=True)
    plan = firewall_plan.plan(asked, host(connection={"port": 2222, "peer": "192.0.2.1"}))
    assert plan["ufw_add"][0]["comment"] == "rustdesk_firewall keep"
    assert plan["ufw_add"][0]["ports"] == "2222"
    assert plan["activate"] == "ufw"


def test_an_active_ufw_is_not_opened_to_everybody() -> None:
    """It lets the run in already, perhaps from few addresses only."""
    asked = inputs(backend="ufw", activate=True)
    there = host(active=["ufw"], connection={"port": 22, "peer": "10.1.1.1"})
    assert "22" not in [rule["ports"] for rule in firewall_plan.plan(asked, there)["ufw_add"]]
    keep = UFW | {"comment": "rustdesk_firewall keep", "direction": "in", "ports": "22", "complete": True}
    there = host(active=["ufw"], connection=there["connection"], ufw=host()["ufw"] | {"own": [keep]})
    assert firewall_plan.plan(asked, there)["ufw_remove"] == []


def test_the_way_back_that_somebody_limits_stays_as_it_is() -> None:
    asked = inputs(backend="ufw", activate=True)
    limited = {"direction": "in", "protocol": "tcp", "ports": "2222", "address": "any"}
    there = host(connection={"port": 2222, "peer": "192.0.2.1"}, ufw={"own": [], "foreign": [], "limited": [limited]})
    assert "2222" not in [rule["ports"] for rule in firewall_plan.plan(asked, there)["ufw_add"]]


@pytest.mark.parametrize(
    ("direction", "active", "paths"),
    [
        ("out", "ufw", []),
        ("in", "ufw", ["/etc/rustdesk-firewall-in.nft", LOADER, UNIT]),
        ("out", "firewalld", PATHS[-2:]),
        ("in", "firewalld", ["/etc/rustdesk-firewall-in.nft", LOADER, UNIT, "/etc/firewalld/services/rustdesk-in.xml"]),
        ("out", "nftables", ["/etc/rustdesk-firewall-out.nft", LOADER, UNIT, "/etc/rustdesk-firewall-out.pass"]),
    ],
)
def test_each_firewall_has_its_files(direction: str, active: str, paths: list[str]) -> None:
    asked = inputs(direction=direction)
    assert firewall_plan.wanted_files(asked, host(active=[active])) == paths
    plan = firewall_plan.plan(asked, host(active=[active], files=written(*paths)))
    assert plan.get("write", []) == []


def test_a_file_that_differs_is_written_and_loaded() -> None:
    files = written("/etc/rustdesk-firewall-out.nft", "/etc/rustdesk-firewall-out.pass", LOADER, UNIT)
    steady = {
        "loaded": ["out"],
        "intact": {"in": True, "out": True},
        "denying": [],
        "unit_active": True,
        "unit_enabled": True,
    }
    assert firewall_plan.plan(inputs(), host(active=["nftables"], files=files, nftables=steady)) == {}
    stale = files | {"/etc/rustdesk-firewall-out.pass": "0"}
    plan = firewall_plan.plan(inputs(), host(active=["nftables"], files=stale, nftables=steady))
    assert plan["write"] == ["/etc/rustdesk-firewall-out.pass"]
    assert plan["load"]


@pytest.mark.parametrize(
    "damage",
    [{"loaded": []}, {"intact": {"in": True, "out": False}}, {"unit_active": False}, {"unit_enabled": False}],
)
def test_damage_is_mended(damage: dict[str, Any]) -> None:
    files = written("/etc/rustdesk-firewall-out.nft", "/etc/rustdesk-firewall-out.pass", LOADER, UNIT)
    steady: dict[str, Any] = {
        "loaded": ["out"],
        "intact": {"in": True, "out": True},
        "denying": [],
        "unit_active": True,
        "unit_enabled": True,
    }
    plan = firewall_plan.plan(inputs(), host(active=["nftables"], files=files, nftables=steady | damage))
    assert plan["load"] or plan["enable"]


def test_the_loader_stays_while_the_other_direction_needs_it() -> None:
    both = written(*PATHS[:6])
    absent = inputs(state="absent")
    removed = firewall_plan.plan(absent, host(active=["nftables"], files=both, directions=["in", "out"]))["remove"]
    assert removed == ["/etc/rustdesk-firewall-out.nft", "/etc/rustdesk-firewall-out.pass"]
    single = written(*PATHS[2:6])
    removed = firewall_plan.plan(absent, host(active=["nftables"], files=single, directions=["out"]))["remove"]
    assert removed == ["/etc/rustdesk-firewall-out.nft", "/etc/rustdesk-firewall-out.pass", LOADER, UNIT]


def test_firewalld_opens_one_zone_and_closes_others() -> None:
    entry = {"zone": "internal", "kind": "service", "value": "rustdesk-in", "permanent": True, "runtime": True}
    found = host(active=["firewalld"])
    found["firewalld"]["entries"] = [entry]
    plan = firewall_plan.plan(inputs(direction="in"), found)
    assert plan["firewalld_add"] == [{"zone": "public", "kind": "service", "value": "rustdesk-in"}]
    assert plan["firewalld_remove"] == [{"zone": "internal", "kind": "service", "value": "rustdesk-in"}]


def test_firewalld_opens_to_addresses_only() -> None:
    asked = inputs(direction="in", remote_addresses=["192.0.2.7", "2001:db8::/32"])
    added = firewall_plan.plan(asked, host(active=["firewalld"]))["firewalld_add"]
    assert [entry["value"] for entry in added] == [
        'rule family="ipv4" source address="192.0.2.7" service name="rustdesk-in" accept',
        'rule family="ipv6" source address="2001:db8::/32" service name="rustdesk-in" accept',
    ]


@pytest.mark.parametrize(
    ("asked", "change", "touched"),
    [
        ({}, {}, True),
        ({"backend": "nftables"}, {"active": ["firewalld", "nftables"]}, False),
        (
            {"backend": "nftables", "state": "absent", "direction": "in"},
            {"files": written("/etc/firewalld/services/rustdesk-in.xml")},
            True,
        ),
        ({"direction": "in"}, {"files": written("/etc/firewalld/services/rustdesk-in.xml")}, True),
    ],
)
def test_whether_firewalld_is_touched_is_told(asked: dict[str, Any], change: dict[str, Any], touched: bool) -> None:
    plan = firewall_plan.plan(inputs(**asked), host(**{"active": ["firewalld"], **change}))
    assert plan["firewalld"] is touched


def denial(text: str, version: int = 4, profile: str = "") -> dict[str, Any]:
    """A rule of ufw as it is looked at: action, direction, protocol, ports, address."""
    names = ("action", "direction", "protocol", "ports", "address")
    return {**dict(zip(names, text.split(), strict=True)), "version": version, "profile": profile, "comment": ""}


@pytest.mark.parametrize(
    ("rules", "named"),
    [
        ([denial("deny out udp 21116 any")], "deny out proto udp from any to any port 21116"),
        ([denial("limit out udp 21116 any")], "limit out proto udp from any to any port 21116"),
        ([denial("reject out udp 21116 any", version=6)], "reject out proto udp from any to any port 21116"),
        ([denial("deny out any any any")], "deny out from any to any"),
        ([denial("deny out any 21000:22000 any")], "deny out from any to any port 21000:22000"),
        ([denial("reject out tcp 80,21100:21200 any")], "reject out proto tcp from any to any port 80,21100:21200"),
        ([denial("deny out tcp 21115 any", profile="RustDesk")], "deny out from any to any app RustDesk"),
        ([denial("allow out udp 21116 10.0.0.0/8"), denial("deny out udp any any")], "deny out proto udp"),
        # Replaced by the role's, though something before it lets everything through.
        ([denial("allow out any any any"), denial("deny out udp 21116 any")], "deny out proto udp"),
        ([denial("allow out any any any"), denial("deny out any any any")], ""),
        ([denial("deny in udp 21116 any")], ""),
        ([denial("deny out udp 21117 any")], ""),
        ([denial("deny out tcp 21116 any")], ""),
        ([denial("deny out udp 21116 10.0.0.0/8")], ""),
        ([denial("deny out any 1:21114,21117:65535 any")], ""),
    ],
)
def test_a_rule_of_ufw_that_denies_before_is_named(rules: list[dict[str, Any]], named: str) -> None:
    faults = firewall_inputs.host_faults(inputs(), host(active=["ufw"], ufw=host()["ufw"] | {"rules": rules}))
    assert len(faults) == (1 if named else 0), faults
    if named:
        assert faults[0].startswith(f"rustdesk_firewall_ports: the rule '{named}"), faults
        assert f"ufw delete {named}" in faults[0]


@pytest.mark.parametrize(
    ("remote", "rules", "count"),
    [
        ("192.0.2.0/24", [denial("deny out tcp any 192.0.0.0/16")], 1),
        ("192.0.2.0/24", [denial("deny out tcp any 192.0.2.0/25")], 0),
        ("192.0.2.0/24", [denial("deny out tcp any any", version=6)], 0),
        ("2001:db8::1", [denial("deny out tcp any any", version=6)], 1),
        ("2001:db8::1", [denial("deny out tcp any 192.0.2.1")], 0),
    ],
)
def test_only_what_holds_all_given_addresses_denies(remote: str, rules: list[dict[str, Any]], count: int) -> None:
    there = host(active=["ufw"], ufw=host()["ufw"] | {"rules": rules})
    assert len(firewall_inputs.host_faults(inputs(remote_addresses=[remote]), there)) == count


def test_a_rule_of_the_role_is_beaten_only_by_what_is_before_it() -> None:
    own = denial("allow out udp 21116 any") | {"comment": "rustdesk_firewall out"}
    wide = denial("deny out any any any")
    tcp = denial("allow out tcp 21115 any")
    for rules, count in (([tcp, own, wide], 0), ([tcp, wide, own], 1), ([tcp, own | {"ports": "1:30000"}, wide], 1)):
        there = host(active=["ufw"], ufw=host()["ufw"] | {"rules": rules})
        assert len(firewall_inputs.host_faults(inputs(), there)) == count


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ("deny in tcp 22 any", True),
        ("deny in any any 10.0.0.0/8", True),
        ("deny in any any 172.16.0.0/12", False),
        ("limit in any 22 any", False),
    ],
)
def test_what_denies_the_way_back_is_told_before_ufw_is_switched_on(rule: str, told: bool) -> None:
    there = host(connection={"port": 22, "peer": "10.1.1.1"}, ufw=host()["ufw"] | {"rules": [denial(rule)]})
    faults = firewall_inputs.host_faults(inputs(backend="ufw", activate=True), there)
    assert [fault.partition(":")[0] for fault in faults] == (["rustdesk_firewall_activate"] if told else [])


def test_what_nftables_denies_before_the_role_s_rules_is_named() -> None:
    some = {"chain": "inet site output", "protocols": ["tcp"]}
    rules = [
        some | {"direction": "out", "handle": 4, "ports": []},
        some | {"direction": "out", "handle": 5, "ports": [[1, 1024]]},
        some | {"direction": "in", "handle": 6, "ports": []},
        some | {"direction": "out", "handle": 7, "ports": [[1, 2], [21115, 21115]]},
    ]
    there = host(active=["nftables"], nftables=host()["nftables"] | {"narrowing": rules})
    said = firewall_plan.known(inputs(), there)["denied"]
    assert "handle 4 in inet site output, handle 7 in inet site output (" in said
    assert firewall_plan.known(inputs(state="absent"), there)["denied"] == ""
    assert firewall_plan.known(inputs(), host(active=["nftables"]))["denied"] == ""


HOST_FAULTS: list[tuple[str, dict[str, Any], dict[str, Any], str]] = [
    ("two active", {}, {"active": ["ufw", "nftables"]}, "backend: ufw and nftables are active"),
    (
        "another is active",
        {"backend": "ufw", "activate": True},
        {"active": ["firewalld"]},
        "activate: firewalld is active on this host",
    ),
    ("not installed", {"backend": "ufw"}, {"installed": ["nftables"]}, "backend: ufw is not installed"),
    ("no systemd", {}, {"active": ["ufw"], "systemd": False}, "state: present needs systemd"),
    ("undo waits", {}, {"active": ["ufw"], "undo_pending": True}, "undo_after: the change of an earlier run"),
    ("undone meanwhile", {"again": True}, {"active": ["ufw"]}, "undo_after: the change was undone after 60 s"),
    (
        "no nft",
        {"direction": "in"},
        {"active": ["ufw"], "installed": ["ufw"]},
        "udp_rate: limits and closed ports need nft",
    ),
    (
        "closes the way",
        {"direction": "in"},
        {"active": ["ufw"], "connection": {"port": 21119, "peer": "192.0.2.1"}},
        "websocket_ports: this run came over port 21119",
    ),
    (
        "removes the way",
        {"direction": "in", "state": "absent"},
        {"active": ["ufw"], "connection": {"port": 21115, "peer": "192.0.2.1"}},
        "state: this run came over port 21115",
    ),
    (
        "iptables deny",
        {},
        {
            "active": ["nftables"],
            "nftables": host()["nftables"]
            | {"denying": [{"name": "ip filter OUTPUT", "hook": "output", "compat": True}]},
        },
        "backend: ip filter OUTPUT denies",
    ),
    (
        "old firewalld",
        {},
        {"active": ["firewalld"], "firewalld": host()["firewalld"] | {"version": "0.8.2"}},
        "direction: firewalld 0.8.2",
    ),
    ("no zone", {"zone": "office"}, {"active": ["firewalld"]}, "zone: firewalld has no zone office"),
    (
        "runtime only",
        {},
        {"active": ["firewalld"], "firewalld": host()["firewalld"] | {"runtime_only": ["zone public: ports"]}},
        "backend: firewalld holds what is not in its permanent configuration (zone public: ports)",
    ),
    (
        "runtime only, and another one is named",
        {"backend": "nftables", "state": "absent", "direction": "in"},
        {
            "active": ["firewalld", "nftables"],
            "files": {"/etc/firewalld/services/rustdesk-in.xml": "x"},
            "firewalld": host()["firewalld"] | {"runtime_only": ["zone public: rules str"]},
        },
        "backend: firewalld holds what is not in its permanent configuration (zone public: rules str)",
    ),
    (
        "closed door",
        {"backend": "firewalld", "activate": True},
        {"connection": {"port": 2222, "peer": "x"}, "firewalld": host()["firewalld"] | {"admits_connection": False}},
        "activate: this run came over port 2222",
    ),
]


@pytest.mark.parametrize(
    ("asked", "found", "says"), [case[1:] for case in HOST_FAULTS], ids=[case[0] for case in HOST_FAULTS]
)
def test_what_does_not_fit_the_host_is_told(asked: dict[str, Any], found: dict[str, Any], says: str) -> None:
    (fault,) = firewall_inputs.host_faults(inputs(**asked), host(**found))
    assert fault.startswith(f"rustdesk_firewall_{says}"), fault


def test_a_firewalld_that_is_left_alone_forgets_nothing() -> None:
    kept = host()["firewalld"] | {"runtime_only": ["zone public: ports"]}
    there = host(active=["firewalld", "nftables"], firewalld=kept)
    assert firewall_plan.plan(inputs(backend="nftables"), there)
    assert firewall_inputs.host_faults(inputs(backend="nftables"), there) == []


@pytest.mark.parametrize("active", ["ufw", "firewalld", "nftables"])
@pytest.mark.parametrize("direction", ["in", "out"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_a_sound_host_has_no_faults(active: str, direction: str, state: str) -> None:
    assert firewall_inputs.host_faults(inputs(direction=direction, state=state), host(active=[active])) == []


def test_switched_ports_are_open_or_closed() -> None:
    assert firewall_plan.closed_ports(inputs()) == {
        21114: "api_port",
        21118: "websocket_ports",
        21119: "websocket_ports",
    }
    asked = inputs(websocket_ports=True)
    assert firewall_plan.closed_ports(asked) == {21114: "api_port"}
    assert [entry["port"] for entry in firewall_plan.asked_ports(asked)] == [21115, 21116, 21118, 21119]


@pytest.mark.parametrize(
    ("shell", "connection", "windows"),
    [("powershell", "ssh", True), ("", "psrp", True), ("", "winrm", True), ("sh", "ssh", False), ("", "docker", False)],
)
def test_windows_is_told_by_its_shell(shell: str, connection: str, windows: bool) -> None:
    assert firewall_plan.windows_shell(shell, connection) is windows
