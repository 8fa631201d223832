"""Windows Firewall through the real modules; what the machine does with their rules is a model of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.testinfra.firewall.firewall_lab import PORTS, firewall, refused
from tests.testinfra.plays import Play, play

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WINDOWS = "endpoint-windows"
NAMES = ("RustDesk Remote Support (TCP)", "RustDesk Remote Support (UDP)")
FOREIGN = "../tests/testinfra/firewall/windows_one_name.yml"
NARROWED = "../tests/testinfra/firewall/windows_narrowed.yml"
MOST_EXECUTIONS = 2

Rule = dict[str, list[str]]


def parsed(text: str) -> Rule:
    """A rule as the registry holds it (MS-FASP, firewall rule strings): a name may be there more than once."""
    rule: Rule = {}
    for part in text.split("|")[1:]:
        name, _, value = part.partition("=")
        rule.setdefault(name, []).append(value)
    return rule


def rules() -> list[str]:
    done = play(WINDOWS, {}, playbook="../tests/testinfra/firewall/windows_rules.yml")
    assert done.status == 0, done.output
    return list(dict(done.results(WINDOWS))["Return them"]["msg"])


def named(name: str) -> list[Rule]:
    return [rule for rule in map(parsed, rules()) if rule["Name"] == [name]]


@pytest.fixture(autouse=True)
def opened() -> Iterator[None]:
    yield
    firewall(WINDOWS)


def test_two_rules_open_the_list() -> None:
    firewall(WINDOWS)
    (tcp,), (udp,) = (named(name) for name in NAMES)
    assert tcp["Protocol"] == ["6"]
    assert tcp["RPort"] == ["21115", "21116", "21117"]
    assert udp["Protocol"] == ["17"]
    assert udp["RPort"] == ["21116"]
    for rule in (tcp, udp):
        assert (rule["Action"], rule["Dir"], rule["Active"]) == (["Allow"], ["Out"], ["TRUE"])
        assert "RA4" not in rule
        assert rule["Desc"][0].startswith("rustdesk_firewall out")


def test_steady_run_changes_nothing_and_is_cheap(tmp_path: Path) -> None:
    firewall(WINDOWS)
    counts = tmp_path / "executions.json"
    counting = {"COUNT_EXECUTIONS_FILE": str(counts), "ANSIBLE_CALLBACKS_ENABLED": "count_executions"}
    assert firewall(WINDOWS, extra_environment=counting).changed == 0
    assert 0 < json.loads(counts.read_text())[WINDOWS]["remote"] <= MOST_EXECUTIONS
    assert firewall(WINDOWS, {}, "--check", "--diff").changed == 0


def test_check_mode_tells_what_would_change_and_changes_nothing() -> None:
    firewall(WINDOWS, {"rustdesk_firewall_state": "absent"})
    before = rules()
    assert firewall(WINDOWS, {}, "--check", "--diff").changed == 1
    assert rules() == before


def test_only_the_given_addresses_are_let_through() -> None:
    given = {"rustdesk_firewall_remote_addresses": ["192.0.2.7", "198.51.100.0/24", "2001:db8::/48"]}
    firewall(WINDOWS, given)
    assert firewall(WINDOWS, given).changed == 0
    for name in NAMES:
        (rule,) = named(name)
        assert len(rule["RA4"]) == 2
        assert len(rule["RA6"]) == 1
    firewall(WINDOWS)
    assert "RA4" not in named(NAMES[0])[0], "an earlier run's addresses still limit the rule"


def test_a_rule_that_somebody_has_narrowed_down_is_widened_again() -> None:
    firewall(WINDOWS)
    whole = named(NAMES[0])
    done = play(WINDOWS, {}, playbook=NARROWED)
    assert done.status == 0, done.output
    assert {"App", "LA4", "LPort", "Profile"} <= set(named(NAMES[0])[0])
    assert firewall(WINDOWS).changed == 1
    assert named(NAMES[0]) == whole
    assert firewall(WINDOWS).changed == 0


def foreign(state: str) -> Play:
    done = play(WINDOWS, {"lab_state": state}, playbook=FOREIGN)
    assert done.status == 0, done.output
    return done


def test_one_name_for_two_protocols_is_a_trap() -> None:
    """Why there are two names: with one, each task overwrites the other's rule, at every run."""
    try:
        foreign("present")
        (rule,) = named("RustDesk Remote Support")
        assert rule["Protocol"] == ["17"], "the one for TCP should be gone"
        again = foreign("present")
        assert again.changed, "a second run should overwrite both again"
    finally:
        foreign("absent")


def test_removed_rules_are_those_of_the_role_and_no_others() -> None:
    foreign("present")
    try:
        firewall(WINDOWS, {"rustdesk_firewall_state": "absent"})
        without = rules()
        assert [text for text in without if any(name in text for name in NAMES)] == []
        assert len([text for text in without if "Rule of the site" in text]) == 1
        firewall(WINDOWS)
        assert set(without) <= set(rules())
        firewall(WINDOWS, {"rustdesk_firewall_state": "absent"})
        assert rules() == without
        assert firewall(WINDOWS, {"rustdesk_firewall_state": "absent"}).changed == 0
    finally:
        foreign("absent")


def test_a_protocol_that_is_no_longer_asked_for_goes() -> None:
    firewall(WINDOWS, {"rustdesk_firewall_ports": [entry for entry in PORTS if entry["protocol"] == "tcp"]})
    assert named(NAMES[1]) == []
    assert len(named(NAMES[0])) == 1


def test_a_failed_rule_takes_the_other_one_with_it() -> None:
    firewall(WINDOWS, {"rustdesk_firewall_state": "absent"})
    before = rules()
    planted = [{"name": NAMES[0], "protocol": "tcp"}, {"name": NAMES[1], "protocol": "nonsense"}]
    ports = {"tcp": [21116], "nonsense": [21116]}
    message = refused(
        WINDOWS, {"__rustdesk_firewall_windows_rules": planted, "__rustdesk_firewall_windows_ports": ports}
    )
    assert "were not written" in message
    assert rules() == before


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"backend": "ufw"}, "rustdesk_firewall_backend: ufw does not exist on Windows"),
        ({"direction": "in"}, "rustdesk_firewall_direction: in is for servers"),
        ({"activate": True}, "rustdesk_firewall_activate"),
        ({"remote_addresses": ["rustdesk.example.org"]}, "rustdesk_firewall_remote_addresses"),
    ],
)
def test_refused(variables: dict[str, Any], says: str) -> None:
    before = rules()
    assert says in refused(WINDOWS, {f"rustdesk_firewall_{name}": value for name, value in variables.items()})
    assert rules() == before
