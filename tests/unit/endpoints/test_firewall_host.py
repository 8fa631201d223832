"""Reading what firewalls have written down, and putting files back."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, cast

import pytest
import rustdesk_firewall_guard as guard
import rustdesk_firewall_info as info
from ansible.module_utils import firewall_undo as undo

OUT = "comment=727573746465736b5f6669726577616c6c206f7574"
FOUR = f"""*filter
### RULES ###
### tuple ### allow tcp 21115,21116 0.0.0.0/0 any 0.0.0.0/0 out {OUT}
-A ufw-user-output -p tcp -m multiport --dports 21115,21116 -j ACCEPT
### tuple ### allow udp 21116 192.0.2.1 any 0.0.0.0/0 out {OUT}
### tuple ### allow udp 21116 0.0.0.0/0 any 0.0.0.0/0 out
### tuple ### deny tcp 21117 0.0.0.0/0 any 0.0.0.0/0 out {OUT}
### tuple ### allow any 22 0.0.0.0/0 any 0.0.0.0/0 in_eth0
### tuple ### allow tcp 22 0.0.0.0/0 any 0.0.0.0/0 OpenSSH - in
### tuple ### route:allow tcp 80 10.0.0.1 any 0.0.0.0/0 in
### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 in
"""
SIX = f"### tuple ### allow tcp 21115,21116 ::/0 any ::/0 out {OUT}\n"


def state(directory: Path, four: str, six: str, defaults: str = "IPV6=yes\n") -> dict[str, list[dict[str, object]]]:
    (directory / "user.rules").write_text(four)
    (directory / "user6.rules").write_text(six)
    (directory / "defaults").write_text(defaults)
    return info.ufw_state(directory, directory / "defaults")


def test_rules_of_the_role_are_told_from_others(tmp_path: Path) -> None:
    found = state(tmp_path, FOUR, SIX)
    assert [(rule["ports"], rule["address"], rule["complete"]) for rule in found["own"]] == [
        ("21115,21116", "any", True),
        ("21116", "192.0.2.1", True),
    ]
    # Without its half for IPv6, the one of the site does not open what is asked for.
    assert found["foreign"] == []
    assert [(rule["direction"], rule["ports"]) for rule in found["limited"]] == [("in", "22")]


def test_all_rules_are_told_in_their_order(tmp_path: Path) -> None:
    four = (
        "### tuple ### deny_log any 21000:22000 0.0.0.0/0 any 10.0.0.0/8 in\n"
        "### tuple ### limit tcp 22 0.0.0.0/0 any 0.0.0.0/0 Open%20SSH - in\n"
        "### tuple ### reject udp 9 192.0.2.1 any 0.0.0.0/0 in\n"
        "### tuple ### reject udp 9 0.0.0.0/0 53 0.0.0.0/0 in\n"
        "### tuple ### deny udp 9 0.0.0.0/0 any 0.0.0.0/0 in_eth0\n"
        "### tuple ### route:deny udp 9 0.0.0.0/0 any 0.0.0.0/0 in\n"
    )
    six = "### tuple ### deny any any ::/0 any ::/0 out\n"
    names = ("version", "action", "direction", "protocol", "ports", "address", "profile")
    expected = [
        (4, "deny", "in", "any", "21000:22000", "10.0.0.0/8", ""),
        (4, "limit", "in", "tcp", "22", "any", "Open SSH"),
        (6, "deny", "out", "any", "any", "any", ""),
    ]
    assert [tuple(rule[name] for name in names) for rule in state(tmp_path, four, six)["rules"]] == expected
    found = state(tmp_path, four, six, "IPV6=no\n")
    assert [rule["version"] for rule in found["rules"]] == [4, 4]
    assert found["limited"] == []


def test_a_logged_rule_of_the_site_is_enough(tmp_path: Path) -> None:
    four = (
        "### tuple ### allow_log udp 9 0.0.0.0/0 any 192.0.2.1 in\n"
        f"### tuple ### allow_log udp 8 0.0.0.0/0 any 0.0.0.0/0 out {OUT}\n"
    )
    found = state(tmp_path, four, "")
    assert found["own"] == []
    assert [rule["ports"] for rule in found["foreign"]] == ["9"]


@pytest.mark.parametrize(
    ("defaults", "complete"), [("IPV6=yes\n", False), ("IPV6=no\n", True), ("# IPV6=no\nipv6=YES\n", False)]
)
def test_both_versions_of_ip_are_needed(tmp_path: Path, defaults: str, complete: bool) -> None:
    found = state(tmp_path, FOUR, "", defaults)
    assert found["own"][0]["complete"] is complete


def test_a_host_without_ufw_has_no_rules(tmp_path: Path) -> None:
    assert info.ufw_state(tmp_path, tmp_path / "defaults") == {
        "own": [],
        "foreign": [],
        "limited": [],
        "rules": [],
    }


def test_zones_tell_what_is_the_role_s() -> None:
    zone = ET.fromstring(
        '<zone><service name="ssh"/><service name="rustdesk-in"/>'
        '<rule family="ipv4"><source address="192.0.2.7"/><service name="rustdesk-in"/><accept/></rule>'
        '<rule family="ipv4"><source address="192.0.2.7"/><service name="ssh"/><accept/></rule></zone>'
    )
    assert list(info.zone_values(zone)) == [
        ("service", "rustdesk-in"),
        ("rich_rule", 'rule family="ipv4" source address="192.0.2.7" service name="rustdesk-in" accept'),
    ]


@pytest.mark.parametrize(
    ("zone", "admitted"),
    [
        ('<zone><port port="2222" protocol="tcp"/></zone>', True),
        ('<zone><port port="2000-3000" protocol="tcp"/></zone>', True),
        ('<zone><port port="2222" protocol="udp"/></zone>', False),
        ('<zone target="ACCEPT"/>', True),
        ('<zone target="DROP"/>', False),
        ('<zone><service name="unknown"/></zone>', False),
    ],
)
def test_a_zone_admits_what_it_opens(zone: str, admitted: bool) -> None:
    assert info.admits(ET.fromstring(zone), 2222) is admitted


def test_no_zone_admits_nothing() -> None:
    assert not info.admits(None, 22)


# --- Undo ----------------------------------------------------------------------------------------------------------


def test_files_come_back_as_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(undo, "DIRECTORY", memory)
    kept, link, new = tmp_path / "kept", tmp_path / "link", tmp_path / "sub" / "new"
    kept.write_bytes(b"\x00old\r\n")
    kept.chmod(0o640)
    link.symlink_to("kept")
    said = tmp_path / "said"
    undo.remember([kept, link, new], [["false"]], [["sh", "-c", f"cat {kept} >{said}"]])

    kept.write_bytes(b"changed")
    kept.chmod(0o600)
    link.unlink()
    link.write_text("no link")
    new.parent.mkdir()
    new.write_text("new")
    assert undo.restore() == []

    assert kept.read_bytes() == b"\x00old\r\n"
    assert kept.stat().st_mode & 0o7777 == 0o640
    assert link.readlink() == Path("kept")
    assert not new.exists()
    assert said.read_bytes() == b"\x00old\r\n", "the command ran before the files were back"
    assert undo.is_remembered(), "what is changed from now on could not be put back"


def test_what_the_timer_has_undone_is_marked_and_stays_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(undo, "DIRECTORY", tmp_path)
    rules = tmp_path / "rules"
    rules.write_text("before")
    undo.remember([rules], [], [])
    for change in ("a step of the change", "a later step of it"):
        assert undo.is_undone() is (change != "a step of the change")
        rules.write_text(change)
        assert undo.main() == 0
        assert rules.read_text() == "before"
    assert undo.is_undone()


def test_a_command_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "DIRECTORY", tmp_path)
    undo.remember([], [["/missing"]], [["/missing", "now"], ["sh", "-c", f"touch {tmp_path}/ran"]])
    assert undo.main() == 1
    assert (tmp_path / "ran").exists()


def test_a_command_that_fails_is_told_and_nothing_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "DIRECTORY", tmp_path)
    undo.remember([], [], [["sh", "-c", "echo planted >&2; exit 3"], ["true"]])
    assert undo.restore() == ["sh -c echo planted >&2; exit 3 ended with status 3: planted"]
    assert (tmp_path / undo.MEMORY).exists()


def test_without_a_memory_there_is_nothing_to_undo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "DIRECTORY", tmp_path)
    assert undo.main() == 0


def test_what_is_remembered_is_root_s_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(undo, "DIRECTORY", tmp_path)
    undo.remember([], [], [])
    assert (tmp_path / undo.MEMORY).stat().st_mode & 0o7777 == 0o600


@dataclass
class Host:
    """A host with few active units, as a module meets it."""

    ufw: str
    params: dict[str, Any]
    active: tuple[str, ...] = ()
    ran: list[list[str]] = field(default_factory=list)

    def get_bin_path(self, name: str, required: bool = False) -> str | None:
        """Every program is there."""
        assert required or name in ("nft", "ufw", "firewall-cmd")
        return f"/usr/sbin/{name}"

    def run_command(self, command: list[str], **_options: Any) -> tuple[int, str, str]:
        """Answer for ufw and for units; all else works."""
        self.ran.append(command)
        if command[0].endswith("ufw"):
            return 0, f"Status: {self.ufw}", ""
        asked = command[1].startswith("is-")
        return (0 if not asked or command[-1] in self.active else 1), "", ""

    def fail_json(self, msg: str) -> NoReturn:
        """End as a module does that fails."""
        raise SystemExit(msg)


@pytest.mark.parametrize(
    ("ufw", "activate", "undone"),
    [
        ("active", "", ["reload"]),
        ("inactive", "ufw", ["--force", "disable"]),
        # It would open what iptables has closed for somebody else.
        ("inactive", "", None),
        ("inactive", "nftables", None),
    ],
)
def test_ufw_is_switched_off_only_where_the_change_switches_it_on(
    ufw: str, activate: str, undone: list[str] | None
) -> None:
    _before, found = guard.commands(cast("Any", Host(ufw, {"activate": activate, "firewalld": False})))
    assert [command[1:] for command in found if command[0].endswith("ufw")] == ([undone] if undone else [])


@pytest.mark.parametrize("touched", [True, False])
def test_firewalld_is_reloaded_only_where_the_change_touches_it(touched: bool) -> None:
    there = Host("inactive", {"activate": "", "firewalld": touched}, active=("firewalld.service",))
    _before, found = guard.commands(cast("Any", there))
    assert (["/usr/sbin/firewall-cmd", "--reload"] in found) is touched
    assert any("firewalld.service" in command for command in found) is touched


TIMER, SERVICE = "rustdesk-firewall-undo.timer", "rustdesk-firewall-undo.service"


@pytest.fixture
def armed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A change of a file that is remembered; the memory is its own directory."""
    memory = tmp_path / "memory"
    memory.mkdir()
    monkeypatch.setattr(undo, "DIRECTORY", memory)
    rules = tmp_path / "rules"
    rules.write_text("before")
    undo.remember([rules], [], [])
    rules.write_text("changed")
    return rules


