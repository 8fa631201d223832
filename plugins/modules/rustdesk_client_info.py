#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Look at everything the role rustdesk_client needs to know of a Linux host, in one execution."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_client_info
short_description: Look at the RustDesk client of a host
version_added: "1.0.0"
author: The rustdesk roles maintainers
description:
  - Returns what decides how a RustDesk client is configured, so that a role needs one execution for it.
  - Returns the files as they are, and with them the secrets they hold. Register it with C(no_log).
  - Changes nothing.
options:
  users:
    description: Users whose profiles are looked at. Empty, with O(discover), means all that have one.
    type: list
    elements: str
    default: []
  discover:
    description:
      - Whether, without O(users), every user counts who can log in and has a home directory of his own.
      - Users of a domain whom the host does not list count where settings of RustDesk lie in their home directories.
    type: bool
    default: true
  service_profile:
    description: Whether the profile of the service is looked at, which is root's.
    type: bool
    default: true
  files:
    description: Names of the files to read in each profile.
    type: list
    elements: str
    default: [RustDesk.toml, RustDesk2.toml, RustDesk_local.toml, RustDesk_default.toml, rustdesk_client.json]
  options:
    description: Options to ask an installed, running client for.
    type: list
    elements: str
    default: []
  paths:
    description: Paths to tell the existence of.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Look at the host
  rustdesk_client_info:
    options: [custom-rendezvous-server, key]
  register: host
  no_log: true
"""

RETURN = r"""
machine:
  description: Machine as the kernel names it.
  returned: always
  type: str
  sample: x86_64
dpkg:
  description: Whether packages of Debian can be installed.
  returned: always
  type: bool
package:
  description: Installed version of the package C(rustdesk), empty when it is not installed.
  returned: always
  type: str
  sample: 1.4.9
package_unfinished:
  description: Whether it is neither installed nor gone, as after an installation or a removal that was interrupted.
  returned: always
  type: bool
program:
  description: Path of the installed program, empty when there is none.
  returned: always
  type: str
  sample: /usr/bin/rustdesk
nft:
  description: Whether the host has nftables.
  returned: always
  type: bool
systemd:
  description: Whether systemd manages the services of this host.
  returned: always
  type: bool
service:
  description: State of C(rustdesk.service).
  returned: always
  type: dict
  contains:
    exists: {description: Whether there is such a unit., type: bool}
    active: {description: Whether it runs., type: bool}
    enabled: {description: Whether it starts at boot., type: bool}
programs:
  description: Programs of RustDesk that the service does not end with itself, such as an open window.
  returned: always
  type: list
  elements: dict
  contains:
    pid: {description: Its number., type: int}
    user: {description: Whose it is., type: str}
options:
  description: What the client answered for each of O(options); empty without an answer.
  returned: always
  type: dict
  sample: {custom-rendezvous-server: rustdesk.example.org}
unknown_users:
  description: Those of O(users) this host does not know, or that have no home directory.
  returned: always
  type: list
  elements: str
existing_paths:
  description: Those of O(paths) that exist.
  returned: always
  type: list
  elements: str
qos_current:
  description: Whether the rules that mark packets are loaded as they lie there, and systemd has read their unit.
  returned: always
  type: bool
profiles:
  description: The service's profile first, then the users' by name.
  returned: always
  type: list
  elements: dict
  contains:
    name: {description: Name of the user., type: str}
    kind: {description: V(service) or V(user)., type: str}
    directory: {description: Directory of the settings., type: str}
    missing: {description: 'Directories that have to be made first, outermost first.', type: list, elements: str}
    group: {description: Group of new files., type: str}
    above: {description: 'Directories above it that the client may have made, and what they hold.', type: dict}
    names: {description: What the directory holds., type: list, elements: str}
    fault: {description: 'Why nothing can be written here, empty when it can.', type: str}
    recorded: {description: 'Whether the record of the role is here, or that cannot be told.', type: bool}
    files:
      description: The files by name, each with C(content) (base64), C(owner), C(group) and C(mode).
      type: dict
