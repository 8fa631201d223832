# SPDX-License-Identifier: MIT
"""Refuse a role's inputs before anything is changed: every fault at once, in one message."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml
from ansible.errors import AnsibleError
from ansible.plugins.action import ActionBase

# Ansible sends configured module utilities to targets, but does not import them on the controller.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils import role_inputs, server_inputs  # noqa: E402

OUTPUTS = {"rustdesk_server_facts"}
"""Variables that a role returns."""


class ActionModule(ActionBase):  # type: ignore[misc]
    """Run the checks of a role on the controller, and its look at the host by one remote execution."""

    _requires_connection = True
    _VALID_ARGS = frozenset({"role"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is known of the host, or fail with all faults."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        prefix = f"{self._task.args['role']}_"
        role_path = Path(str(variables["role_path"]))
        spec = yaml.safe_load((role_path / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"][
            "main"
        ]["options"]

        own, faults = self._own_variables(variables, prefix)
        faults += role_inputs.faults(own, spec, prefix)
        if faults:
            # Values of a wrong type would only produce follow-up faults.
            return self._refuse(result, faults, variables)

        inputs = self._inputs(own, spec, prefix, variables)
        releases = self._templar.template(variables["__rustdesk_server_releases"])
        faults = server_inputs.faults(inputs, releases)
        host = self._look_at_host(inputs, releases, variables)
        if host.get("failed"):
            result.update(host)
            return result
        faults += server_inputs.host_faults(inputs, releases, host)
        if faults:
            return self._refuse(result, faults, variables)
        result.update(
            {name: value for name, value in host.items() if name not in ("invocation", "changed")}, changed=False
        )
        return result

    def _own_variables(self, variables: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], list[str]]:
        """Template every variable of the role; one that cannot be evaluated is a fault."""
        own, faults = {}, []
        for name in variables:
            if not name.startswith(prefix) or name in OUTPUTS:
                continue
            try:
                own[name] = self._templar.template(variables[name])
            except AnsibleError as error:
                faults.append(f"{name}: cannot be evaluated: {error.message if hasattr(error, 'message') else error}")
        return own, faults

    def _inputs(
        self, own: Mapping[str, Any], spec: Mapping[str, Any], prefix: str, variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Complete the variables with what the checks need besides, under names without the prefix."""
        inputs = {name.removeprefix(prefix): own.get(name, "") for name in spec}
        for name, option in spec.items():
            if option["type"] == "bool":
                inputs[name.removeprefix(prefix)] = str(inputs[name.removeprefix(prefix)]).lower() in (
                    "true",
                    "yes",
                    "on",
                    "1",
                )
        try:
            private_key = str(self._templar.template(variables["__rustdesk_server_private_key"])).strip()
        except AnsibleError:
            private_key = ""
        return inputs | {
            "private_key_given": bool(inputs["private_key"]),
            "private_key": private_key,
            "inventory_hosts": list(variables.get("hostvars", {})),
        }

    def _look_at_host(
        self, inputs: Mapping[str, Any], releases: Mapping[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        arguments = {
            "install_dir": inputs["install_dir"],
            "state_dir": inputs["state_dir"],
            "user": inputs["user"],
            "version": inputs["version"],
            "architecture": inputs["architecture"],
            "sha256": server_inputs.archive_digests(inputs, releases),
            "archive": inputs["archive_remote_file"],
            "ports": server_inputs.needed_ports(inputs) if inputs["state"] == "present" else [],
            "bind_address": inputs["bind_address"],
            "resolve": server_inputs.names_to_resolve(inputs),
        }
        host: dict[str, Any] = self._execute_module(
            module_name="rustdesk_server_info", module_args=arguments, task_vars=variables
        )
        return host

    def _refuse(self, result: dict[str, Any], faults: list[str], variables: Mapping[str, Any]) -> dict[str, Any]:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        lines = [
            f"{count}; nothing was changed on {variables['inventory_hostname']}.",
            *(f"- {fault}" for fault in faults),
        ]
        result.update(failed=True, msg="\n".join(lines), faults=faults)
        return result
