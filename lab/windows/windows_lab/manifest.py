"""What ``ansible-core`` (2.19 and newer) sends to a Windows machine, decoded.

It runs ``PowerShell … -EncodedCommand`` with ``bootstrap_wrapper.ps1``, and writes to it: a JSON object with name,
script and params of what to run, a line of four NUL characters, and for a module the manifest with its actions
(``ansible.executor.powershell.module_manifest``). All else that it sends is a script in the command itself.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass, field
from typing import Any

from windows_lab.errors import NotModelledError

END_OF_BOOTSTRAP = "\n\0\0\0\0"
READS_INPUT = "$codeJson"
MODULE = re.compile(
    r"^(?:ansible_collections\.)?(?P<collection>[a-z0-9_]+\.[a-z0-9_]+)\.plugins\.modules\.(?P<name>\w+)\.ps1$"
)
REMOVAL = re.compile(r"Remove-Item (?:'(?P<quoted>(?:[^']|'')+)'|(?P<plain>\S+)) -Force(?: -Recurse)?(?:;|\s*$)")
SHOWN = 2000


@dataclass(frozen=True)
class ModuleCall:
    """A module by its full name, its arguments, and Ansible's own among them by their short names."""

    module: str
    arguments: dict[str, Any]
    internal: dict[str, Any]
    environment: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Helper:
    """One of the scripts that come with ansible-core."""

    name: str
    parameters: dict[str, Any]


@dataclass(frozen=True)
class Removal:
    """The end of a temporary folder."""

    path: str


def script_of(arguments: list[str]) -> str:
    """The script on PowerShell's command line."""
    lower = [argument.lower() for argument in arguments]
    if "-encodedcommand" not in lower:
        return " ".join(arguments)
    try:
        return base64.b64decode(arguments[lower.index("-encodedcommand") + 1]).decode("utf-16-le")
    except (IndexError, binascii.Error, UnicodeDecodeError):
        raise NotModelledError(f"this command line: {' '.join(arguments)[:SHOWN]}") from None


def reads_input(script: str) -> bool:
    """Whether the rest comes on standard input; another script would wait for it for ever."""
    return READS_INPUT in script


def decode_script(script: str) -> Removal:
    """A script that is complete in itself. Raises NotModelledError, with its text, for all but one."""
    found = REMOVAL.search(script)
    if not found:
        raise NotModelledError(f"this script:\n{script[:SHOWN]}")
    return Removal(found["plain"] or found["quoted"].replace("''", "'"))


def decode_input(text: str) -> ModuleCall | Helper:
    """What came on standard input."""
    head, _, rest = text.partition(END_OF_BOOTSTRAP)
    try:
        bootstrap = json.loads(head)
        if bootstrap["name"] != "exec_wrapper":
            return Helper(bootstrap["name"], bootstrap["params"])
        actions = json.loads(rest)["actions"]
        action = actions[-1]
        if len(actions) > 1:
            raise NotModelledError(f"what {actions[0]['name']} does (become, async and coverage are not modelled)")
        if action["name"] != "module_wrapper.ps1":
            return Helper(action["name"], action["params"])
        return _module(action["params"])
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        raise NotModelledError(f"the manifest of this ansible-core ({error!r}):\n{text[:SHOWN]}") from None


def _module(parameters: dict[str, Any]) -> ModuleCall:
    found = MODULE.match(parameters["Script"])
    if not found:
        raise NotModelledError(f"the script {parameters['Script']}")
    everything = next(one["Value"] for one in parameters["Variables"] if one["Name"] == "complex_args")
    internal = {name.removeprefix("_ansible_"): v for name, v in everything.items() if name.startswith("_ansible_")}
    arguments = {name: v for name, v in everything.items() if not name.startswith("_ansible_")}
    environment = {name: str(value) for name, value in (parameters.get("Environment") or {}).items()}
    return ModuleCall(f"{found['collection']}.{found['name']}", arguments, internal, environment)