"""

import base64
import contextlib
import grp
import os
import platform
import pwd
import re
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ansible.module_utils import client_homes
from ansible.module_utils.basic import AnsibleModule

if TYPE_CHECKING:
    from collections.abc import Iterator

SERVICE = "rustdesk.service"
SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd is the system's manager (sd_booted(3))."""
PROGRAM = Path("/usr/bin/rustdesk")
"""Where the client has to be to count as installed (rustdesk src/platform/linux.rs, is_installed)."""

CLIENT = re.compile(r"rustdesk|rustdesk-[0-9][^/]*\.appimage", re.IGNORECASE)
"""Names of the client's program; what else begins like it belongs to others, such as a server's API."""

INSTALLED, GONE = "installed", ("not-installed", "config-files")
"""States of a package with nothing left to do (dpkg-query(1)); in any other one files of it may be there."""

FIRST_UID = 1000
"""Of users who are people (login.defs(5), UID_MIN). A domain gives them numbers far beyond UID_MAX."""
NO_PEOPLE = (range(61184, 65520), range(65534, 65536))
"""Services with a user while they run, and nobody (systemd's UIDS-GIDS)."""
HOMES = Path("/home")
NO_SHELLS = ("nologin", "false", "sync")

QOS_RULES = Path("/etc/nftables-rustdesk-client.nft")
QOS_UNIT = Path("/etc/systemd/system/rustdesk-client-qos.service")
QOS_TABLE = ("inet", "rustdesk_client_qos")
DIGEST = re.compile('comment "([0-9a-f]{16})"')
"""How the rules that mark packets say which they are."""

RECORD = "rustdesk_client.json"
"""What the role has found in a profile and set there (client_plan)."""

ANSWER_SECONDS = 10


@dataclass
class Profile:
    """A directory of settings, as returned."""

    name: str
    kind: str
    directory: str
    group: str
    missing: list[str] = field(default_factory=list)
    above: dict[str, list[str]] = field(default_factory=dict)
    names: list[str] = field(default_factory=list)
    fault: str = ""
    recorded: bool = False
    files: dict[str, dict[str, str]] = field(default_factory=dict)


def people() -> list[pwd.struct_passwd]:
    """Return every user who is a person; those of a domain, whom nobody lists, where they have used RustDesk."""
    known = {user.pw_name: user for user in pwd.getpwall() if is_person(user)}
    homes = {Path(user.pw_dir) for user in known.values()}
    for home in homes_below({home.parent for home in homes} | {HOMES}, but=homes):
        user = owner_of_settings(home)
        if user:
            known.setdefault(user.pw_name, user)
    return list(known.values())


def is_person(user: pwd.struct_passwd) -> bool:
    """Tell whether a user can log in and has a home directory."""
    return (
        user.pw_uid >= FIRST_UID
        and not any(user.pw_uid in numbers for numbers in NO_PEOPLE)
        and Path(user.pw_shell or "/bin/sh").name not in NO_SHELLS
        and is_home(user, own=True)
    )


def homes_below(parents: set[Path], but: set[Path]) -> Iterator[Path]:
    """Return what may be home directories: what lies in their parents, and in /home in a directory for a domain."""
    for parent in sorted(parents - {Path("/")}):
        for found in directories(parent):
            if found in but:
                continue
            yield found
            if parent == HOMES and not may_be_there(found / client_homes.BELOW[0]):
                yield from directories(found)


