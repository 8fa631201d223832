#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Look at a host that runs, or is to run, rustdesk-server."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_server_info
short_description: Look at a host that runs, or is to run, rustdesk-server
description:
  - Finds out in one remote execution all that a deployment of hbbs and hbbr has to know of its host beforehand, so that
    every fault can be told before anything is changed, and steps that have nothing to do can be left out.
  - Changes nothing.
options:
  install_dir:
    description: Directory that holds the releases.
    type: path
    default: /opt/rustdesk-server
  state_dir:
    description: Directory of the key and the database.
    type: path
    default: /var/lib/rustdesk-server
  user:
    description: User that is to run the daemons.
    type: str
    default: rustdesk-server
  group:
    description: Group of that user.
    type: str
    default: rustdesk-server
  version:
    description: Version that is to be installed.
    type: str
    required: true
  architecture:
    description: Architecture that is to be installed; empty means that of the host.
    type: str
    default: ""
  sha256:
    description: Digest of the release archive for each architecture.
    type: dict
    default: {}
  archive:
    description: A release archive on the host that is to be looked at; empty for none.
    type: str
    default: ""
  ports:
    description: Ports the daemons are going to listen on, as C(21116/udp).
    type: list
    elements: str
    default: []
  bind_address:
    description: Address the daemons are going to listen on; empty means all.
    type: str
    default: ""
  resolve:
    description: Host names that this host must be able to resolve.
    type: list
    elements: str
    default: []
  files:
    description: Files of the deployment, each with the mode it is to have, as V(0644). Their owner is to be root.
    type: dict
    default: {}
  units:
    description: Names of the systemd units of the deployment.
    type: list
    elements: str
    default: [rustdesk-hbbs.service, rustdesk-hbbr.service]
  commands:
    description:
      - For those of O(units) that are to run, the program and its arguments as a list. Only these are judged by what
        they run and how often they end.
    type: dict
    default: {}
  relays:
    description: Relays that a running C(hbbs) is to name to clients, spelt as its command line has them.
    type: list
    elements: str
    default: []
  console_port:
    description: Port of the console of C(hbbs) on loopback; 0 when it has none there, and is not asked.
    type: int
    default: 0
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
author:
  - The rustdesk roles maintainers
"""

EXAMPLES = r"""
- name: Look at the host
  rustdesk_server_info:
    version: 1.1.16
    ports: [21115/tcp, 21116/tcp, 21116/udp, 21117/tcp]
    resolve: [relay.example.org]
  register: __host
"""

RETURN = r"""
machine:
  description: What C(uname -m) says.
  returned: always
  type: str
  sample: x86_64
architecture:
  description: Architecture of the host as upstream's releases name it, empty when there is no release for it.
  returned: always
  type: str
  sample: amd64
systemd:
  description: Whether systemd manages the services of this host.
  returned: always
  type: bool
address:
  description: The address this host uses towards the network, empty when it has none but loopback.
  returned: always
  type: str
  sample: 192.0.2.10
current_version:
  description: Version the C(current) link leads to, empty when there is none.
  returned: always
  type: str
  sample: 1.1.16
release_fault:
  description: Why the wanted release does not count as installed, empty when it does.
  returned: always
  type: str
  sample: version 1.1.16 is not installed
archive_fault:
  description: Why O(archive) cannot be installed, empty when it can or none was named.
  returned: always
  type: str
occupied:
  description: A sentence for each of O(ports) that another process holds.
  returned: always
  type: list
  elements: str
  sample: [21117/tcp is taken by nginx (pid 812) of nginx.service]
bind_fault:
  description: Why nothing can listen on O(bind_address), empty when something can.
  returned: always
  type: str
  sample: Cannot assign requested address
unresolved:
  description: Those of O(resolve) this host cannot resolve.
  returned: always
  type: list
  elements: str
free_bytes:
  description: Bytes that are free for the release and for the state.
  returned: always
  type: dict
  sample: {install_dir: 8212987904, state_dir: 8212987904}
foreign:
  description:
    - What lies in each of the directories without being part of a deployment, and so tells that the directory belongs
      to something else.
  returned: always
  type: dict
  sample: {install_dir: [bin, share], state_dir: []}
links:
  description: Where each of the directories leads to that is a link itself, empty for one that is none.
  returned: always
  type: dict
  sample: {install_dir: "", state_dir: /data/rustdesk}
