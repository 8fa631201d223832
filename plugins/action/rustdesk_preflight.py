# SPDX-License-Identifier: MIT
"""Refuse a role's inputs before anything is changed: every fault at once, in one message."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ansible.module_utils
import yaml
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase

# Ansible sends configured module utilities to targets, but does not import them on the controller.
ansible.module_utils.__path__.append(str(Path(__file__).parents[1] / "module_utils"))

from ansible.module_utils import (
    bundle_inputs,
    bundle_plan,
    client_checks,
    client_inputs,
    firewall_inputs,
    firewall_plan,
    role_inputs,
    server_inputs,
)

OUTPUTS = {"rustdesk_server_facts", "rustdesk_firewall_facts"}
"""Variables that a role returns."""

Inputs = Mapping[str, Any]


@dataclass(frozen=True)
class Checks:
    """What is checked for one role.

    Attributes:
        faults: every fault that the variables show by themselves.
        look: the module that looks at the host and its arguments; none where there is nothing to look at.
        host_faults: every fault that shows when the variables meet what that module returned.
        known: what the role is told besides what that module returned.
        texts: a variable of the role that is evaluated once the others are sound, and joins them as `texts`.
        alone: what the role is told where no host is met.
    """

    faults: Callable[[Inputs], Iterable[str]]
    look: Callable[[Inputs], tuple[str, dict[str, Any]] | None]
    host_faults: Callable[[Inputs, Mapping[str, Any]], Iterable[str]]
    known: Callable[[Inputs, Mapping[str, Any]], Mapping[str, Any]] = lambda _inputs, _host: {}
    texts: str = ""
    alone: Callable[[Inputs], Mapping[str, Any]] = lambda _inputs: {}


def _look_for_server(inputs: Inputs) -> tuple[str, dict[str, Any]]:
    bind_address = str(inputs["bind_address"])
    return "rustdesk_server_info", {
        "install_dir": inputs["install_dir"],
        "state_dir": inputs["state_dir"],
        "user": inputs["user"],
        "group": inputs["group"],
        "version": inputs["version"],
        "architecture": inputs["architecture"],
        "sha256": server_inputs.archive_digests(inputs, inputs["releases"]),
        "archive": inputs["archive_remote_file"],
        "ports": server_inputs.needed_ports(inputs) if inputs["state"] == "present" else [],
        "bind_address": bind_address if server_inputs.is_address(bind_address) else "",
        "resolve": server_inputs.names_to_resolve(inputs),
        "files": inputs["files"],
        **inputs.get("texts", {}),
    }


ROLES = {
    "rustdesk_server": Checks(
        faults=lambda inputs: server_inputs.faults(inputs, inputs["releases"]),
        look=_look_for_server,
        host_faults=lambda inputs, host: server_inputs.host_faults(inputs, inputs["releases"], host),
        texts="__rustdesk_server_running",
    ),
    "rustdesk_client": Checks(
        faults=client_inputs.faults,
        look=client_checks.look,
        host_faults=client_checks.host_faults,
        known=client_checks.known,
    ),
    "rustdesk_firewall": Checks(
        faults=firewall_inputs.faults,
        look=firewall_plan.look,
        host_faults=firewall_inputs.host_faults,
        known=firewall_plan.known,
        texts="__rustdesk_firewall_texts",
    ),
    "rustdesk_bundle": Checks(
        faults=bundle_inputs.faults,
        look=bundle_plan.look,
        host_faults=bundle_inputs.host_faults,
        known=bundle_plan.known,
        alone=bundle_plan.controller,
    ),
}

BUNDLE_FILES = (
    "client_file",
    "client_arm64_file",
    "authenticode_certificate",
    "authenticode_key",
    "signature_key_file",
    "certificate_file",
    "certificate_key_file",
    "verify_ca_file",
)
"""Variables of rustdesk_bundle that name a file on the controller."""

_REFERENCE = re.compile(r"\{\{\s*(rustdesk_\w+)")
"""The variable that a template of a role's default begins with."""

_UNDECRYPTABLE = re.compile("undecryptable variable|Attempting to decrypt|Decryption failed")
"""What Ansible says of vaulted text that it has no password for; its exception for that is internal."""


