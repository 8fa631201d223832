# SPDX-License-Identifier: MIT
"""Refuse a role's inputs before anything is changed: every fault at once, in one message."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ansible.module_utils
import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

# Ansible sends configured module utilities to targets, but does not import them on the controller.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils import role_inputs, server_inputs

if TYPE_CHECKING:
    from collections.abc import Mapping

OUTPUTS = {"rustdesk_server_facts"}
"""Variables that a role returns."""

_REFERENCE = re.compile(r"\{\{\s*(rustdesk_\w+)")
"""The variable that a template of a role's default begins with."""

_UNDECRYPTABLE = re.compile("undecryptable variable|Attempting to decrypt|Decryption failed")
"""What Ansible says of vaulted text that it has no password for; its exception for that is internal."""


class ActionModule(ActionBase):
    """Run the checks of a role on the controller, and its look at the host by one remote execution."""

    _requires_connection = True
    _VALID_ARGS = frozenset({"role"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is known of the host, or fail with all faults."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        role = self._task.args.get("role")
        if role != "rustdesk_server":
            raise AnsibleActionFail(f"role: '{role}' has no checks; it has to be rustdesk_server")
        prefix = f"{role}_"
        spec = self._spec(Path(str(variables["role_path"])))

        own, unusable = self._own_variables(variables, prefix)
        unusable |= role_inputs.faults(own, spec, prefix)
        inputs = self._inputs(own, spec, prefix, variables, unusable)
        releases = self._templar.template(variables["__rustdesk_server_releases"])
        # Where a value cannot be used, its default has taken its place, and is not at fault.
        faults = [
            *unusable.values(),
            *(fault for fault in server_inputs.faults(inputs, releases) if not _names_any(fault, unusable)),
        ]
        host: dict[str, Any] = {}
        if not unusable:
            host = self._look_at_host(inputs, releases, variables)
            if not host.get("failed"):
                faults += server_inputs.host_faults(inputs, releases, host)
        if faults:
            return self._refuse(result, _with_origin(server_inputs.masked(faults, own), variables), variables)
        return result | host

    def _spec(self, role_path: Path) -> dict[str, Any]:
        content = yaml.safe_load((role_path / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))
        options: dict[str, Any] = content["argument_specs"]["main"]["options"]
        return options

    def _own_variables(self, variables: Mapping[str, Any], prefix: str) -> tuple[dict[str, Any], dict[str, str]]:
        """Template every variable of the role; one that cannot be evaluated is a fault."""
        own, faults = {}, {}
        for name in variables:
            if not name.startswith(prefix) or name in OUTPUTS:
                continue
            try:
                # A default() in the role's default would hide what is wrong with the variable of the site.
                self._templar.template(variables.get(_origin(variables[name])))
                own[name] = self._templar.template(variables[name])
            except AnsibleError as error:
                faults[name] = f"{name}: {_evaluation_fault(error)}"
        return own, faults

    def _inputs(
        self,
        own: Mapping[str, Any],
        spec: Mapping[str, Any],
        prefix: str,
        variables: Mapping[str, Any],
        unusable: Mapping[str, str],
    ) -> dict[str, Any]:
        """Return the variables without the prefix, and what the checks need besides (see `server_inputs.Inputs`)."""
        inputs: dict[str, Any] = {}
        for name, option in spec.items():
            value = self._default(option) if name in unusable else own.get(name, self._default(option))
            inputs[name.removeprefix(prefix)] = role_inputs.as_bool(value) if option["type"] == "bool" else value
        return inputs | {
            "archive_path": self._found(str(inputs["archive_file"])),
            "private_key": self._private_key(variables),
            "private_key_given": bool(str(inputs["private_key"] or "").strip()),
            "private_key_defined": f"{prefix}private_key" in own,
            "inventory_hosts": list(variables.get("hostvars", {})),
        }

    def _default(self, option: Mapping[str, Any]) -> Any:
        """Return an option's default; one that is an expression refers to the site, which may be what is at fault."""
        default = option.get("default", "")
        if not isinstance(default, str) or "{{" not in default:
            return default
        match = re.search(r"default\((?P<value>[^()]*)\)", default)
        return yaml.safe_load(match["value"]) if match else ""

    def _found(self, path: str) -> str:
        """Return where the copy module would find a file on the controller, "" when it would not."""
        if not path:
            return ""
        try:
            return str(self._find_needle("files", path))
        except AnsibleError:
            return ""

    def _private_key(self, variables: Mapping[str, Any]) -> str:
        """Return the private key from whichever variable gives one, "" when none does or it cannot be read."""
        try:
            return str(self._templar.template(variables["__rustdesk_server_private_key"]))
        except AnsibleError:
            return ""

    def _look_at_host(
        self, inputs: Mapping[str, Any], releases: Mapping[str, Any], variables: dict[str, Any]
    ) -> dict[str, Any]:
        bind_address = str(inputs["bind_address"])
        arguments = {
            "install_dir": inputs["install_dir"],
            "state_dir": inputs["state_dir"],
            "user": inputs["user"],
            "group": inputs["group"],
            "version": inputs["version"],
            "architecture": inputs["architecture"],
            "sha256": server_inputs.archive_digests(inputs, releases),
            "archive": inputs["archive_remote_file"],
            "ports": server_inputs.needed_ports(inputs) if inputs["state"] == "present" else [],
            "bind_address": bind_address if server_inputs.is_address(bind_address) else "",
            "resolve": server_inputs.names_to_resolve(inputs),
            "files": self._templar.template(variables["__rustdesk_server_files"]),
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
        return result | {"failed": True, "msg": "\n".join(lines), "faults": faults}


def _names_any(fault: str, names: Mapping[str, str]) -> bool:
    """Tell whether a fault is one of the named variables."""
    return bool(set(fault.partition(":")[0].split(" and ")) & set(names))


def _origin(written: object) -> str:
    """Return the variable of the site that a value, as it is written, refers to first; "" when there is none."""
    match = _REFERENCE.match(written) if isinstance(written, str) else None
    return match[1] if match else ""


def _with_origin(faults: list[str], variables: Mapping[str, Any]) -> list[str]:
    """Name the site's variable beside the role's where that is where the value comes from."""
    told = []
    for fault in faults:
        name = fault.partition(":")[0]
        origin = _origin(variables.get(name))
        told.append(fault.replace(name, f"{name} (from {origin})", 1) if origin in variables else fault)
    return told


def _evaluation_fault(error: AnsibleError) -> str:
    if _UNDECRYPTABLE.search(str(error)):
        return "cannot be decrypted; give the password of the vault it was made with, such as by --ask-vault-pass"
    reason = str(error).partition("\n")[0].rstrip(".")
    return f"cannot be evaluated ({reason}); correct the expression, or what it refers to"
