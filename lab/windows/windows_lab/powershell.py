"""The program that answers to the name ``PowerShell``."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from windows_lab import manifest, options
from windows_lab.call import Call, Machine
from windows_lab.drive import Drive
from windows_lab.environment import SESSION, Environment
from windows_lab.errors import NotModelledError, Refused
from windows_lab.modules import MODULES, RUNS_IN_CHECK_MODE
from windows_lab.modules.files import remove_tree


def machine(added: dict[str, str] | None = None) -> Machine:
    """This machine, its drive in the Wine prefix that the environment names."""
    return Machine(Drive(Path(os.environ["WINEPREFIX"]) / "drive_c"), Environment(added or {}))


def run_module(call: manifest.ModuleCall) -> dict[str, Any]:
    """A module's result, as it would print it."""
    try:
        return {"changed": False, **_result(call)}
    except (Refused, NotModelledError) as error:
        return {"changed": False, "failed": True, "msg": str(error)}


def _result(call: manifest.ModuleCall) -> dict[str, Any]:
    if call.module not in MODULES:
        raise NotModelledError(f"the module {call.module}, called with the options {', '.join(sorted(call.arguments))}")
    check = bool(call.internal.get("check_mode"))
    parameters = options.check(options.load()[call.module], call.arguments)
    if check and call.module not in RUNS_IN_CHECK_MODE:
        short = call.module.rsplit(".", 1)[1]
        return {"skipped": True, "msg": f"remote module ({short}) does not support check mode"}
    made = Call(call.module, parameters, machine(call.environment), check, bool(call.internal.get("diff")))
    return MODULES[call.module](made)


def run_helper(helper: manifest.Helper) -> str:
    """What one of ansible-core's helper scripts prints."""
    here = machine()
    if helper.name == "powershell_mkdtemp.ps1":
        folder = here.item(f"{helper.parameters['Directory']}\\{helper.parameters['Name']}")
        folder.unix.mkdir(parents=True)
        # The file transfer that follows knows no upper and lower case, and gets the path as it is stored.
        return "C:\\" + str(folder.unix.relative_to(here.drive.root)).replace("/", "\\")
    if helper.name == "powershell_expand_user.ps1":
        path: str = helper.parameters["Path"]
        profile = SESSION["USERPROFILE"]
        return profile + path[1:] if path == "~" or path.startswith("~\\") else path
    raise NotModelledError(f"the helper script {helper.name}")


def answer(arguments: list[str]) -> tuple[int, str]:
    """Exit status and output for a command line."""
    script = manifest.script_of(arguments)
    if not manifest.reads_input(script):
        removal = manifest.decode_script(script)
        remove_tree(machine().item(removal.path))
        return 0, ""
    asked = manifest.decode_input(sys.stdin.buffer.read().decode("utf-8"))
    if isinstance(asked, manifest.Helper):
        return 0, run_helper(asked)
    result = run_module(asked)
    return int(bool(result.get("failed"))), json.dumps(result)


def main() -> int:
    """Answer, or say on standard error what is not modelled; nothing is ever passed over."""
    try:
        status, output = answer(sys.argv[1:])
    except (Refused, NotModelledError) as error:
        sys.stderr.write(f"{error}\r\n")
        return 1
    sys.stdout.buffer.write(f"{output}\r\n".encode())
    return status


if __name__ == "__main__":
    sys.exit(main())