mounted:
  description: Whether each of the directories is a mount point, so that it can be emptied, but not be removed.
  returned: always
  type: dict
  sample: {install_dir: false, state_dir: true}
env_file:
  description: Whether the state directory holds an C(.env) file, which the daemons would read.
  returned: always
  type: bool
user_exists:
  description: Whether the host has O(user).
  returned: always
  type: bool
user_home:
  description: Home directory of O(user), empty when there is no such user.
  returned: always
  type: str
group_exists:
  description: Whether the host has O(group).
  returned: always
  type: bool
install_dir_exists:
  description: Whether there is anything in the place of O(install_dir).
  returned: always
  type: bool
state_dir_exists:
  description: Whether the state directory exists.
  returned: always
  type: bool
state_dir_parent_exists:
  description: Whether there is a directory that the state directory can be created in.
  returned: always
  type: bool
state_dir_foreign:
  description: Whether anything in the state directory belongs to somebody else than O(user).
  returned: always
  type: bool
address_lists:
  description: Those of C(blocklist.txt) and C(blacklist.txt) that hold something.
  returned: always
  type: list
  elements: str
traps:
  description: Those of the two that are no regular files, so that whoever writes them would be led elsewhere.
  returned: always
  type: list
  elements: str
key:
  description: The key pair in the state directory, without its secret.
  returned: always
  type: dict
  contains:
    state:
      description: V(absent), V(valid), V(public_only) (the secret half is missing) or V(malformed).
      type: str
    public_key:
      description: The public key, empty when there is none to tell.
      type: str
    fingerprint:
      description: Fingerprint of the public key.
      type: str
    detail:
      description: What is wrong with it.
      type: str
    public_file_fits:
      description: Whether C(id_ed25519.pub) holds the public key of C(id_ed25519).
      type: bool
files:
  description: The sha256 of each of O(files), empty when it is not there, or not root's, or of another mode.
  returned: always
  type: dict
  sample: {/etc/systemd/system/rustdesk-hbbs.service: ""}
relays_unnamed:
  description:
    - Those of O(relays) that C(hbbs) does not name to clients, because it could not resolve them when it started, or
      finds them down. Empty when it does not answer.
  returned: always
  type: list
  elements: str
state_dir_kept:
  description: Whether the state directory is there for O(user) and O(group) alone.
  returned: always
  type: bool
units:
  description: State of each of O(units).
  returned: always
  type: dict
  contains:
    loaded:
      description: Whether systemd knows the unit.
      type: bool
    active:
      description: Whether it runs.
      type: bool
    up:
      description: Whether it runs and will run after the next boot too.
      type: bool
    stale:
      description:
        - Whether it runs, but was started before its configuration, key or program got their present form, or before
          any of O(relays) could be resolved.
      type: bool
    present:
      description: Whether the deployment left anything of it, which its drop-in directory alone does not tell.
      type: bool
    drop_in_dir:
      description: Whether its drop-in directory exists.
      type: bool
    shared:
      description: Whether its drop-in directory holds what is not the deployment's.
      type: bool
    command_fault:
      description: How what it runs differs from O(commands), without any secret; empty when it does not.
      type: str
      sample: >-
        rustdesk-hbbs.service runs with `--key=` instead of `--key=_`; look for a drop-in with `systemctl cat
        rustdesk-hbbs.service`
    restarts:
      description: How often systemd has started it again by itself.
      type: int
    restart_fault:
      description: That it keeps ending, and how often; empty when it does not.
      type: str
"""

import contextlib
import grp
import os
import platform
import pwd
import re
import shlex
import shutil
import socket
import stat
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.key_files import inspect
from ansible.module_utils.listeners import listeners, overlaps
from ansible.module_utils.release import CURRENT, DIRECTORIES, MACHINES, STAGING, archive_fault, installed, sha256_of

UNIT_DIR = Path("/etc/systemd/system")
SYSTEMD = Path("/run/systemd/system")
"""Exists where systemd is the system's manager (sd_booted(3))."""
DROP_IN = "10-hardening.conf"
WANTED_BY = "multi-user.target.wants"
MOUNTS = Path("/proc/self/mountinfo")

STATE_FILES = ("id_ed25519", "id_ed25519.pub")
"""Files of the state directory that the daemons read when they start and never again."""
ADDRESS_LISTS = ("blocklist.txt", "blacklist.txt")
"""Those that only hbbr reads (rustdesk-server `src/relay_server.rs`)."""
HBBS, HBBR = "rustdesk-hbbs.service", "rustdesk-hbbr.service"

