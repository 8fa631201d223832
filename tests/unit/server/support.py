"""What the tests of the server have in common: archives, keys, modules run in place, and processes that die."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import io
import json
import os
import pwd
import stat
import subprocess
import sys
import traceback
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from ansible.module_utils.ed25519 import KeyPair, public_key
from ansible.module_utils.testing import patch_module_args
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.template import Templar, trust_as_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[3]
ROLE = ROOT / "roles" / "rustdesk_server"
ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"

USER = pwd.getpwuid(os.geteuid()).pw_name
GROUP = grp.getgrgid(os.getegid()).gr_name

NOBODY = 65534
KILLED = 9


def pair(number: int) -> KeyPair:
    """Return one of as many key pairs as there are numbers."""
    seed = hashlib.sha256(f"a key of the tests {number}".encode()).digest()
    return KeyPair(seed=seed, public=public_key(seed))


def evaluated(expression: str, **variables: object) -> str:
    """Return what an expression comes to in the role, with its defaults and variables."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="AnsibleCollectionFinder has already been configured")
        init_plugin_loader()
    loader = DataLoader()
    known: dict[str, Any] = {"rustdesk_host": "rustdesk.example.org"}
    for source in (ROLE / "defaults" / "main.yml", *sorted((ROLE / "vars" / "main").iterdir())):
        known |= loader.load_from_file(str(source), trusted_as_template=True)
    return str(Templar(loader, known | variables).template(trust_as_template(expression)))


# --- Steps of the role ------------------------------------------------------------------------------------------------

PLAY = """\
- hosts: all
  gather_facts: false
  tasks:
    - block:
        - ansible.builtin.include_role: {name: rustdesk_server, rolespec_validate: false}
        - ansible.builtin.set_fact: {outcome: "ACCEPTED"}
      rescue:
        - ansible.builtin.set_fact: {outcome: "REFUSED"}
    - ansible.builtin.copy:
        content: "{{ dict(groups['all'] | zip(groups['all'] | map('extract', hostvars, 'outcome'))) | to_json }}"
        dest: "{{ outcomes }}"
        mode: "0600"
      run_once: true
      check_mode: false
"""


