"""Bad input is refused with the variable's name and the way out, and the endpoint stays as it was."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.testinfra.client.endpoints import ENDPOINT
from tests.testinfra.plays import ROOT, play

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

TOLD = "Tell what was said"

SNAPSHOT = (
    "find /etc /opt /usr/local /home /root /var/lib /var/cache -xdev -type f "
    "-not -path '*/.ansible/*' -exec sha256sum {} + | sort"
)
KEY = "P0UzVgzcsRdIYduo0rCFKdNVGMDxIXIOy2ote0HkKmA="
PRIVATE_KEY = "A" * 86 + "=="

CASES: dict[str, tuple[dict[str, Any], tuple[str, ...]]] = {
    "no server": ({"id_server": ""}, ("id_server", "public servers")),
    "server as a URL": ({"id_server": "https://rustdesk.example.org"}, ("id_server", "URL")),
    "server that is no name": ({"id_server": "no..name"}, ("id_server", "no..name")),
    "port of the server": ({"id_server": "rustdesk.example.org:99999"}, ("id_server", "99999")),
    "port out of range": ({"port": 70000}, ("port", "70000")),
    "port as a word": ({"port": "usual"}, ("port", "whole number")),
    "relay": ({"relay_server": "relay example"}, ("relay_server", "relay example")),
    "no key": ({"key": ""}, ("key", "id_ed25519.pub")),
    "short key": ({"key": "c2hvcnQ="}, ("key", "32 bytes")),
    "private key": ({"key": PRIVATE_KEY}, ("key", "private key")),
    "API server": ({"api_server": "api.example.org"}, ("api_server", "http")),
    "misspelt variable": ({"id_sever": "x"}, ("id_sever", "id_server")),
    "unknown role": ({"role": "both"}, ("role", "controlled")),
    "unknown state": ({"state": "removed"}, ("state", "absent")),
    "users as text": ({"users": "anna"}, ("users", "a list")),
    "user with a path": ({"users": ["/home/anna"]}, ("users", "/home/anna")),
    "user named twice": ({"users": ["root", "root"]}, ("users", "twice")),
    "user that is unknown": ({"users": ["nobody-of-that-name"]}, ("users", "nobody-of-that-name")),
    "nobody at all": ({"portable": True, "discover_users": False}, ("discover_users", "no profile")),
    "proxy of a controlled computer": (
        {"proxy_url": "socks5://proxy.example.org:1080"},
        ("proxy_url", "cannot be controlled", "UDP", "rustdesk_client_role"),
    ),
    "proxy without a port": ({"role": "controlling", "proxy_url": "socks5://proxy"}, ("proxy_url", "socks5://")),
    "proxy of another kind": ({"role": "controlling", "proxy_url": "ftp://proxy:21"}, ("proxy_url", "ftp")),
    "proxy with its password": (
        {"role": "controlling", "proxy_url": "http://u:geheim@p:80"},
        ("proxy_url", "proxy_password"),
    ),
    "proxy's user without a proxy": ({"proxy_username": "u"}, ("proxy_username", "proxy_url")),
    "proxy that is to go and to stay": (
        {"role": "controlling", "proxy_url": "http://p:80", "proxy_remove": True},
        ("proxy_remove", "proxy_url"),
    ),
    "short password": ({"permanent_password": "geheim"}, ("permanent_password", "fewer than 8")),
    "long password": ({"permanent_password": "geheim" * 30}, ("permanent_password", "128")),
    "password like an encrypted one": ({"permanent_password": "00geheim-geheim"}, ("permanent_password", "00")),
    "password without effect": (
        {"permanent_password": "geheim-geheim", "verification_method": "use-temporary-password"},
        ("permanent_password", "verification_method"),
    ),
    "whitelist": ({"whitelist": ["192.0.2.300"]}, ("whitelist", "192.0.2.300")),
    "whitelist for all": ({"whitelist": ["192.0.2.7", "0.0.0.0"]}, ("whitelist", "everybody")),
    "approval": ({"approve_mode": "ask"}, ("approve_mode", "click")),
    "permission": ({"permissions": {"keybord": False}}, ("permissions", "keyboard")),
    "permission as text": ({"permissions": {"keyboard": "N"}}, ("permissions", "true or false")),
    "permission without effect": (
        {"permissions": {"audio": False}, "access_mode": "full"},
        ("permissions", "access_mode"),
    ),
    "option that is no text": ({"options": {"enable-abr": False}}, ("options", "in quotes")),
    "option with a variable of its own": ({"options": {"key": KEY}}, ("options", "rustdesk_client_key")),
    "option of another file": ({"options": {"theme": "dark"}}, ("options", "rustdesk_client_local_options")),
    "option misspelt": ({"options": {"enable-hwcodek": "N"}}, ("options", "enable-hwcodec")),
    "option against UDP": ({"options": {"disable-udp": "Y"}}, ("options", "UDP")),
    "option that stops the service": ({"options": {"stop-service": "Y"}}, ("options", "unreachable")),
    "language": ({"language": "Deutsch"}, ("language", "de")),
    "direct port": ({"direct_access_port": 80}, ("direct_access_port", "80")),
    "version without a pin": ({"install": True, "version": "1.4.8"}, ("package_sha256", "1.4.8")),
    "digest": ({"install": True, "package_sha256": "abc"}, ("package_sha256", "64")),
    "package that is not there": ({"install": True, "package_file": "/none.deb"}, ("package_file", "/none.deb")),
    "two sources": (
        {"install": True, "package_file": "/none.deb", "package_url": "https://example.org/a.deb"},
        ("package_url", "package_file"),
    ),
    "installed and portable": ({"install": True, "portable": True}, ("install", "portable")),
    "service that is not there": ({"service": "running"}, ("service", "install")),
    "DSCP": ({"qos": True, "qos_dscp": 64}, ("qos_dscp", "63")),
    "time for the proofs": ({"verify_timeout": 0}, ("verify_timeout", "seconds")),
    "several at once": (
        {"id_server": "a b", "key": "short", "users": ["x/y"], "qos_dscp": -1},
        ("4 faults", "id_server", "key", "users", "qos_dscp"),
    ),
}


def attempt(name: str, variables: dict[str, Any]) -> dict[str, Any]:
    """Tasks that run the role with a case, and tell what it said."""
    role = {
        "name": name,
        "ansible.builtin.include_role": {"name": "rustdesk_client", "rolespec_validate": False},
        "vars": {f"rustdesk_client_{variable}": value for variable, value in variables.items()},
    }
    accepted = {"name": TOLD, "ansible.builtin.debug": {"msg": "accepted"}}
    refused = {"name": TOLD, "ansible.builtin.debug": {"msg": "{{ ansible_failed_result.msg }}"}}
    return {"block": [role, accepted], "rescue": [refused]}


@pytest.fixture(scope="module")
def said(on: Callable[[str], Host], tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Run the role with each case, see the endpoint unchanged, and return what was said; one run is fast."""
    host = on(ENDPOINT)
    tasks = [attempt(name, variables) for name, (variables, _) in CASES.items()]
    playbook = tmp_path_factory.mktemp("bad") / "bad_inputs.yml"
    playbook.write_text(yaml.safe_dump([{"hosts": ENDPOINT, "gather_facts": False, "become": True, "tasks": tasks}]))
    before = host.check_output(SNAPSHOT)
    done = play(ENDPOINT, {}, playbook=os.path.relpath(playbook, ROOT / "playbooks"))
    assert host.check_output(SNAPSHOT) == before
    assert "Traceback" not in done.output
    assert done.changed == 0
    messages = [str(result["msg"]) for task, result in done.results(ENDPOINT) if task == TOLD]
    return dict(zip(CASES, messages, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_refused(said: dict[str, str], name: str) -> None:
    message = said[name]
    assert message != "accepted"
    assert "nothing was changed" in message
    assert [part for part in CASES[name][1] if part not in message] == [], message
    assert "geheim" not in message
    assert PRIVATE_KEY not in message