PROC = Path("/proc")

CONSOLE_SECONDS = 2.0
"""Longest wait for the console's answer; it gives its own client one second (`src/rendezvous_server.rs`)."""
_CONSOLE_BYTES = 64 * 1024

_RESTLESS_STARTS = 3
_RESTLESS_SECONDS = 60
"""A unit keeps ending when it was started again so often, and runs for less than so long.

An hbbs whose self-test fails ends itself every 12 s (rustdesk-server `src/rendezvous_server.rs`, `test_hbbs`).
"""

_SECRET = re.compile(r"[A-Za-z0-9+/_-]{64,}={0,2}")
"""What may be a private key: 64 bytes are 86 characters of base64."""
_SHOWN = 200
"""Characters of a foreign command line that are shown."""

OWN_STATE = re.compile(r"id_ed25519(\..*)?|db_v2\.sqlite3(-.*)?|bl(ock|ack)list\.txt")
OWN_INSTALL = re.compile(rf"\d+\.\d+\.\d+(-\d+)?|check-key|{CURRENT}|{re.escape(STAGING)}|lost\+found")
"""Names that a deployment, or a file system, leaves in its directories."""

ANYBODYS_STATE = (".config", ".env", "lost+found")
"""Names that tell nothing of whose a directory is: a home directory, or a file system, has them whoever uses it."""

PORT = re.compile(r"(?P<port>\d{1,5})/(?P<protocol>tcp|udp)")

_FEW = 3
"""As many names as fit into a sentence."""


@dataclass(frozen=True)
class Unit:
    """State of a systemd unit, as returned."""

    loaded: bool
    active: bool
    up: bool
    stale: bool
    present: bool
    drop_in_dir: bool
    shared: bool
    command_fault: str
    restarts: int
    restart_fault: str


def free_bytes(path: Path) -> int:
    """Return the free space of the file system a directory is, or would be, on."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free


def names_in(directory: Path) -> list[str]:
    """Return what a directory holds; nothing when there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        return sorted(entry.name for entry in directory.iterdir())
    return []


def link_target(directory: Path) -> str:
    """Return where a directory leads to that is a link itself; "" when it is none."""
    return os.path.realpath(directory) if directory.is_symlink() else ""


def is_mounted(directory: Path) -> bool:
    """Tell whether a directory is a mount point; os.path.ismount overlooks a bind mount within one file system."""
    with contextlib.suppress(OSError):
        lines = MOUNTS.read_text(encoding="utf-8", errors="replace").splitlines()
        return os.path.realpath(directory) in [line.split(" ")[4] for line in lines]
    return False


def foreign_programs(install_dir: Path) -> list[str]:
    """Return a few of the names that no deployment leaves in its directory of programs."""
    return [name for name in names_in(install_dir) if not OWN_INSTALL.fullmatch(name)][:_FEW]


def foreign_state(state_dir: Path, uid: int | None) -> list[str]:
    """Return a few of the names in a state directory that belongs to something else.

    Whatever lies beside a deployment's own files, or in the service user's directory, is the operator's business.
    """
    names = [name for name in names_in(state_dir) if name not in ANYBODYS_STATE]
    if any(OWN_STATE.fullmatch(name) for name in names) or (names and state_dir.stat().st_uid == uid):
        return []
    return names[:_FEW]


def foreign_owner(directory: Path, uid: int | None) -> bool:
    """Tell whether a directory, or anything in it, is another user's; False when there is no such directory."""
    for path in (directory, *directory.rglob("*")):
        # A running hbbs makes and removes files beside its database.
        with contextlib.suppress(FileNotFoundError):
            if path.lstat().st_uid != uid:
                return True
    return False


def is_trap(path: Path) -> bool:
    """Tell whether a path is there and is no regular file."""
    try:
        return not stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False


def holds_something(path: Path) -> bool:
    """Tell whether a file is there and not empty."""
    try:
        return path.stat().st_size > 0
    except OSError:
        return False


def digest_as_wanted(path: Path, mode: str) -> str:
    """Return the sha256 of a file; "" when it is no file, not root's, or of another mode than the octal one."""
    try:
        status = path.lstat()
        wanted = stat.S_IFREG | int(mode, 8)
        return sha256_of(path) if (status.st_mode, status.st_uid, status.st_gid) == (wanted, 0, 0) else ""
    except OSError:
        return ""