def directories(parent: Path) -> list[Path]:
    """Return the directories in another one, none when it cannot be looked into."""
    try:
        with os.scandir(parent) as entries:
            return sorted(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return []


def owner_of_settings(home: Path) -> pwd.struct_passwd | None:
    """Return the person whose home directory this is and who has settings of RustDesk in it."""
    try:
        settings = home.joinpath(*client_homes.BELOW).lstat()
        user = pwd.getpwuid(settings.st_uid or home.lstat().st_uid)
        is_theirs = stat.S_ISDIR(settings.st_mode) and is_person(user) and home.samefile(user.pw_dir)
    except (OSError, KeyError):
        return None
    return user if is_theirs else None


def account(name: str) -> pwd.struct_passwd | None:
    """Return this host's user of that name who has a home directory."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return None
    return user if is_home(user) else None


def is_home(user: pwd.struct_passwd, *, own: bool = False) -> bool:
    """Tell whether a user has a home directory, or one of his own; what root cannot look at is taken for one."""
    try:
        found = Path(user.pw_dir).stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return stat.S_ISDIR(found.st_mode) and (not own or found.st_uid in (user.pw_uid, 0))


def name_of_group(gid: int) -> str:
    """Return the name of a group, the number where there is none."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def read_file(parent: int, path: Path, uid: int) -> dict[str, str]:
    """Return a file's content and whose it is."""
    content, found = client_homes.read_file(parent, path, uid)
    return {
        "content": base64.b64encode(content).decode(),
        "owner": client_homes.name_of_user(found.st_uid),
        "group": name_of_group(found.st_gid),
        "mode": f"{stat.S_IMODE(found.st_mode):04o}",
    }


def profile(user: pwd.struct_passwd, kind: str, files: list[str]) -> Profile:
    """Look at one user's settings."""
    directory = Path(user.pw_dir, *client_homes.BELOW)
    found = Profile(user.pw_name, kind, str(directory), name_of_group(user.pw_gid))
    try:
        look_into(found, user, files)
    except client_homes.HomeError as error:
        found.fault = str(error)
    except OSError as error:
        found.fault = (
            f"{error.filename or directory} cannot be looked at by root ({error.strerror or error}), as in a home "
            f"directory on a server that trusts no root; let root in there, or leave {user.pw_name} out"
        )
    found.recorded = RECORD in found.names if not found.fault else may_be_there(directory / RECORD)
    return found


def look_into(found: Profile, user: pwd.struct_passwd, files: list[str]) -> None:
    """Add what the user's directories hold, as far as there are some.

    Raises:
        OSError: root cannot look at something in there.
        HomeError: root must not write in there.
    """
    with contextlib.ExitStack() as stack:
        path, inside = Path(user.pw_dir), client_homes.open_home(user)
        stack.callback(os.close, inside)
        for depth, name in enumerate(client_homes.BELOW, start=1):
            path = path / name
            try:
                inside = client_homes.open_directory(inside, path, user.pw_uid)
            except FileNotFoundError:
                found.missing = [str(path), *(str(path / below) for below in client_homes.BELOW[depth:])]
                return
            stack.callback(os.close, inside)
            if str(path) != found.directory:
                found.above[str(path)] = client_homes.names_in(inside, path)
        found.names = client_homes.names_in(inside, path)
        for name in files:
            with contextlib.suppress(FileNotFoundError):
                found.files[name] = read_file(inside, path / name, user.pw_uid)


def may_be_there(path: Path) -> bool:
    """Tell whether there is something at a path, or may be, where that cannot be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def service(module: AnsibleModule) -> dict[str, bool]:
    """Ask systemd for the state of the service."""
    systemctl = module.get_bin_path("systemctl") if SYSTEMD.is_dir() else None
    if not systemctl:
        return {"exists": False, "active": False, "enabled": False}
    shown = module.run_command([systemctl, "show", "--property=LoadState,ActiveState,UnitFileState", "--", SERVICE])[1]
    values = dict(line.partition("=")[::2] for line in shown.splitlines())
    return {
        "exists": values.get("LoadState") not in ("", None, "not-found"),
        "active": values.get("ActiveState") in ("active", "activating", "reloading"),
        "enabled": values.get("UnitFileState") == "enabled",
    }


def package(module: AnsibleModule) -> tuple[str, bool]:
    """Return the installed version of the package, and whether it is neither installed nor gone."""
    query = module.get_bin_path("dpkg-query")
    if not query:
        return "", False
    code, out, _ = module.run_command([query, "--show", "--showformat=${db:Status-Status} ${Version}", "rustdesk"])
    status, _, version = out.partition(" ")
    if code:
        return "", False
    return version if status == INSTALLED else "", status not in (INSTALLED, *GONE)


def qos_current(module: AnsibleModule, rules: Path = QOS_RULES, unit: Path = QOS_UNIT) -> bool:
    """Tell whether the kernel has the rules of the file, and systemd the unit: a run may have ended before they had."""
    nft = module.get_bin_path("nft", opt_dirs=["/usr/sbin", "/sbin"])
    systemctl = module.get_bin_path("systemctl") if SYSTEMD.is_dir() else None
    if not (nft and systemctl and rules.is_file() and unit.is_file()):
        return False
    shown = module.run_command([systemctl, "show", "--property=NeedDaemonReload", "--", unit.name])[1]
    written = DIGEST.findall(rules.read_text(encoding="utf-8", errors="replace"))
    loaded = DIGEST.findall(module.run_command([nft, "list", "table", *QOS_TABLE])[1])
    return shown.strip() == "NeedDaemonReload=no" and bool(written) and written == loaded


def programs(*, service_runs: bool) -> list[dict[str, Any]]:
    """Return the programs that outlive a stop of the service.

    Its stop command ends every process with an argument (`pkill -f "rustdesk --"` in rustdesk.service), which leaves
    the windows that users have open.
    """
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            if is_client(arguments) and not (service_runs and "rustdesk --" in " ".join(arguments)):
                found.append({"pid": int(entry.name), "user": client_homes.name_of_user(entry.stat().st_uid)})
    return sorted(found, key=lambda program: int(str(program["pid"])))


def is_client(arguments: list[str]) -> bool:
    """Tell whether a command line is that of a RustDesk program: installed, AppImage, or a script of that name."""
    program, *rest = arguments or [""]
    if Path(program).name.startswith("python"):
        program = next((argument for argument in rest if not argument.startswith("-")), "")
    return CLIENT.fullmatch(Path(program).name) is not None


def answers(module: AnsibleModule, names: list[str]) -> dict[str, str]:
    """Ask the client itself; its exit status is 0 whatever it does (rustdesk src/core_main.rs)."""
    timeout = module.get_bin_path("timeout", required=True)
    found = {}
    for name in names:
        _, out, _ = module.run_command([str(timeout), str(ANSWER_SECONDS), str(PROGRAM), "--option", name])
        found[name] = out.strip()
    return found


def look(module: AnsibleModule) -> dict[str, Any]:
    """Return everything there is to know of the host.

    Raises:
        OSError: the host itself cannot be looked at.
    """
    params = module.params
    listed = {name: account(name) for name in params["users"]}
    users = [user for user in listed.values() if user] if listed else people() if params["discover"] else []
    profiles = [profile(pwd.getpwuid(0), "service", params["files"])] if params["service_profile"] else []
    profiles += [
        profile(user, "user", params["files"])
        for user in sorted(users, key=lambda user: user.pw_name)
        if not (params["service_profile"] and user.pw_uid == 0)
    ]
    state = service(module)
    installed = PROGRAM.exists()
    version, is_unfinished = package(module)
    return {
        "machine": platform.machine(),
        "dpkg": module.get_bin_path("dpkg-query") is not None,
        "package": version,
        "package_unfinished": is_unfinished,
        "program": str(PROGRAM) if installed else "",
        "nft": module.get_bin_path("nft", opt_dirs=["/usr/sbin", "/sbin"]) is not None,
        "systemd": SYSTEMD.is_dir(),
        "service": state,
        "programs": programs(service_runs=state["active"]),
        "options": answers(module, params["options"]) if installed and state["active"] else {},
        "unknown_users": sorted(name for name, user in listed.items() if not user),
        "qos_current": qos_current(module),
        "existing_paths": [path for path in params["paths"] if Path(path).exists()],
        "profiles": [asdict(found) for found in profiles],
    }


def main() -> None:
    """Run the module."""
    names = ["RustDesk.toml", "RustDesk2.toml", "RustDesk_local.toml", "RustDesk_default.toml", RECORD]
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "str", "default": []},
            "discover": {"type": "bool", "default": True},
            "service_profile": {"type": "bool", "default": True},
            "files": {"type": "list", "elements": "str", "default": names},
            "options": {"type": "list", "elements": "str", "default": []},
            "paths": {"type": "list", "elements": "str", "default": []},
        },
        supports_check_mode=True,
    )
    try:
        host = look(module)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'the host'} cannot be looked at ({error.strerror or error})")
    module.exit_json(changed=False, **host)


if __name__ == "__main__":
    main()
