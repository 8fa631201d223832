"""What the installed ansible-core itself sends, decoded."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from windows_lab import manifest
from windows_lab.errors import NotModelledError
from windows_lab.manifest import Helper, ModuleCall, Removal


def encoded(script: str) -> list[str]:
    return ["-NoProfile", "-EncodedCommand", base64.b64encode(script.encode("utf-16-le")).decode()]


def sent(*actions: dict[str, Any]) -> str:
    bootstrap = {"name": "exec_wrapper", "script": "", "params": {}}
    return json.dumps(bootstrap) + manifest.END_OF_BOOTSTRAP + "\n" + json.dumps({"actions": actions})


def module(script: str, **arguments: Any) -> dict[str, Any]:
    variables = [{"Name": "complex_args", "Value": arguments, "Scope": "Global"}]
    return {"name": "module_wrapper.ps1", "params": {"Script": script, "Variables": variables, "Environment": {"A": 1}}}


PING = "ansible_collections.ansible.windows.plugins.modules.win_ping.ps1"


def test_module_is_called_by_its_full_name() -> None:
    text = sent(module(PING, data="x", _ansible_check_mode=True))
    expected = ModuleCall("ansible.windows.win_ping", {"data": "x"}, {"check_mode": True}, {"A": "1"})
    assert manifest.decode_input(text) == expected


def test_helper_keeps_its_parameters() -> None:
    text = json.dumps({"name": "powershell_mkdtemp.ps1", "params": {"Directory": "%TEMP%", "Name": "x"}})
    assert manifest.decode_input(text) == Helper("powershell_mkdtemp.ps1", {"Directory": "%TEMP%", "Name": "x"})


@pytest.mark.parametrize(
    ("script", "path"),
    [
        ("Remove-Item 'C:\\a b\\c' -Force -Recurse;", "C:\\a b\\c"),
        ("Remove-Item C:\\a\\c -Force -Recurse", "C:\\a\\c"),
        ("Remove-Item 'C:\\it''s' -Force;\nExit 0", "C:\\it's"),
    ],
)
def test_removal_of_every_version_is_known(script: str, path: str) -> None:
    assert manifest.decode_script(manifest.script_of(encoded(script))) == Removal(path)


def test_bootstrap_of_the_installed_core_reads_its_input() -> None:
    from ansible.executor.powershell.module_manifest import (  # type: ignore[import-untyped]  # noqa: PLC0415
        _get_powershell_script,
    )

    script = _get_powershell_script("bootstrap_wrapper.ps1").decode()
    assert manifest.reads_input(script)
    assert not manifest.reads_input("Remove-Item 'x' -Force;")


@pytest.mark.parametrize(
    "text",
    [
        sent({"name": "become_wrapper.ps1", "params": {}}, module(PING)),
        sent(module("adhoc.ps1")),
        "no JSON",
        json.dumps({"name": "exec_wrapper", "params": {}}),
    ],
)
def test_what_is_unknown_is_said_with_its_text(text: str) -> None:
    with pytest.raises(NotModelledError, match="does not model"):
        manifest.decode_input(text)


def test_unknown_script_is_shown() -> None:
    with pytest.raises(NotModelledError, match="Get-Service RustDesk"):
        manifest.decode_script(manifest.script_of(encoded("Get-Service RustDesk")))


def test_command_line_without_a_script_is_shown() -> None:
    with pytest.raises(NotModelledError, match="-EncodedCommand x"):
        manifest.script_of(["-EncodedCommand", "x"])
