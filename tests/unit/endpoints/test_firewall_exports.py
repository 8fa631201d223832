"""What is rendered for other firewalls is what they import, and what the documentation shows."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from ansible.module_utils import firewall_exports
from lxml import etree  # type: ignore[import-untyped]  # it ships none

from firewall_page import PAGE, export, filled, parts

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = ROOT / "tests" / "schemas"
PORTS = {("tcp", 21115), ("tcp", 21116), ("udp", 21116), ("tcp", 21117)}
ADDRESSES = '{"rustdesk_firewall_remote_addresses": ["192.0.2.7", "2001:db8::/48"]}'

BACKUP = """<?xml version="1.0"?>
<filter>
	<rule>
		<tracker>1</tracker><type>block</type><interface>lan</interface><ipprotocol>inet</ipprotocol>
		<source><any/></source><destination><any/></destination>
		<descr><![CDATA[Block all & <everything>]]></descr>
	</rule>
	<rule>
		<tracker>2</tracker><type>pass</type><interface>lan</interface><ipprotocol>inet</ipprotocol>
		<source><any/></source><destination><any/></destination>
		<descr>rustdesk_firewall out: of an export before</descr>
	</rule>
	<separator><lan><sep0><row>fr1</row></sep0></lan></separator>
</filter>
"""


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("exports")
    export(directory)
    return directory


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Exports for two servers, merged into a customer's backup."""
    directory = tmp_path_factory.mktemp("narrow")
    backup = directory / "backup.xml"
    backup.write_text(BACKUP)
    export(directory, ADDRESSES, f"rustdesk_firewall_exports_pfsense_filter={backup}")
    return directory


def schema(name: str) -> etree.RelaxNG:
    return etree.RelaxNG(etree.parse(str(SCHEMAS / f"{name}.rng")))


def valid(name: str, text: str) -> bool:
    return bool(schema(name).validate(etree.fromstring(text.encode())))


def expand(ports: str) -> list[int]:
    return [int(port) for port in re.findall(r"[0-9]+", ports)]


# --- pfSense -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["pfsense-aliases", "pfsense-filter"])
@pytest.mark.parametrize("rendered", ["exports", "narrow"])
def test_pfsense_is_valid(name: str, rendered: str, request: pytest.FixtureRequest) -> None:
    path = request.getfixturevalue(rendered) / f"{name}.xml"
    assert schema(name).validate(etree.parse(str(path))), schema(name).error_log


@pytest.mark.parametrize(
    ("name", "plant"),
    [
        ("pfsense-aliases", lambda text: text.replace("21115 ", "21115, ")),
        ("pfsense-aliases", lambda text: text.replace("<type>port</type>", "<type>ports</type>", 1)),
        ("pfsense-aliases", lambda text: text.replace("RustDesk_TCP", "RustDesk TCP")),
        ("pfsense-aliases", lambda text: text.replace("||", "|", 1)),
        ("pfsense-filter", lambda text: text.replace("<protocol>tcp</protocol>", "<protocol>TCP</protocol>")),
        ("pfsense-filter", lambda text: text.replace("<any />", "")),
        ("pfsense-filter", lambda text: text.replace("2111500001", "21115000012")),
        ("pfsense-filter", lambda text: text.replace("<interface>lan</interface>", "", 1)),
        ("pfsense-filter", lambda text: text.replace("filter>", "rules>")),
    ],
)
def test_the_schemas_find_planted_faults(exports: Path, name: str, plant: Callable[[str], str]) -> None:
    text = (exports / f"{name}.xml").read_text()
    assert plant(text) != text
    assert valid(name, text)
    assert not valid(name, plant(text))


def test_pfsense_rules_use_its_aliases_and_open_the_list(exports: Path, narrow: Path) -> None:
    for directory, servers in ((exports, None), (narrow, "RustDesk_Servers")):
        aliases = {
            str(alias.findtext("name")): str(alias.findtext("address"))
            for alias in ET.parse(directory / "pfsense-aliases.xml").getroot()
        }
        rules = [
            rule
            for rule in ET.parse(directory / "pfsense-filter.xml").getroot().findall("rule")
            if str(rule.findtext("descr")).startswith(firewall_exports.MARK)
        ]
        opened = {
            (str(rule.findtext("protocol")), port)
            for rule in rules
            for port in expand(aliases[str(rule.findtext("destination/port"))])
        }
        assert opened == PORTS
        assert {rule.findtext("destination/address") for rule in rules} == {servers}
        if servers:
            assert aliases[servers] == "192.0.2.7/32 2001:db8::/48"


def test_pfsense_keeps_what_a_backup_holds(narrow: Path) -> None:
    root = ET.parse(narrow / "pfsense-filter.xml").getroot()
    rules = [rule.findtext("descr") for rule in root.findall("rule")]
    assert rules == [
        "rustdesk_firewall out: RustDesk over TCP",
        "rustdesk_firewall out: RustDesk over UDP",
        "Block all & <everything>",
    ]
    assert root.findtext("separator/lan/sep0/row") == "fr1"


def test_merging_twice_is_merging_once(narrow: Path) -> None:
    once = (narrow / "pfsense-filter.xml").read_text()
    own = "<filter>" + "".join(re.findall(r"<rule>.*?</rule>", once, re.DOTALL)[:2]) + "</filter>"
    assert firewall_exports.pfsense_merge(own, once) == once


