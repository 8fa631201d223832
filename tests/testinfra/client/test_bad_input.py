"""Bad input is refused with the variable's name and the way out, and the endpoint stays as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.client.endpoints import ENDPOINT
from tests.testinfra.refusals import ACCEPTED, Case, Place, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

SNAPSHOT = (
    "find /etc /opt /usr/local /home /root /var/lib /var/cache -xdev -type f "
    "-not -path '*/.ansible/*' -exec sha256sum {} + | sort"
)
KEY = "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA="
PRIVATE_KEY = "A" * 86 + "=="

CASES = {
    "no server": Case(("id_server", "public servers"), {"id_server": ""}),
    "server as a URL": Case(("id_server", "URL"), {"id_server": "https://rustdesk.example.org"}),
    "server that is no name": Case(("id_server", "no..name"), {"id_server": "no..name"}),
    "port of the server": Case(("id_server", "99999"), {"id_server": "rustdesk.example.org:99999"}),
    "port out of range": Case(("port", "70000"), {"port": 70000}),
    "port as a word": Case(("port", "whole number"), {"port": "usual"}),
    "relay": Case(("relay_server", "relay example"), {"relay_server": "relay example"}),
    "no key": Case(("key", "id_ed25519.pub"), {"key": ""}),
    "short key": Case(("key", "32 bytes"), {"key": "c2hvcnQ="}),
    "private key": Case(("key", "private key"), {"key": PRIVATE_KEY}),
    "API server": Case(("api_server", "http"), {"api_server": "api.example.org"}),
    "misspelt variable": Case(("id_sever", "id_server"), {"id_sever": "x"}),
    "unknown role": Case(("role", "controlled"), {"role": "both"}),
    "unknown state": Case(("state", "absent"), {"state": "removed"}),
    "users as text": Case(("users", "a list"), {"users": "anna"}),
    "user with a path": Case(("users", "/home/anna"), {"users": ["/home/anna"]}),
    "user named twice": Case(("users", "twice"), {"users": ["root", "root"]}),
    "user that is unknown": Case(("users", "nobody-of-that-name"), {"users": ["nobody-of-that-name"]}),
    "nobody at all": Case(("discover_users", "no profile"), {"portable": True, "discover_users": False}),
    "proxy of a controlled computer": Case(
        ("proxy_url", "cannot be controlled", "UDP", "rustdesk_client_role"),
        {"proxy_url": "socks5://proxy.example.org:1080"},
    ),
    "proxy without a port": Case(("proxy_url", "socks5://"), {"role": "controlling", "proxy_url": "socks5://proxy"}),
    "proxy of another kind": Case(("proxy_url", "ftp"), {"role": "controlling", "proxy_url": "ftp://proxy:21"}),
    "proxy with its password": Case(
        ("proxy_url", "proxy_password"), {"role": "controlling", "proxy_url": "http://u:geheim@p:80"}
    ),
    "proxy's user without a proxy": Case(("proxy_username", "proxy_url"), {"proxy_username": "u"}),
    "proxy that is to go and to stay": Case(
        ("proxy_remove", "proxy_url"), {"role": "controlling", "proxy_url": "http://p:80", "proxy_remove": True}
    ),
    "short password": Case(("permanent_password", "fewer than 8"), {"permanent_password": "geheim"}),
    "long password": Case(("permanent_password", "128"), {"permanent_password": "geheim" * 30}),
    "password like an encrypted one": Case(("permanent_password", "00"), {"permanent_password": "00geheim-geheim"}),
    "password without effect": Case(
        ("permanent_password", "verification_method"),
        {"permanent_password": "geheim-geheim", "verification_method": "use-temporary-password"},
    ),
    "whitelist": Case(("whitelist", "192.0.2.300"), {"whitelist": ["192.0.2.300"]}),
    "whitelist for all": Case(("whitelist", "everybody"), {"whitelist": ["192.0.2.7", "0.0.0.0"]}),
    "approval": Case(("approve_mode", "click"), {"approve_mode": "ask"}),
    "permission": Case(("permissions", "keyboard"), {"permissions": {"keybord": False}}),
    "permission as text": Case(("permissions", "true or false"), {"permissions": {"keyboard": "N"}}),
    "permission without effect": Case(
        ("permissions", "access_mode"), {"permissions": {"audio": False}, "access_mode": "full"}
    ),
    "option that is no text": Case(("options", "in quotes"), {"options": {"enable-abr": False}}),
    "option with a variable of its own": Case(("options", "rustdesk_client_key"), {"options": {"key": KEY}}),
    "option of another file": Case(("options", "rustdesk_client_local_options"), {"options": {"theme": "dark"}}),
    "option misspelt": Case(("options", "enable-hwcodec"), {"options": {"enable-hwcodek": "N"}}),
    "option against UDP": Case(("options", "UDP"), {"options": {"disable-udp": "Y"}}),
    "option that stops the service": Case(("options", "unreachable"), {"options": {"stop-service": "Y"}}),
    "address of a package": Case(("package_url", "http://[x"), {"install": True, "package_url": "http://[x"}),
    "language": Case(("language", "de"), {"language": "Deutsch"}),
    "direct port": Case(("direct_access_port", "80"), {"direct_access_port": 80}),
    "version without a pin": Case(("package_sha256", "1.4.8"), {"install": True, "version": "1.4.8"}),
    "digest": Case(("package_sha256", "64"), {"install": True, "package_sha256": "abc"}),
    "package that is not there": Case(("package_file", "/none.deb"), {"install": True, "package_file": "/none.deb"}),
    "two sources": Case(
        ("package_url", "package_file"),
        {"install": True, "package_file": "/none.deb", "package_url": "https://example.org/a.deb"},
    ),
    "installed and portable": Case(("install", "portable"), {"install": True, "portable": True}),
    "service that is not there": Case(("service", "install"), {"service": "running"}),
    "DSCP": Case(("qos_dscp", "63"), {"qos": True, "qos_dscp": 64}),
    "time for the proofs": Case(("verify_timeout", "seconds"), {"verify_timeout": 0}),
    "several at once": Case(
        ("4 faults", "id_server", "key", "users", "qos_dscp"),
        {"id_server": "a b", "key": "short", "users": ["x/y"], "qos_dscp": -1},
    ),
}


@pytest.fixture(scope="module")
def said(on: Callable[[str], Host], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the role with each case."""
    place = Place(on(ENDPOINT), ENDPOINT, SNAPSHOT)
    return told(place, "rustdesk_client", CASES, tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize("name", CASES)
def test_refused(said: dict[str, str], name: str) -> None:
    message = said[name]
    assert message != ACCEPTED
    assert "nothing was changed" in message
    assert CASES[name].unsaid(message) == [], message
    assert "geheim" not in message
    assert PRIVATE_KEY not in message
