"""Programs and packages, run for real under Wine: ``win_command`` and ``win_package``."""

from __future__ import annotations

import hashlib
import subprocess
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from windows_lab import processes, registry, services, wine
from windows_lab.errors import NotModelledError, Refused
from windows_lab.modules.download import WEB_OPTIONS, fetch

if TYPE_CHECKING:
    from windows_lab.call import Call, Machine, Result
    from windows_lab.drive import Item

WINDOWS = "C:\\WINDOWS\\"
MSIEXEC = r"C:\Windows\System32\msiexec.exe"
OF_PROCESSES = {
    r"C:\WINDOWS\SYSTEM32\TASKLIST.EXE": processes.tasklist,
    r"C:\WINDOWS\SYSTEM32\TASKKILL.EXE": processes.taskkill,
}
INSTALLED = 5
REBOOT_REQUIRED = 3010
UNINSTALL_KEYS = (
    r"HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
    r"HKLM\SOFTWARE\Wow6432Node\Microsoft\Windows\CurrentVersion\Uninstall",
    r"HKCU\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall",
)


def split(line: str) -> list[str]:
    """A command line in its arguments, by the rules of ``CommandLineToArgvW``."""
    arguments: list[str] = []
    current, quoted, started, slashes = "", False, False, 0
    for character in line.strip(" \t") + " ":
        if character == "\\":
            slashes += 1
            continue
        if character == '"':
            current += "\\" * (slashes // 2)
            started = True
            if slashes % 2:
                current += '"'
            else:
                quoted = not quoted
        elif character in " \t" and not quoted:
            current += "\\" * slashes
            if current or started:
                arguments.append(current)
            current, started = "", False
        else:
            current += "\\" * slashes + character
        slashes = 0
    return arguments


def quote(argument: str) -> str:
    """An argument that ``split`` gives back."""
    return subprocess.list2cmdline([argument])


def execute(machine: Machine, line: str, chdir: str | None = None, stdin: str | None = None) -> wine.Finished:
    """Run a command line. Programs that come with Windows are refused but for msiexec: Wine's are stubs or its own.

    Those that list and end programs are modelled.

    Raises Refused when there is no such program, NotModelledError for one of Windows' own.
    """
    command, *arguments = split(line)
    program = _resolve(machine, command)
    if program.path.upper() in OF_PROCESSES:
        return OF_PROCESSES[program.path.upper()](arguments)
    if program.path.upper().startswith(WINDOWS) and program.path.upper() != MSIEXEC.upper():
        raise NotModelledError(
            f"{program.path}: what Wine has under this name answers success and does nothing, or differs"
        )
    folder = machine.item(chdir).unix if chdir else None
    return wine.run(program.path, *arguments, stdin=stdin, cwd=folder, added=machine.environment.added)


def _resolve(machine: Machine, command: str) -> Item:
    names = [command] if command.lower().endswith((".exe", ".com", ".bat", ".cmd")) else [f"{command}.exe"]
    folders = [] if ":" in command else [r"C:\Windows\System32", r"C:\Windows"]
    for path in [*(f"{folder}\\{name}" for folder in folders for name in names)] or names:
        item = machine.drive.item(path)
        if item.is_file:
            return item
    raise FileNotFoundError(command)


def win_command(call: Call) -> Result:
    """A program, without a shell."""
    call.refuse_unmodelled("_raw_params", "cmd", "argv", "chdir", "creates", "removes", "stdin")
    line = call["cmd"] or (call["_raw_params"] or "").strip() or " ".join(quote(one) for one in call["argv"])
    for name, skip_if in (("creates", True), ("removes", False)):
        if call[name] and call.path(name).exists is skip_if:
            state = "exists" if skip_if else "does not exist"
            return {"cmd": line, "rc": 0, "skipped": True, "msg": f"skipped, since {call[name]} {state}"}
    began = datetime.now(tz=UTC)
    try:
        done = execute(call.machine, line, call["chdir"], call["stdin"])
    except FileNotFoundError:
        msg = f"Failed to run: '{line}': The system cannot find the file specified (Win32 ErrorCode 2 - 0x00000002)"
        return {"failed": True, "cmd": line, "rc": 2, "msg": msg}
    ended = datetime.now(tz=UTC)
    result: Result = {
        "changed": True,
        "cmd": line,
        "rc": done.status,
        "stdout": done.stdout,
        "stderr": done.stderr,
        "start": f"{began:%Y-%m-%d %H:%M:%S.%f}",
        "end": f"{ended:%Y-%m-%d %H:%M:%S.%f}",
        "delta": str(ended - began),
    }
    return {**result, "failed": True, "msg": "non-zero return code"} if done.status else result


# --- win_package -----------------------------------------------------------------------------------------------------


def win_package(call: Call) -> Result:
    """An installer, exe or msi."""
    modelled = (
        "arguments", "expected_return_code", "path", "chdir", "checksum", "checksum_algorithm", "product_id", "state",
        "creates_path", "creates_version", "creates_service", "provider", "wait_for_children",
    )  # fmt: skip
    call.refuse_unmodelled(*modelled, *WEB_OPTIONS)
    path: str | None = call["path"]
    present = call["state"] == "present"
    result: Result = {"reboot_required": False, "rc": 0}
    package: Item | None = None
    from_web = bool(path) and str(path).lower().startswith("http")
    temporary = call.machine.item(r"%TEMP%\win_package-download" + ("" if not path else "." + path.rsplit(".", 1)[-1]))
    try:
        if from_web and not (present and call["product_id"] and _installed(call, None)):
            temporary.unix.write_bytes(fetch(call, str(path)))
            package = temporary
        elif path and not from_web:
            package = call.machine.drive.item(path)
            if not package.exists and not call.check:
                msg = f"the file at the path '{path}' cannot be reached"
                raise Refused(msg)
        installed = _installed(call, package)
        result["changed"] = present != installed
        if result["changed"] and not call.check:
            result |= _run_installer(call, package if present or not from_web else None)
    finally:
        temporary.unix.unlink(missing_ok=True)
    return result


def _is_msi(call: Call, package: Item | None) -> bool:
    provider = call["provider"]
    if provider in {"msix", "msp"}:
        raise NotModelledError(f"the provider {provider} of ansible.windows.win_package")
    if provider != "auto":
        return bool(provider == "msi")
    if package:
        return package.extension.lower() == ".msi"
    return str(call["product_id"] or "").startswith("{")


def _product(call: Call, package: Item | None) -> str:
    if package and package.exists and _is_msi(call, package):
        try:
            return str(wine.ask("product-code", package.path))
        except wine.ToolError as error:
            msg = f"Failed to open the installer package {package.path}: {error}"
            raise Refused(msg) from None
    return str(call["product_id"] or "")


def _installed(call: Call, package: Item | None) -> bool:
    if _is_msi(call, package):
        product = _product(call, package)
        installed = bool(product) and wine.ask("product-state", product) == INSTALLED
    else:
        installed = _uninstall_key(call["product_id"]) is not None
    if call["creates_path"]:
        item = call.path("creates_path")
        installed = item.exists
        if call["creates_version"] and installed:
            installed = wine.ask("version", item.path) == [int(part) for part in call["creates_version"].split(".")]
    if call["creates_service"]:
        installed = services.named(call["creates_service"]) is not None
    return installed


def _uninstall_key(product: str | None) -> registry.Key | None:
    if not product:
        return None
    return next((key for base in UNINSTALL_KEYS if (key := registry.query(f"{base}\\{product}"))), None)


def _run_installer(call: Call, package: Item | None) -> Result:
    result: Result = {}
    present = call["state"] == "present"
    if present and package:
        digest = hashlib.new(call["checksum_algorithm"], package.unix.read_bytes()).hexdigest().upper()
        result["checksum"] = digest
        if call["checksum"] and call["checksum"].upper() != digest:
            msg = f"The checksum for {package.path} did not match '{call['checksum']}', it was '{digest}'"
            raise Refused(msg)
    line = _command_line(call, package)
    try:
        done = execute(call.machine, line, call["chdir"])
    except FileNotFoundError:
        msg = f"Failed to run: '{line}': The system cannot find the file specified (Win32 ErrorCode 2 - 0x00000002)"
        raise Refused(msg) from None
    result["rc"] = done.status
    if done.status not in call["expected_return_code"]:
        msg = f"unexpected rc from '{line}': see rc, stdout, and stderr for more details"
        return {**result, "changed": False, "failed": True, "msg": msg, "stdout": done.stdout, "stderr": done.stderr}
    return {**result, "reboot_required": done.status == REBOOT_REQUIRED}


def _command_line(call: Call, package: Item | None) -> str:
    present = call["state"] == "present"
    arguments = call["arguments"]
    extra = " ".join(quote(str(one)) for one in arguments) if isinstance(arguments, list) else arguments or ""
    if _is_msi(call, package):
        action = f"/i {quote(package.path)}" if present and package else f"/x {_product(call, package)}"
        line = rf"{MSIEXEC} {action} /L*V C:\Windows\Temp\msiexec.log /qn /norestart"
    elif package:
        line = quote(package.path)
    else:
        line = _uninstall_string(call)
    return f"{line} {extra}".strip()


def _uninstall_string(call: Call) -> str:
    key = _uninstall_key(call["product_id"])
    value = key and (key.value("QuietUninstallString") or key.value("UninstallString"))
    if not value:
        msg = f"Failed to find registry uninstall string for '{call['product_id']}'"
        raise Refused(msg)
    line = call.machine.environment.expand(str(value.data))
    if line.startswith('"') or " " not in line:
        return line
    # An unquoted path with blanks in it: as many words belong to it as make a file that exists.
    words = line.split(" ")
    for count in range(1, len(words) + 1):
        candidate = " ".join(words[:count])
        if ":" in candidate and call.machine.drive.item(candidate).is_file:
            return " ".join([quote(candidate), *words[count:]])
    return line