class ActionModule(ActionBase):
    """Run the checks of a role on the controller, and its look at the host by one remote execution."""

    _requires_connection = True
    _VALID_ARGS = frozenset({"role", "host", "again", "look"})

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Return what is known of the host, or fail with all faults."""
        result: dict[str, Any] = super().run(tmp, task_vars)
        variables = task_vars or {}
        role = str(self._task.args.get("role"))
        if role not in ROLES:
            raise AnsibleActionFail(f"role: '{role}' has no checks; it has to be {' or '.join(ROLES)}")
        checks, prefix = ROLES[role], f"{role}_"
        spec = self._spec(Path(str(variables["role_path"])))

        own, unusable = self._own_variables(variables, prefix)
        unusable |= role_inputs.faults(own, spec, prefix)
        inputs = self._inputs(own, spec, prefix, variables, unusable)
        # Where a value cannot be used, its default has taken its place, and is not at fault.
        faults = [
            *unusable.values(),
            *(fault for fault in checks.faults(inputs) if not _names_any(fault, unusable)),
        ]
        host: dict[str, Any] = {}
        # What is only rendered on the controller meets no host.
        looks = role_inputs.as_bool(self._task.args.get("look", True))
        if looks and not unusable:
            if checks.texts and not faults and inputs["state"] == "present":
                inputs["texts"] = self._templar.template(variables[checks.texts])
            host = self._look_at_host(checks, inputs, variables)
            if not host.get("failed"):
                faults += checks.host_faults(inputs, host)
        if faults:
            return self._refuse(result, _with_origin(server_inputs.masked(faults, own), variables), variables)
        if host.get("failed"):
            return result | host
        known = {name: value for name, value in host.items() if name not in ("invocation", "changed")}
        told = checks.known(inputs, host) if looks else checks.alone(inputs)
        return {**result, **known, "changed": False, **told}

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
        inputs["inventory_hosts"] = list(variables.get("hostvars", {}))
        if prefix == server_inputs.PREFIX:
            return inputs | self._server_inputs(inputs, own, variables)
        if prefix == bundle_inputs.PREFIX:
            return inputs | self._bundle_inputs(inputs, variables)
        how = [self._templar.template(variables.get(f"ansible_{name}", "")) for name in ("shell_type", "connection")]
        # A look at the role's own work is not disturbed by what is still to be confirmed.
        again = role_inputs.as_bool(self._task.args.get("again", False))
        inputs |= {"windows": firewall_plan.windows_shell(*map(str, how)), "again": again}
        if prefix == client_inputs.PREFIX:
            inputs["package_path"] = self._found(str(inputs["package_file"]))
            inputs["launcher_path"] = self._found(str(inputs["verify_launcher"]))
            inputs["packages"] = self._templar.template(variables["__rustdesk_client_packages"])
        return inputs

    def _server_inputs(
        self, inputs: Mapping[str, Any], own: Mapping[str, Any], variables: Mapping[str, Any]
    ) -> dict[str, Any]:
        return {
            "archive_path": self._found(str(inputs["archive_file"])),
            "private_key": self._private_key(variables),
            "private_key_given": bool(str(inputs["private_key"] or "").strip()),
            "private_key_defined": f"{server_inputs.PREFIX}private_key" in own,
            "releases": self._templar.template(variables["__rustdesk_server_releases"]),
            "files": self._templar.template(variables["__rustdesk_server_files"]),
        }

    def _bundle_inputs(self, inputs: Mapping[str, Any], variables: Mapping[str, Any]) -> dict[str, Any]:
        named = {name: str(inputs[name]) for name in BUNDLE_FILES}
        texts = {name: self._text(named[name]) for name in ("certificate_file", "certificate_key_file")}
        return {
            "paths": {name: self._found(path) for name, path in named.items()},
            "texts_of": texts,
            "packages": self._templar.template(variables["__rustdesk_bundle_packages"]),
            "publishes": role_inputs.as_bool(self._task.args.get("look", True)),
            "now": time.time(),
            "site": self._templar.template(variables["__rustdesk_bundle_site_name"]),
            "challenges": self._templar.template(variables["__rustdesk_bundle_challenges"]),
            "lineage": self._templar.template(variables["__rustdesk_bundle_lineage"]),
            "certificate": self._templar.template(variables["__rustdesk_bundle_certificate"]),
            "certificate_key": self._templar.template(variables["__rustdesk_bundle_key"]),
            "files": self._templar.template(variables["__rustdesk_bundle_files"]),
        }

    def _text(self, path: str) -> str:
        """Return what a file on the controller holds, decrypted where it is vaulted; "" when it cannot be read."""
        found = self._found(path)
        try:
            return str(self._loader.get_text_file_contents(found)) if found else ""
        except AnsibleError:
            return ""

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

    def _look_at_host(self, checks: Checks, inputs: Inputs, variables: dict[str, Any]) -> dict[str, Any]:
        wanted = checks.look(inputs)
        if wanted is None:
            # On Windows, tasks have looked.
            return dict(self._task.args.get("host") or {})
        module, arguments = wanted
        host: dict[str, Any] = self._execute_module(module_name=module, module_args=arguments, task_vars=variables)
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