def waiting(*active: str) -> Host:
    return Host("inactive", {"activate": "", "firewalld": False, "seconds": 60}, active=active)


def test_a_change_that_is_held_gets_the_whole_time_again(armed: Path) -> None:
    there = waiting(TIMER)
    guard.hold(cast("Any", there))
    assert ["systemctl", "restart", TIMER] in there.ran
    assert not [command for command in there.ran if command[0].endswith("systemd-run")]
    stopped = waiting()
    guard.hold(cast("Any", stopped))
    assert [command for command in stopped.ran if command[0].endswith("systemd-run")]
    assert armed.read_text() == "changed"


@pytest.mark.parametrize("how", ["done", "at it", "forgotten"])
@pytest.mark.parametrize("name", ["hold", "disarm"])
def test_a_change_that_was_undone_does_not_go_on(armed: Path, how: str, name: str) -> None:
    if how == "done":
        undo.main()
    if how == "forgotten":
        undo.forget()
    with pytest.raises(SystemExit, match="the change was undone"):
        getattr(guard, name)(waiting(TIMER, *([SERVICE] if how == "at it" else [])))
    assert undo.is_remembered() is (how != "forgotten")
    assert armed.read_text() == ("before" if how == "done" else "changed")


def test_what_was_changed_after_the_timer_is_put_back_too(armed: Path) -> None:
    undo.main()
    armed.write_text("changed by a later step")
    assert guard.undo(cast("Any", waiting()))
    assert armed.read_text() == "before"
    assert not undo.DIRECTORY.exists()
    assert not guard.undo(cast("Any", waiting()))


def test_a_confirmed_change_is_forgotten(armed: Path) -> None:
    guard.disarm(cast("Any", waiting(TIMER)))
    assert armed.read_text() == "changed"
    assert not undo.DIRECTORY.exists()
