"""What the role makes of its variables before a task uses them."""

from __future__ import annotations

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