def is_kept(directory: Path, uid: int | None, group: str) -> bool:
    """Tell whether a directory is a user's and group's, and closed to everybody else."""
    try:
        status, gid = directory.lstat(), grp.getgrnam(group).gr_gid
    except (OSError, KeyError):
        return False
    return (status.st_mode, status.st_uid, status.st_gid) == (stat.S_IFDIR | 0o700, uid, gid)


def own_address() -> str:
    """Return the address this host would use towards the network; connecting a UDP socket sends nothing."""
    for family, anywhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((anywhere, 9))
            return str(probe.getsockname()[0])
    return ""


def bind_fault(address: str) -> str:
    """Say why nothing can listen on an address; an empty one stands for all."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return str(error.strerror or error)
    return ""


def account(name: str) -> pwd.struct_passwd | None:
    """Return this host's user of that name."""
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


def group_exists(name: str) -> bool:
    """Tell whether this host has a group of that name."""
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def resolvable(name: str) -> bool:
    """Tell whether this host can resolve a name."""
    try:
        return bool(socket.getaddrinfo(name, None))
    except (OSError, UnicodeError):
        return False


def changed_at(paths: list[Path], now: float) -> float:
    """Return when the newest of the files was last changed, in seconds since the epoch; 0 when none exists.

    A change in the future tells nothing but that the clock was set back.
    """
    times = [0.0]
    for path in paths:
        with contextlib.suppress(OSError):
            times.append(path.lstat().st_ctime)
    return max(changed for changed in times if changed <= now)


def command_line(pid: str) -> list[str]:
    """Return the command of a process, nothing when there is none or systemd has not started it yet.

    Until then a service's process is systemd's own, under a name in parentheses or that of systemd-executor.
    """
    try:
        command = [part.decode("utf-8", "replace") for part in (PROC / pid / "cmdline").read_bytes().split(b"\0")[:-1]]
    except OSError:
        return []
    name = Path(command[0]).name if command else ""
    return [] if name.startswith(("(", "systemd")) else command


def shown(arguments: list[str]) -> str:
    """Write arguments as in a shell, without what may be a secret and not at any length."""
    if not arguments:
        return "nothing"
    texts = [_SECRET.sub("SECRET", argument) for argument in arguments]
    plain = ["".join(part if part.isprintable() else "?" for part in text) for text in texts]
    text = shlex.join(plain)
    return f"`{text}`" if len(text) <= _SHOWN else f"`{text[:_SHOWN]}…`"


def command_fault(unit: str, command: list[str], wanted: list[str]) -> str:
    """Say how a command differs from the wanted one; what starts the program, such as its interpreter, is left out."""
    programs = [os.path.normpath(argument) if argument.startswith("/") else "" for argument in command]
    program = os.path.normpath(wanted[0])
    if not command:
        return ""
    if program not in programs:
        difference = f"runs {shown(command)} instead of {shown([program, *wanted[1:]])}"
    else:
        besides, missing = command[programs.index(program) + 1 :], []
        for argument in wanted[1:]:
            if argument in besides:
                besides.remove(argument)
            else:
                missing.append(argument)
        if not besides and not missing:
            return ""
        difference = f"runs with {shown(besides)} " + (f"instead of {shown(missing)}" if missing else "besides")
    return f"{unit} {difference}; look for a drop-in with `systemctl cat {unit}`"


def restart_fault(unit: str, restarts: int, seconds: float) -> str:
    """Say that a unit keeps ending, by how often it was started again and how long it has been running since."""
    if restarts < _RESTLESS_STARTS or seconds >= _RESTLESS_SECONDS:
        return ""
    return (
        f"{unit} keeps ending: systemd has started it again {restarts} times, the last time {seconds:.0f} s ago; "
        "its journal says why"
    )


def unnamed_relays(relays: list[str], port: int) -> list[str]:
    """Ask hbbs on its console which relays it names, and return those of the given ones that it does not.

    A connection from loopback to the port below hbbs's own gets one command answered and is closed; `rs` is answered
    with a relay on each line, none when none resolved (rustdesk-server `src/rendezvous_server.rs`, `check_cmd`). Of
    several relays those that are down are left out as well, but never all. Without an answer nothing is known, and
    nothing returned.
    """
    answer = b""
    end = time.monotonic() + CONSOLE_SECONDS
    try:
        with socket.create_connection(("127.0.0.1", port), CONSOLE_SECONDS) as console:
            console.sendall(b"rs")
            while True:
                console.settimeout(max(end - time.monotonic(), 0.01))
                part = console.recv(_CONSOLE_BYTES)
                answer += part
                if not part:
                    break
                if len(answer) > _CONSOLE_BYTES:
                    return []
    except OSError:
        return []
    named = answer.decode("utf-8", "replace").splitlines()
    return [relay for relay in relays if relay not in named]


