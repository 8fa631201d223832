"""The stand-in checks options as Ansible does: both are asked, and agree."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from windows_lab import options
from windows_lab.errors import Refused

SPECS = options.load()

GOOD: list[tuple[str, dict[str, Any]]] = [
    ("ansible.windows.win_file", {"path": "C:\\x", "state": "directory"}),
    ("ansible.windows.win_file", {"dest": "C:\\x", "state": "absent"}),
    ("ansible.windows.win_find", {"paths": "C:\\x,C:\\y", "recurse": "yes", "depth": "2"}),
    ("ansible.windows.win_package", {"path": "C:\\x", "expected_return_code": [0, "3010"]}),
    ("ansible.windows.win_package", {"state": "absent", "product_id": "x"}),
    ("ansible.windows.win_service", {"name": "x", "failure_actions": [{"type": "restart"}]}),
    ("ansible.windows.win_command", {"argv": ["a", "b"]}),
    ("ansible.windows.win_copy", {"dest": "C:\\x", "_copy_mode": "query", "files": [{"dest": "x"}]}),
    ("community.windows.win_firewall_rule", {"name": "x", "enable": False, "profile": ["private"]}),
]
BAD: list[tuple[str, dict[str, Any]]] = [
    ("ansible.windows.win_file", {"path": "C:\\x", "sate": "directory"}),
    ("ansible.windows.win_file", {"state": "directory"}),
    ("ansible.windows.win_file", {"path": "C:\\x", "state": "folder"}),
    ("ansible.windows.win_find", {"paths": ["C:\\x"], "recurse": "perhaps"}),
    ("ansible.windows.win_find", {"paths": ["C:\\x"], "depth": "deep"}),
    ("ansible.windows.win_get_url", {"url": "http://x", "dest": "C:\\x", "headers": 1}),
    ("ansible.windows.win_get_url", {"url": "http://x", "dest": "C:\\x", "checksum": "a", "checksum_url": "b"}),
    ("ansible.windows.win_package", {"state": "absent"}),
    ("ansible.windows.win_package", {"product_id": "x"}),
    ("ansible.windows.win_package", {"path": "C:\\x", "creates_version": "1"}),
    ("ansible.windows.win_service", {"name": "x", "password": "y"}),
    ("ansible.windows.win_service", {"name": "x", "failure_actions": [{"delay_ms": 1}]}),
    ("ansible.windows.win_command", {}),
    ("ansible.windows.win_command", {"argv": ["a"], "cmd": "a"}),
]


def ansible_says(module: str, arguments: dict[str, Any]) -> list[str]:
    spec = dict(SPECS[module])
    return ArgumentSpecValidator(spec.pop("options"), **spec).validate(arguments).error_messages


@pytest.mark.parametrize(("module", "arguments"), GOOD)
def test_right_options_are_taken(module: str, arguments: dict[str, Any]) -> None:
    assert ansible_says(module, arguments) == []
    assert options.check(SPECS[module], arguments).keys() == SPECS[module]["options"].keys()


@pytest.mark.parametrize(("module", "arguments"), BAD)
def test_wrong_options_are_refused(module: str, arguments: dict[str, Any]) -> None:
    assert ansible_says(module, arguments)
    with pytest.raises(Refused):
        options.check(SPECS[module], arguments)


def test_values_come_in_their_types_with_defaults() -> None:
    checked = options.check(SPECS["ansible.windows.win_find"], {"paths": "a,b", "recurse": "yes", "depth": "2"})
    assert (checked["paths"], checked["recurse"], checked["depth"]) == (["a", "b"], True, 2)
    assert checked["checksum_algorithm"] == "sha1"
    assert checked["patterns"] is None
