"""Firewall rules in the form that the registry has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from windows_lab import firewall
from windows_lab.errors import NotModelledError, Refused
from windows_lab.firewall import Rule, decode, encode, validated

TCP = Rule(name="RustDesk (TCP)", direction=firewall.OUTBOUND, protocol=firewall.TCP, remote_ports="21115,21116,21117")


@pytest.mark.parametrize(
    "rule",
    [
        TCP,
        replace(TCP, remote_ports="21115-21117,443", profiles=3),
        replace(TCP, remote_addresses="192.0.2.1,198.51.100.0/24,LocalSubnet,2001:db8::/32"),
        replace(TCP, remote_addresses="192.0.2.1-192.0.2.9"),
        replace(
            TCP, action=firewall.BLOCK, enabled=False, direction=firewall.INBOUND, local_ports="1", remote_ports=None
        ),
        Rule(name="a = b", description="d", grouping="g", service_name="s", application_name=r"C:\x.exe"),
    ],
)
def test_rule_is_read_as_it_was_written(rule: Rule) -> None:
    assert decode(encode(validated(rule))) == validated(rule)


def test_rule_is_written_as_windows_does() -> None:
    ports = replace(TCP, remote_ports="21115-21117", remote_addresses="192.0.2.1,10.0.0.0/8", description="by Ansible")
    assert encode(validated(ports)) == (
        "v2.33|Action=Allow|Active=TRUE|Dir=Out|Protocol=6|RPort2_10=21115-21117|RA4=192.0.2.1|RA4=10.0.0.0/255.0.0.0"
        "|Name=RustDesk (TCP)|Desc=by Ansible|"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"remote_ports": "65536"},
        {"remote_ports": "2-1"},
        {"remote_ports": "https"},
        {"protocol": firewall.ANY_PROTOCOL},
        {"remote_addresses": "rustdesk.example.org"},
        {"remote_addresses": "192.0.2.300"},
        {"name": "a|b"},
        {"name": ""},
    ],
)
def test_what_windows_refuses_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(Refused, match="does not fall within the expected range"):
        validated(replace(TCP, **change))


def test_blanks_in_ports_are_not_guessed_at() -> None:
    with pytest.raises(NotModelledError):
        validated(replace(TCP, remote_ports="1, 2"))


def test_property_that_is_unknown_is_not_passed_over() -> None:
    with pytest.raises(NotModelledError):
        decode("v2.33|Action=Allow|Active=TRUE|Dir=In|Security=Authenticate|Name=x|")