def unit_states(module: AnsibleModule, files: dict[str, list[Path]], commands: dict[str, list[str]]) -> dict[str, Unit]:
    """Ask systemd for the state of units, and compare their start with the last change of the files they read."""
    systemctl = module.get_bin_path("systemctl") if SYSTEMD.is_dir() else None
    told: dict[str, dict[str, str]] = {}
    if systemctl:
        properties = (
            "Id,LoadState,ActiveState,UnitFileState,NeedDaemonReload,ExecMainStartTimestampMonotonic,MainPID,NRestarts"
        )
        _code, out, _err = module.run_command([systemctl, "show", f"--property={properties}", "--", *files])
        told = parse_units(out)
    return {name: unit_state(name, told.get(name, {}), read, commands.get(name, [])) for name, read in files.items()}


def parse_units(out: str) -> dict[str, dict[str, str]]:
    """Return the properties of each unit in what `systemctl show` prints."""
    blocks = [dict(line.partition("=")[::2] for line in block.splitlines()) for block in out.strip().split("\n\n")]
    return {block.get("Id", ""): block for block in blocks}


def unit_state(name: str, values: dict[str, str], files: list[Path], command: list[str]) -> Unit:
    """Judge a unit by its properties, by the files it reads and, where one is given, by the command it is to run."""
    drop_in_dir = UNIT_DIR / f"{name}.d"
    loaded = values.get("LoadState") == "loaded"
    own = [UNIT_DIR / name, *sorted(drop_in_dir.glob("*.conf"))]
    active = values.get("ActiveState") in ("active", "activating", "reloading")
    now = time.time()
    # The realtime stamp of systemd has whole seconds only; the monotonic one has microseconds.
    started = now - time.monotonic() + int(values.get("ExecMainStartTimestampMonotonic") or 0) / 1e6
    restarts = int(values.get("NRestarts") or 0)
    return Unit(
        loaded=loaded,
        active=active,
        up=(values.get("ActiveState"), values.get("UnitFileState")) == ("active", "enabled"),
        stale=active and (values.get("NeedDaemonReload") == "yes" or changed_at(own + files, now) > started),
        present=is_left(name, loaded=loaded),
        drop_in_dir=drop_in_dir.is_dir(),
        shared=any(entry != DROP_IN for entry in names_in(drop_in_dir)),
        command_fault=command_fault(name, command_line(values.get("MainPID") or "0"), command) if command else "",
        restarts=restarts,
        restart_fault=restart_fault(name, restarts, now - started) if command and active else "",
    )


def is_left(name: str, *, loaded: bool) -> bool:
    """Tell whether a deployment left anything of a unit, and not an administrator or a package of that name."""
    unit, drop_in_dir = UNIT_DIR / name, UNIT_DIR / f"{name}.d"
    if unit.exists() or (drop_in_dir / DROP_IN).exists():
        return True
    if os.path.realpath(UNIT_DIR / WANTED_BY / name) == os.path.realpath(unit):
        return True
    return not loaded and drop_in_dir.is_dir() and not names_in(drop_in_dir)


def occupied(ports: list[str], bind_address: str, units: list[str]) -> list[str]:
    """Return a sentence for each port that something else than the units holds.

    Raises:
        ValueError: a port is not spelt like 21116/udp.
    """
    wanted = []
    for entry in ports:
        match = PORT.fullmatch(entry)
        if not match:
            raise ValueError(f"ports: '{entry}' is not a port; write it like 21116/udp")
        wanted.append((match["protocol"], int(match["port"])))
    return sorted(
        {
            listener.sentence
            for listener in listeners(wanted)
            if listener.unit not in units and overlaps(listener.address, bind_address)
        }
    )


