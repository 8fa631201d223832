"""What the role makes of its variables before a task uses them."""

from __future__ import annotations

import ast

import pytest

from .support import evaluated

MIRROR = "https://mirror-user:geheim%40mirror@mirror.example.org:8443/rustdesk"


def test_who_logs_in_at_the_mirror_is_shown_to_nobody() -> None:
    source = {"rustdesk_server_archive_mirror": MIRROR, "rustdesk_server_architecture": "amd64"}
    for shown in ("{{ __rustdesk_server_archive_address }}", "{{ __rustdesk_server_archive_origin }}"):
        text = evaluated(shown, **source)
        assert "https://mirror.example.org:8443/rustdesk/1.1.16/rustdesk-server-linux-amd64.zip" in text
        assert "mirror-user" not in text
        assert "geheim" not in text
    assert evaluated("{{ __rustdesk_server_archive_login.username }}", **source) == "mirror-user"
    assert evaluated("{{ __rustdesk_server_archive_login.password }}", **source) == "geheim@mirror"


def test_a_mirror_without_login_is_taken_as_it_is() -> None:
    source = {
        "rustdesk_server_archive_url": "https://mirror.example.org/a@b.zip",
        "rustdesk_server_architecture": "amd64",
    }
    assert evaluated("{{ __rustdesk_server_archive_address }}", **source) == "https://mirror.example.org/a@b.zip"
    assert evaluated("{{ __rustdesk_server_archive_login.username }}", **source) == ""


@pytest.mark.parametrize(
    ("host", "relay"),
    [("rustdesk.example.org", "rustdesk.example.org:31118"), ("2001:db8::1", "[2001:db8::1]:31118")],
)
def test_a_relay_on_another_port_is_named_with_it(host: str, relay: str) -> None:
    ports = {"rustdesk_server_port": 31116, "rustdesk_server_relay_port": 31118}
    assert evaluated("{{ __rustdesk_server_relays | first }}", rustdesk_server_host=host, **ports) == relay


@pytest.mark.parametrize(
    ("variables", "address"),
    [
        ({}, "rustdesk.example.org"),
        ({"rustdesk_server_verify_from": "host"}, "192.0.2.7"),
        ({"rustdesk_server_verify_from": "host", "rustdesk_server_bind_address": "192.0.2.8"}, "192.0.2.8"),
        ({"rustdesk_server_verify_from": "host", "rustdesk_server_bind_address": "0.0.0.0"}, "192.0.2.7"),
        ({"rustdesk_server_verify_from": "host", "rustdesk_server_bind_address": "::"}, "192.0.2.7"),
        ({"rustdesk_server_bind_address": "192.0.2.8"}, "rustdesk.example.org"),
        ({"rustdesk_server_verify_from": "host", "rustdesk_server_verify_address": "192.0.2.9"}, "192.0.2.9"),
    ],
)
def test_the_proofs_talk_to_an_address_that_is_listened_on(variables: dict[str, object], address: str) -> None:
    host = {"address": "192.0.2.7"}
    assert evaluated("{{ __rustdesk_server_verify_address }}", __rustdesk_server_host=host, **variables) == address


@pytest.mark.parametrize(
    ("variables", "programs", "relays", "port"),
    [
        ({}, ["hbbs", "hbbr"], [], 21115),
        ({"rustdesk_server_relay_port": 31117}, ["hbbs", "hbbr"], ["rustdesk.example.org:31117"], 21115),
        ({"rustdesk_server_mode": "rendezvous", "rustdesk_relays": ["a.b"]}, ["hbbs"], ["a.b"], 21115),
        ({"rustdesk_server_mode": "relay", "rustdesk_relays": ["a.b"]}, ["hbbr"], [], 21115),
        ({"rustdesk_server_bind_address": "0.0.0.0", "rustdesk_server_port": "31116"}, ["hbbs", "hbbr"], None, 31115),
    ],
)
def test_what_runs_is_compared_with_what_the_mode_runs(
    variables: dict[str, object], programs: list[str], relays: list[str] | None, port: int
) -> None:
    running = ast.literal_eval(evaluated("{{ __rustdesk_server_running }}", **variables))
    assert [*running["commands"]] == [f"rustdesk-{name}.service" for name in programs]
    for unit, command in running["commands"].items():
        assert command[0] == f"/opt/rustdesk-server/current/{unit[9:13]}"
        assert command[1].startswith("--port=")
    assert running["console_port"] == port
    assert relays is None or running["relays"] == relays


LOOKED: dict[str, object] = {
    "units": {
        "rustdesk-hbbs.service": {"command_fault": "hbbs runs with x", "restart_fault": "hbbs keeps ending"},
        "rustdesk-hbbr.service": {"command_fault": "", "restart_fault": ""},
    },
    "relays_unnamed": [],
}
QUIET: dict[str, object] = {
    "units": {"rustdesk-hbbs.service": {"command_fault": "", "restart_fault": "hbbs keeps ending"}},
    "relays_unnamed": ["a.b", "c.d"],
}
RESTARTED: dict[str, object] = {"__rustdesk_server_hbbs_restart": {"changed": True}}
PROVEN: dict[str, object] = {"__rustdesk_server_probe": {"changed": False, "failed": False}}
UNPROVEN: dict[str, object] = {"__rustdesk_server_probe": {"changed": False, "failed": True}}
AGAIN: dict[str, object] = {"__rustdesk_server_looked_again": QUIET}
SKIPPED: dict[str, object] = {"__rustdesk_server_looked_again": {"changed": False, "skipped": True}}


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (PROVEN, ["hbbs runs with x", "hbbs keeps ending"]),
        (UNPROVEN, ["hbbs runs with x", "hbbs keeps ending"]),
        # What was seen before a daemon was started says nothing of the one that runs now.
        (RESTARTED | PROVEN | AGAIN, []),
        (RESTARTED | PROVEN | AGAIN | {"rustdesk_server_relays": ["a.b", "c.d"]}, ["rustdesk_server_relays: "]),
        (RESTARTED | PROVEN | AGAIN | {"rustdesk_server_relays": ["a.b", "c.d", "e.f"]}, []),
        (RESTARTED | PROVEN | SKIPPED, []),
        (RESTARTED | UNPROVEN, []),
        # Started again with what it ended with, it goes on ending.
        ({"__rustdesk_server_started": {"changed": True}} | PROVEN | SKIPPED, ["hbbs keeps ending"]),
    ],
)
def test_what_the_wire_does_not_show_is_told_of_what_runs_now(variables: dict[str, object], told: list[str]) -> None:
    found = ast.literal_eval(evaluated("{{ __rustdesk_server_unseen }}", __rustdesk_server_host=LOOKED, **variables))
    assert len(found) == len(told)
    assert all(fault.startswith(start) for fault, start in zip(found, told, strict=True))
