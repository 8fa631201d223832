"""The rendered units say what is meant: every directive on its own line, every argument by itself."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING

import pytest

from .support import ROLE, evaluated, pair

if TYPE_CHECKING:
    from pathlib import Path

TEMPLATES = ROLE / "templates"
PUBLIC = pair(1).public_text

SECTION = re.compile(r"\[(Unit|Service|Install)\]")
DIRECTIVE = re.compile(r"([A-Z][A-Za-z]+)=(.*)")
STATIC_DIRECTIVE = re.compile(r"[A-Z][A-Za-z]+=[^{}]*")


def render(template: Path, **variables: object) -> str:
    """Render a template as the role does, with its defaults and variables."""
    return evaluated("{{ lookup('ansible.builtin.template', template) }}", template=str(template), **variables)


Unit = dict[str, dict[str, list[str]]]


def parse(text: str) -> Unit:
    """Read a unit more strictly than systemd does, which overlooks what it does not understand (systemd.syntax(7))."""
    unit: Unit = {}
    section: dict[str, list[str]] | None = None
    for line in text.splitlines():
        if not line or line.startswith("#"):
            continue
        heading, directive = SECTION.fullmatch(line), DIRECTIVE.fullmatch(line)
        if heading:
            section = unit.setdefault(heading[1], {})
        elif directive and section is not None and not line.endswith("\\"):
            section.setdefault(directive[1], []).append(directive[2])
        else:
            raise AssertionError(f"this is no line of a unit: {line!r}")
    return unit


def words(value: str) -> list[str]:
    """Split a command line, or an assignment, into its words; nothing in them is for systemd to expand."""
    assert not set("%$\\`'") & set(value), f"systemd gives a meaning to something in {value!r}"
    return shlex.split(value)


def checked(text: str, template: Path) -> Unit:
    """Parse a unit, and find every line that its template writes without condition."""
    unit = parse(text)
    for line in template.read_text(encoding="utf-8").splitlines():
        if STATIC_DIRECTIVE.fullmatch(line):
            name, _, value = line.partition("=")
            written = [values for section in unit.values() for key, values in section.items() if key == name]
            assert any(value in values for values in written), f"the directive {line} is lost"
    return unit


def command(unit: Unit, name: str = "ExecStart") -> list[str]:
    values = unit["Service"].get(name, [])
    assert len(values) == 1, f"{name} is there {len(values)} times"
    return words(values[0])


def environment(unit: Unit) -> dict[str, str]:
    found = {}
    for value in unit["Service"].get("Environment", []):
        (assignment,) = words(value)
        name, _, text = assignment.partition("=")
        assert name not in found
        found[name] = text
    return found


HBBS, HBBR = "/opt/rustdesk-server/current/hbbs", "/opt/rustdesk-server/current/hbbr"
EVERYTHING: dict[str, object] = {
    "rustdesk_server_version": "1.1.17",
    "rustdesk_server_install_dir": "/srv/rd/programs",
    "rustdesk_server_state_dir": "/srv/rd/state",
    "rustdesk_server_user": "rendezvous",
    "rustdesk_server_group": "relays",
    "rustdesk_server_port": 31116,
    "rustdesk_server_relay_port": "31200",
    "rustdesk_server_bind_address": "2001:db8::1",
    "rustdesk_server_relays": ["relay.example.org", "[2001:db8::2]:21117"],
    "rustdesk_server_udp_receive_buffer": 52428800,
    "rustdesk_server_lan_mask": "192.168.0.0/16",
    "rustdesk_server_lan_address": "192.168.0.7",
    "rustdesk_server_rendezvous_servers": ["a.example.org", "b.example.org:21116"],
    "rustdesk_server_serial": 3,
    "rustdesk_server_software_url": "https://example.org/rustdesk?v=1",
    "rustdesk_server_always_use_relay": True,
    "rustdesk_server_self_test": "192.0.2.1:31116",
    "rustdesk_server_database": "other.sqlite3",
    "rustdesk_server_database_connections": 4,
    "rustdesk_server_log_level": "warn",
    "rustdesk_server_bandwidth_single_mbit": 16.5,
    "rustdesk_server_bandwidth_total_mbit": 100,
    "rustdesk_server_bandwidth_slowed_mbit": "2",
    "rustdesk_server_slowdown_threshold": 0.5,
    "rustdesk_server_slowdown_after_s": 60,
    "rustdesk_server_phone_home": True,
    "rustdesk_server_limit_nofile": 4096,
    "rustdesk_server_memory_max_mib": 256,
}

COMMANDS: dict[str, tuple[dict[str, object], list[str], list[str]]] = {
    "defaults": ({}, [HBBS, "--port=21116", "--key=_"], [HBBR, "--port=21117", "--key=_"]),
    "relay": (
        {"rustdesk_server_mode": "relay", "rustdesk_server_public_key": PUBLIC},
        [HBBS, "--port=21116", "--key=_"],
        [HBBR, "--port=21117", f"--key={PUBLIC}"],
    ),
    "rendezvous": (
        {
            "rustdesk_server_mode": "rendezvous",
            "rustdesk_server_relays": ["relay-1.example.org", "relay-2.example.org:443"],
        },
        [HBBS, "--port=21116", "--key=_", "--relay-servers=relay-1.example.org,relay-2.example.org:443"],
        [HBBR, "--port=21117", "--key=_"],
    ),
    "site": (
        {"rustdesk_port": 4000, "rustdesk_relay_port": 4001, "rustdesk_relays": ["relay.example.org"]},
        [HBBS, "--port=4000", "--key=_", "--relay-servers=relay.example.org"],
        [HBBR, "--port=4001", "--key=_"],
    ),
    "a relay port that clients do not guess": (
        {"rustdesk_server_relay_port": 21200},
        [HBBS, "--port=21116", "--key=_", "--relay-servers=rustdesk.example.org:21200"],
        [HBBR, "--port=21200", "--key=_"],
    ),
    "everything": (
        EVERYTHING,
        [
            "/usr/bin/env",
            "LOCAL-IP=192.168.0.7",
            "/srv/rd/programs/current/hbbs",
            "--port=31116",
            "--key=_",
            "--bind=2001:db8::1",
            "--relay-servers=relay.example.org,[2001:db8::2]:21117",
            "--rmem=52428800",
            "--mask=192.168.0.0/16",
            "--rendezvous-servers=a.example.org,b.example.org:21116",
            "--serial=3",
            "--software-url=https://example.org/rustdesk?v=1",
        ],
        ["/srv/rd/programs/current/hbbr", "--port=31200", "--key=_", "--bind=2001:db8::1"],
    ),
}


@pytest.mark.parametrize("case", COMMANDS)
def test_the_daemons_get_their_arguments(case: str) -> None:
    variables, hbbs, hbbr = COMMANDS[case]
    for daemon, expected in (("hbbs", hbbs), ("hbbr", hbbr)):
        template = TEMPLATES / f"{daemon}.service.j2"
        unit = checked(render(template, **variables), template)
        assert command(unit) == expected
        assert unit.keys() == {"Unit", "Service", "Install"}
        assert unit["Install"] == {"WantedBy": ["multi-user.target"]}
        assert unit["Service"].keys() == {"ExecStart", "Environment"}


NO_WAY_OUT = {
    "HTTP_PROXY": "http://127.0.0.1:9",
    "HTTPS_PROXY": "http://127.0.0.1:9",
    "ALL_PROXY": "http://127.0.0.1:9",
    "NO_PROXY": "",
}


def test_hbbs_gets_its_environment() -> None:
    template = TEMPLATES / "hbbs.service.j2"
    assert environment(parse(render(template))) == NO_WAY_OUT | {
        "RUST_LOG": "info",
        "HOME": "/var/lib/rustdesk-server",
        "ALWAYS_USE_RELAY": "N",
        "DB_URL": "db_v2.sqlite3",
        "MAX_DATABASE_CONNECTIONS": "1",
    }
    assert environment(parse(render(template, **EVERYTHING))) == {
        "RUST_LOG": "warn",
        "HOME": "/srv/rd/state",
        "ALWAYS_USE_RELAY": "Y",
        "DB_URL": "other.sqlite3",
        "MAX_DATABASE_CONNECTIONS": "4",
        "TEST_HBBS": "192.0.2.1:31116",
    }


def test_hbbr_gets_its_environment() -> None:
    template = TEMPLATES / "hbbr.service.j2"
    assert environment(parse(render(template))) == {
        "RUST_LOG": "info",
        "HOME": "/var/lib/rustdesk-server",
        "SINGLE_BANDWIDTH": "128",
        "TOTAL_BANDWIDTH": "1024",
        "LIMIT_SPEED": "32",
        "DOWNGRADE_THRESHOLD": "0.66",
        "DOWNGRADE_START_CHECK": "1800",
    }
    assert environment(parse(render(template, **EVERYTHING))) == {
        "RUST_LOG": "warn",
        "HOME": "/srv/rd/state",
        "SINGLE_BANDWIDTH": "16.5",
        "TOTAL_BANDWIDTH": "100",
        "LIMIT_SPEED": "2",
        "DOWNGRADE_THRESHOLD": "0.5",
        "DOWNGRADE_START_CHECK": "60",
    }


@pytest.mark.parametrize("mode", ["full", "rendezvous", "relay"])
def test_the_hardening_stands_whole_in_every_mode(mode: str) -> None:
    template = TEMPLATES / "hardening.conf.j2"
    unit = checked(render(template, rustdesk_server_mode=mode, **EVERYTHING), template)
    assert unit.keys() == {"Service"}
    service = unit["Service"]
    assert service["User"] == ["rendezvous"]
    assert service["Group"] == ["relays"]
    assert service["WorkingDirectory"] == service["ReadWritePaths"] == ["/srv/rd/state"]
    assert service["UMask"] == ["0077"]
    assert service["LimitNOFILE"] == ["4096"]
    assert service["MemoryMax"] == ["256M"]
    assert {name: len(values) for name, values in service.items() if len(values) > 1} == {"SystemCallFilter": 2}
    if mode == "relay":
        assert "ExecStartPre" not in service
    else:
        assert command(unit, "ExecStartPre") == ["/srv/rd/programs/check-key", "/srv/rd/state"]
    # Whatever starts the guard has to stop the start when it fails.
    assert not any(value.startswith("-") for name, values in service.items() if "Exec" in name for value in values)


def test_address_lists_hold_both_spellings() -> None:
    addresses = {"addresses": ["192.0.2.7", "2001:db8::7", "198.51.100.9"]}
    text = render(TEMPLATES / "addresses.txt.j2", __rustdesk_server_item=addresses)
    # hbbr takes an empty line for an address.
    assert text.rstrip("\n").split("\n") == [
        "192.0.2.7",
        "::ffff:192.0.2.7",
        "2001:db8::7",
        "198.51.100.9",
        "::ffff:198.51.100.9",
    ]


def test_an_address_list_without_addresses_is_empty() -> None:
    # The template module writes nothing for None, which is what its own expression comes to.
    assert render(TEMPLATES / "addresses.txt.j2", __rustdesk_server_item={"addresses": []}) == "None"


# --- The checks themselves --------------------------------------------------------------------------------------------

EXEC_END = "| join(' ') }}\n"
PLANTED: dict[str, tuple[str, str, str, str]] = {
    "a block at the end of the line takes its line break along": (
        "hbbr.service.j2",
        EXEC_END,
        EXEC_END.rstrip("\n") + "{% if true %}{% endif %}\n",
        "Environment=",
    ),
    "a block that trims what is before it": ("hbbs.service.j2", "{% for name", "{%- for name", "Environment="),
    "a condition that ends on the line of the guard": (
        "hardening.conf.j2",
        "\n{% endif %}\nRestart=always",
        "{% endif %}\nRestart=always",
        "Restart=always is lost",
    ),
    "a condition in front of a directive": (
        "hardening.conf.j2",
        "UMask=0077\n",
        "{% if false %}{% endif %} UMask=0077\n",
        "no line of a unit: ' UMask=0077'",
    ),
    "a directive within a false condition": (
        "hardening.conf.j2",
        "NoNewPrivileges=yes\n",
        "{% if false %}\nNoNewPrivileges=yes\n{% endif %}\n",
        "NoNewPrivileges=yes is lost",
    ),
    "two commands": ("hbbs.service.j2", "\n{% for", "\nExecStart=/bin/true\n{% for", "ExecStart is there 2 times"),
    "no command": ("hbbs.service.j2", "ExecStart=", "#ExecStart=", "ExecStart is there 0 times"),
    "a line that goes on": ("hbbs.service.j2", EXEC_END, EXEC_END.rstrip("\n") + " \\\n", "no line of a unit"),
    "arguments without a space": ("hbbs.service.j2", "join(' ')", "join('')", "--port=21116--key=_"),
    "an assignment of two words": ("hbbr.service.j2", '"{{ name }}={{ value }}"', "{{ name }}={{ value }} x", "unpack"),
}


def everything_holds(template: Path, **variables: object) -> None:
    """What the tests above ask of one unit, in one."""
    unit = checked(render(template, **variables), template)
    if template.name == "hardening.conf.j2":
        assert command(unit, "ExecStartPre") == ["/opt/rustdesk-server/check-key", "/var/lib/rustdesk-server"]
        return
    daemon = template.name.partition(".")[0]
    assert command(unit) == COMMANDS["defaults"][1 if daemon == "hbbs" else 2]
    assert environment(unit)["RUST_LOG"] == "info"
    assert unit["Install"] == {"WantedBy": ["multi-user.target"]}


@pytest.mark.parametrize("template", sorted(TEMPLATES.glob("h*.j2")), ids=lambda path: path.name)
def test_the_checks_accept_the_templates(template: Path) -> None:
    everything_holds(template)


@pytest.mark.parametrize("fault", PLANTED)
def test_the_checks_find_a_planted_fault(fault: str, tmp_path: Path) -> None:
    name, right, wrong, sentence = PLANTED[fault]
    text = (TEMPLATES / name).read_text(encoding="utf-8")
    assert right in text
    (tmp_path / name).write_text(text.replace(right, wrong, 1), encoding="utf-8")
    with pytest.raises((AssertionError, ValueError, KeyError)) as found:
        everything_holds(tmp_path / name)
    assert sentence in str(found.value)


@pytest.mark.parametrize("value", ["%h/key", "$HOME/key", "a\\x20b", "`id`"])
def test_the_checks_find_what_systemd_would_expand(value: str) -> None:
    text = render(TEMPLATES / "hbbr.service.j2", rustdesk_server_mode="relay", rustdesk_server_public_key=value)
    with pytest.raises(AssertionError, match="systemd gives a meaning"):
        command(parse(text))