def look(module: AnsibleModule) -> dict[str, Any]:
    """Return everything there is to know of the host.

    Raises:
        OSError: a directory cannot be looked into.
        ValueError: an option is malformed.
    """
    params = module.params
    install_dir, state_dir = Path(params["install_dir"]), Path(params["state_dir"])
    machine = platform.machine()
    host_architecture = MACHINES.get(machine, "")
    architecture = params["architecture"] or host_architecture
    sha256 = str(params["sha256"].get(architecture, ""))
    release = installed(install_dir, params["version"], sha256)
    files = [install_dir / CURRENT, *(state_dir / name for name in STATE_FILES)]
    files += [install_dir / CURRENT / program for program in ("hbbs", "hbbr")]
    lists = [state_dir / name for name in ADDRESS_LISTS]
    read = {unit: files + lists if unit == HBBR else files for unit in params["units"]}
    commands = {unit: [str(part) for part in command] for unit, command in params["commands"].items()}
    units = unit_states(module, read, commands)
    unnamed: list[str] = []
    if HBBS in units and units[HBBS].active and params["relays"] and params["console_port"]:
        unnamed = unnamed_relays(params["relays"], params["console_port"])
        if len(unnamed) == len(params["relays"]):
            units[HBBS] = replace(units[HBBS], stale=True)
    archive = Path(params["archive"]) if params["archive"] and architecture in DIRECTORIES else None
    user = account(params["user"])
    return {
        "machine": machine,
        "architecture": host_architecture,
        "systemd": SYSTEMD.is_dir(),
        "address": own_address(),
        "current_version": release.version,
        "release_fault": release.fault,
        "archive_fault": archive_fault(archive, architecture, sha256) if archive else "",
        "occupied": occupied(params["ports"], params["bind_address"], params["units"]),
        "bind_fault": bind_fault(params["bind_address"]),
        "unresolved": [name for name in params["resolve"] if not resolvable(name)],
        "free_bytes": {"install_dir": free_bytes(install_dir), "state_dir": free_bytes(state_dir)},
        "foreign": {
            "install_dir": foreign_programs(install_dir),
            "state_dir": foreign_state(state_dir, user.pw_uid if user else None),
        },
        "links": {"install_dir": link_target(install_dir), "state_dir": link_target(state_dir)},
        "mounted": {"install_dir": is_mounted(install_dir), "state_dir": is_mounted(state_dir)},
        "env_file": (state_dir / ".env").exists(),
        "user_exists": user is not None,
        "user_home": user.pw_dir if user else "",
        "group_exists": group_exists(params["group"]),
        "install_dir_exists": install_dir.exists() or install_dir.is_symlink(),
        "state_dir_exists": state_dir.is_dir(),
        "state_dir_parent_exists": state_dir.parent.is_dir(),
        "state_dir_foreign": foreign_owner(state_dir, user.pw_uid if user else None),
        "address_lists": [path.name for path in lists if holds_something(path)],
        "traps": [path.name for path in lists if is_trap(path)],
        "state_dir_kept": is_kept(state_dir, user.pw_uid if user else None, params["group"]),
        "key": asdict(inspect(state_dir)),
        "files": {path: digest_as_wanted(Path(path), str(mode)) for path, mode in params["files"].items()},
        "units": {name: asdict(unit) for name, unit in units.items()},
        "relays_unnamed": unnamed,
    }


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "install_dir": {"type": "path", "default": "/opt/rustdesk-server"},
            "state_dir": {"type": "path", "default": "/var/lib/rustdesk-server"},
            "user": {"type": "str", "default": "rustdesk-server"},
            "group": {"type": "str", "default": "rustdesk-server"},
            "version": {"type": "str", "required": True},
            "architecture": {"type": "str", "default": ""},
            "sha256": {"type": "dict", "default": {}},
            "archive": {"type": "str", "default": ""},
            "ports": {"type": "list", "elements": "str", "default": []},
            "bind_address": {"type": "str", "default": ""},
            "resolve": {"type": "list", "elements": "str", "default": []},
            "files": {"type": "dict", "default": {}},
            "units": {"type": "list", "elements": "str", "default": ["rustdesk-hbbs.service", "rustdesk-hbbr.service"]},
            "commands": {"type": "dict", "default": {}},
            "relays": {"type": "list", "elements": "str", "default": []},
            "console_port": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        host = look(module)
    except OSError as error:
        module.fail_json(msg=f"{error.filename or 'the host'} cannot be looked at ({error.strerror or error})")
    except ValueError as error:
        module.fail_json(msg=str(error))
    module.exit_json(changed=False, **host)


if __name__ == "__main__":
    main()
