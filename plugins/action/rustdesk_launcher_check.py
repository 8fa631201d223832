# SPDX-License-Identifier: MIT
"""Give the proofs of `rustdesk_probe` from a Windows computer, which has no Python, by the launcher of the bundle."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible.module_utils
from ansible.errors import AnsibleActionFail, AnsibleError

# Ansible sends configured module utilities to targets, but does not import them on the controller.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils.config_string import ConfigStringError, parse
from ansible.module_utils.other_actions import ActionOfActions

if TYPE_CHECKING:
    from collections.abc import Mapping

REQUIRED = ("launcher", "path", "host", "key")
USUAL_PORT = "21116"
"""A configuration string leaves it out."""


class ActionModule(ActionOfActions):
    """Copy the launcher to the computer, run its proofs there, and take it away again.

    It proves the server that it was built for, so it is refused where that is not the one asked for.
    """

    _requires_connection = True
    _VALID_ARGS = frozenset({*REQUIRED, "port", "relay"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what `rustdesk_probe` returns, failed where a proof was not given."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        arguments = {name: str(self._task.args.get(name) or "") for name in sorted(self._VALID_ARGS)}
        for name in REQUIRED:
            if not arguments[name]:
                raise AnsibleActionFail(f"{name} is missing")
        told = {name: arguments[name] for name in ("host", "port", "relay", "key")}
        result |= {"changed": False, "invocation": {"module_args": told}}
        if self._task.check_mode:
            return result | {"skipped": True, "msg": "Check mode copies no launcher to the computer."}
        try:
            source = self._find_needle("files", arguments["launcher"])
        except AnsibleError:
            return result | _fault(f"{arguments['launcher']} is not there; build it with playbooks/bundle.yml")
        program, variables = arguments["path"], task_vars or {}
        copied = self.run_action("ansible.windows.win_copy", {"src": source, "dest": program}, variables)
        if copied.get("failed"):
            return result | _fault(f"the launcher was not copied to {program}: {copied.get('msg')}")
        try:
            fault = other_server(self._said(program, "--print-config", variables), arguments)
            answer = "" if fault else self._said(program, "--check --json", variables)
        finally:
            self.run_action("ansible.windows.win_file", {"path": program, "state": "absent"}, variables)
        return result | (_fault(fault) if fault else report(answer))

    def _said(self, program: str, arguments: str, task_vars: dict[str, Any]) -> str:
        command = {"argv": [program, *arguments.split()]}
        done = self.run_action("ansible.windows.win_command", command, task_vars)
        return str(done.get("stdout") or done.get("stderr") or done.get("msg") or "")


def other_server(printed: str, arguments: Mapping[str, str]) -> str:
    """Tell that a launcher was built for another server than the one asked for, or "" when it was not.

    Args:
        printed: its configuration string.
        arguments: host, port and key, as asked for.
    """
    try:
        built = parse(printed.strip())
    except ConfigStringError:
        return f"the launcher did not say which server it is for, but: {' '.join(printed.split())[:200] or 'nothing'}"
    host, port = arguments["host"], arguments["port"]
    if port not in ("", USUAL_PORT):
        host = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if (built["host"], built["key"]) == (host, arguments["key"]):
        return ""
    return (
        f"the launcher was built for {built['host']} with the key {built['key']}, not for {host} with the key "
        f"{arguments['key']}; build it anew with playbooks/bundle.yml"
    )


def report(printed: str) -> dict[str, Any]:
    """Return what the launcher printed as a module's result, which is failed when a proof was not given."""
    try:
        found = json.loads(printed)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("proofs"), list):
        said = " ".join(printed.split())
        return _fault(
            f"the launcher gave no proofs{', but said: ' + said if said else ''}; start it on the computer by hand"
        )
    return found | {"failed": not found.get("passed")}


def _fault(text: str) -> dict[str, Any]:
    return {"failed": True, "msg": text}