class Step:
    """A directory with one step of the role, run by Ansible with stand-ins for modules, a host for each case."""

    def __init__(self, root: Path, step: str, accepted: str, refused: str) -> None:
        """Prepare it; the last two say what comes of a case, as templates."""
        self.root = root
        self.tasks = root / "roles" / "rustdesk_server" / "tasks"
        self.tasks.mkdir(parents=True)
        for part in ("defaults", "meta", "vars"):
            (self.tasks.parent / part).symlink_to(ROLE / part)
        (self.tasks / "main.yml").symlink_to(ROLE / "tasks" / step)
        (root / "library").mkdir()
        play = PLAY.replace("ACCEPTED", accepted).replace("REFUSED", refused)
        (root / "play.yml").write_text(play, encoding="utf-8")

    def stand_in(self, module: ModuleType, code: str, **known: object) -> None:
        """Put code in the place of a module; it knows the names of that module's options, and what is given."""
        known["NAMES"] = [*yaml.safe_load(module.DOCUMENTATION)["options"]]
        head = "".join(f"{name} = {value!r}\n" for name, value in known.items())
        path = self.root / "library" / f"{module.__name__}.py"
        path.write_text(f"#!/usr/bin/python\n{head}{code}", encoding="utf-8")

    def run(
        self, hosts: Mapping[str, Mapping[str, Any]], *options: str, dumper: type[yaml.SafeDumper] = yaml.SafeDumper
    ) -> subprocess.CompletedProcess[str]:
        """Run the step for each host."""
        common = {
            "ansible_connection": "local",
            "ansible_python_interpreter": sys.executable,
            "outcomes": str(self.root / "outcomes.json"),
        }
        inventory = {"all": {"hosts": {name: dict(host) for name, host in hosts.items()}, "vars": common}}
        (self.root / "hosts.yml").write_text(yaml.dump(inventory, Dumper=dumper), encoding="utf-8")
        return self.play("-i", "hosts.yml", "play.yml", *options)

    def outcomes(self) -> Any:
        """What came of each case."""
        return json.loads((self.root / "outcomes.json").read_text(encoding="utf-8"))

    def play(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a playbook in the directory."""
        settings = {
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "ANSIBLE_ROLES_PATH": str(self.root / "roles"),
            "ANSIBLE_LIBRARY": str(self.root / "library"),
            "ANSIBLE_FORCE_COLOR": "0",
            "ANSIBLE_HOME": str(self.root / ".ansible"),
            "ANSIBLE_INJECT_INVOCATION": "true",
            "ANSIBLE_REMOTE_TEMP": str(self.root / "remote"),
        }
        return subprocess.run(
            [ANSIBLE_PLAYBOOK, *arguments],
            cwd=self.root,
            env=os.environ | settings | environment,
            capture_output=True,
            text=True,
            check=False,
        )


# --- Archives ---------------------------------------------------------------------------------------------------------

PROGRAMS = {name: f"#!/bin/sh\necho {name}\n".encode() * 2000 for name in ("hbbr", "hbbs", "rustdesk-utils")}


@dataclass(frozen=True)
class Archive:
    """A release archive on disk."""

    path: Path
    sha256: str


def sealed(path: Path) -> Archive:
    return Archive(path, hashlib.sha256(path.read_bytes()).hexdigest())


def release_archive(
    path: Path, directory: str = "amd64", mark: str = "", members: dict[str, bytes] | None = None
) -> Archive:
    """Write an archive like upstream's; `mark` makes its programs differ, `members` replaces or adds some."""
    contents = {f"{directory}/{name}": content + mark.encode() for name, content in PROGRAMS.items()} | (members or {})
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(zipfile.ZipInfo(f"{directory}/"), b"")
        for name, content in contents.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = (stat.S_IFREG | 0o4777) << 16
            archive.writestr(info, content)
    return sealed(path)


# --- Modules ----------------------------------------------------------------------------------------------------------


def run_module(main: Callable[[], None], arguments: dict[str, Any], *, check: bool = False) -> dict[str, Any]:
    """Run a module in this process and return what it tells Ansible."""
    printed = io.StringIO()
    internal = {"_ansible_check_mode": check, "_ansible_diff": True}
    with patch_module_args(arguments | internal), contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        main()
    result: dict[str, Any] = json.loads(printed.getvalue())
    return result


def tree(directory: Path) -> dict[str, tuple[Any, ...]]:
    """Return everything of a directory that a change would show in."""
    found = {}
    for path in sorted([directory, *directory.rglob("*")]):
        facts = path.lstat()
        content = (
            path.read_bytes() if stat.S_ISREG(facts.st_mode) else str(path.readlink()) if path.is_symlink() else ""
        )
        found[str(path.relative_to(directory))] = (
            facts.st_mode,
            facts.st_uid,
            facts.st_gid,
            facts.st_mtime_ns,
            content,
        )
    return found


# --- Processes that die, or may not do everything ---------------------------------------------------------------------


def in_child(action: Callable[[], object]) -> int:
    """Run an action in a process of its own, and return the exit status: 0 when it ended well."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            action()
            status = 0
        finally:
            if status:
                traceback.print_exc()
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def killed_at(step: int, functions: list[tuple[Any, str]], action: Callable[[], object]) -> bool:
    """Run an action in a process that is killed where it calls one of the functions for the n-th time.

    Returns whether it came that far; otherwise the action ended well.
    """

    def run() -> None:
        calls = iter(range(step))

        def dying(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapper(*arguments: Any, **options: Any) -> Any:
                if next(calls, None) is None:
                    os._exit(KILLED)
                return function(*arguments, **options)

            return wrapper

        for owner, name in functions:
            setattr(owner, name, dying(getattr(owner, name)))
        action()

    status = in_child(run)
    assert status in (0, KILLED)
    return status == KILLED


def killings(functions: list[tuple[Any, str]], action: Callable[[], object]) -> Iterator[int]:
    """Kill an action at its first step, at its second one, and so on until it ends well."""
    for step in range(1000):
        killed = killed_at(step, functions, action)
        yield step
        if not killed:
            return
    raise AssertionError("it never ends")


def as_nobody(action: Callable[[], str]) -> str:
    """Return what an action returns in a process without any right to files of others."""
    reader, writer = os.pipe()

    def run() -> None:
        if os.geteuid() == 0:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
        os.write(writer, action().encode())

    status = in_child(run)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        told = stream.read().decode()
    assert status == 0, told
    return told