def test_a_backup_of_everything_gives_its_area() -> None:
    whole = f"<pfsense><version>23</version>{BACKUP.partition('?>')[2]}</pfsense>"
    assert "Block all" in firewall_exports.pfsense_merge("<filter/>", whole)


@pytest.mark.parametrize(
    ("backup", "says"),
    [
        ("<aliases/>", "holds no area 'filter'"),
        ("---- BEGIN config.xml ----", "not XML"),
        ('<!DOCTYPE x [<!ENTITY a "b">]><filter/>', "declares entities"),
    ],
)
def test_what_is_no_backup_is_refused(backup: str, says: str) -> None:
    with pytest.raises(firewall_exports.ExportError, match=says):
        firewall_exports.pfsense_merge("<filter/>", backup)


# --- Others --------------------------------------------------------------------------------------------------------


def test_opnsense_rules_use_its_aliases_and_open_the_list(exports: Path, narrow: Path) -> None:
    for directory, servers in ((exports, "any"), (narrow, "RustDesk_Servers")):
        known: dict[str, Any] = json.loads((directory / "opnsense-aliases.json").read_text())["aliases"]["alias"]
        ports = {alias["name"]: alias["content"].split("\n") for alias in known.values()}
        with (directory / "opnsense-rules.csv").open(newline="") as file:
            rules = list(csv.DictReader(file))
        assert {
            (rule["protocol"].lower(), int(port)) for rule in rules for port in ports[rule["destination_port"]]
        } == PORTS
        assert {rule["destination_net"] for rule in rules} == {servers}
        assert {(rule["action"], rule["direction"], rule["ipprotocol"]) for rule in rules} == {("pass", "in", "inet46")}
        assert len({rule["@uuid"] for rule in rules} | set(known)) == len(rules) + len(known)


def test_importing_into_opnsense_twice_updates(exports: Path, narrow: Path) -> None:
    first, second = ((path / "opnsense-rules.csv").read_text() for path in (exports, narrow))
    assert re.findall(r"^[0-9a-f-]{36}", first, re.MULTILINE) == re.findall(r"^[0-9a-f-]{36}", second, re.MULTILINE)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("windows-netsh.cmd", r"add rule .* protocol=(?P<protocol>\w+) remoteport=(?P<ports>[0-9,]+) "),
        ("windows.ps1", r"New-NetFirewallRule .* -Protocol (?P<protocol>\w+) -RemotePort (?P<ports>[0-9,]+) "),
        (
            "windows-gpo.txt",
            r"Protocol type: +(?P<protocol>\w+)[^:]*Local port:[^:]*Remote port: +Specific Ports: (?P<ports>[0-9, ]+)",
        ),
        ("ufw.sh", r"allow out proto (?P<protocol>\w+) to any port (?P<ports>[0-9,]+)"),
        ("firewalld.sh", r"--add-port=(?P<ports>[0-9]+)/(?P<protocol>\w+)"),
        ("nftables.nft", r"(?P<protocol>tcp|udp) dport \{ (?P<ports>[0-9, ]+) \}"),
        ("pfsense-easyrule.sh", r"pass lan (?P<protocol>\w+) any any (?P<ports>[0-9]+)"),
        ("ports.csv", r"(?P<protocol>TCP|UDP),(?P<ports>[0-9]+)"),
        ("ticket.md", r"\| (?P<protocol>TCP|UDP) \| (?P<ports>[0-9]+) \|"),
    ],
)
def test_every_export_opens_the_list(exports: Path, name: str, pattern: str) -> None:
    found = re.finditer(pattern, (exports / name).read_text())
    assert {(match["protocol"].lower(), port) for match in found for port in expand(match["ports"])} == PORTS


def test_windows_gets_two_rules_with_two_names(exports: Path) -> None:
    for name in ("windows-netsh.cmd", "windows.ps1", "windows-gpo.txt"):
        content = (exports / name).read_bytes()
        assert {b"RustDesk Remote Support (TCP)", b"RustDesk Remote Support (UDP)"} == set(
            re.findall(rb"RustDesk Remote Support \(\w+\)", content)
        )
        assert content.count(b"\n") == content.count(b"\r\n"), name
        assert b".reg" not in content


def test_the_page_shows_what_is_exported(exports: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert {"ticket.md", "ufw.sh", "firewalld.sh", "nftables.nft", "windows-netsh.cmd", "windows.ps1"} <= set(
        parts(text)
    )
    assert filled(text, exports) == text, "docs/firewall.md is out of date: run python lab/lib/firewall_page.py"


def test_a_page_out_of_date_is_noticed(exports: Path) -> None:
    text = PAGE.read_text(encoding="utf-8")
    old = text.replace("| 21117 |", "| 21118 |").replace("remoteport=21115,", "remoteport=")
    assert old.count("21117") < text.count("21117")
    assert filled(old, exports) == text


def test_the_list_is_the_site_s(exports: Path) -> None:
    site = yaml.safe_load((ROOT / "inventories/gtr/group_vars/all/rustdesk.yml").read_text())
    purposes = {entry["purpose"] for entry in site["rustdesk_ports"]}
    with (exports / "ports.csv").open(newline="") as file:
        assert {row["purpose"] for row in csv.DictReader(file)} == purposes
