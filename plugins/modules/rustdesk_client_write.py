#!/usr/bin/python
# SPDX-License-Identifier: MIT
"""Write, make and remove what lies in users' directories of RustDesk's settings, without following a link there."""

from __future__ import annotations

DOCUMENTATION = r"""
---
module: rustdesk_client_write
short_description: Write users' settings of RustDesk as root
version_added: "1.0.0"
author: The rustdesk roles maintainers
description:
  - Carries out steps in the settings' directories of users, C(~/.config/rustdesk), in one execution.
  - These directories are the users' own. So each one is opened below the one before, no link is followed, and a step is
    carried out below what is open, whatever is put in its place meanwhile.
  - A file is replaced as a whole or not at all.
options:
  users:
    description: Users in whose directories the steps are.
    type: list
    elements: str
    required: true
  steps:
    description: What is done, in this order. The first one that fails ends it.
    type: list
    elements: dict
    required: true
    suboptions:
      action:
        description: >-
          V(mkdir) and V(write) make what is not there. V(unlink) removes a file. V(rmdir) removes a directory that is
          empty; another one stays.
        type: str
        required: true
        choices: [mkdir, write, unlink, rmdir]
      path:
        description: The directory or file.
        type: str
        required: true
      content:
        description: What the file is to hold, in base64.
        type: str
        default: ""
      owner:
        description: Whose it is to be, for V(mkdir) and V(write).
        type: str
        default: root
      group:
        description: Group it is to have.
        type: str
        default: root
      mode:
        description: Mode it is to have, in octal digits.
        type: str
        default: "0700"
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
"""

EXAMPLES = r"""
- name: Write one file
  rustdesk_client_write:
    users: [anna]
    steps:
      - action: write
        path: /home/anna/.config/rustdesk/RustDesk2.toml
        content: "{{ text | b64encode }}"
        owner: anna
        group: anna
        mode: "0600"
"""

RETURN = r"""
done:
  description: Whether each step changed something, as far as they went.
  returned: always
  type: list
  elements: bool
path:
  description: What could not be changed.
  returned: failure
  type: str
"""

import base64
import contextlib
import errno
import grp
import os
import pwd
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.client_homes import BELOW, HomeError, names_in, open_directory, opened, status

UNFINISHED = ".new"
"""What the name of a file ends in until all of it is written; one that an interrupted run left is replaced."""

Step = Mapping[str, Any]


class Writer:
    """Carries out steps in the settings' directories of some users."""

    def __init__(self, users: list[str], *, check: bool) -> None:
        self._check = check
        self._directories: dict[Path, tuple[pwd.struct_passwd, tuple[str, ...]]] = {}
        for user in map(pwd.getpwnam, users):
            for depth in range(len(BELOW) + 1):
                below = BELOW[:depth]
                self._directories.setdefault(Path(user.pw_dir, *below), (user, below))

    def carry_out(self, step: Step) -> bool:
        """Return whether a step changed something.

        Raises:
            OSError: it cannot be carried out.
            HomeError: it must not be.
        """
        path, action = Path(step["path"]), step["action"]
        user, below = self._place(path, is_file=action in ("write", "unlink"))
        try:
            with opened(user, below) as parent:
                if action == "mkdir":
                    return self._made(parent, path, step, user.pw_uid)
                if action == "write":
                    return self._written(parent, path, step)
                return self._removed(parent, path, is_directory=action == "rmdir")
        except FileNotFoundError:
            # In check mode the directory is one that would have been made.
            if action in ("mkdir", "write") and not self._check:
                raise
            return action in ("mkdir", "write")

    def _place(self, path: Path, *, is_file: bool) -> tuple[pwd.struct_passwd, tuple[str, ...]]:
        user, below = self._directories.get(path.parent, (None, ()))
        if not user or (below != BELOW if is_file else path.name not in BELOW[len(below) : len(below) + 1]):
            raise HomeError(f"{path} is not in the settings of {', '.join(sorted(self._users()))}")
        return user, below

    def _users(self) -> Iterator[str]:
        return (user.pw_name for user, below in self._directories.values() if not below)

    def _made(self, parent: int, path: Path, step: Step, uid: int) -> bool:
        with contextlib.suppress(FileNotFoundError):
            os.close(open_directory(parent, path, uid))
            return False
        if self._check:
            return True
        os.mkdir(path.name, 0o700, dir_fd=parent)
        made = open_directory(parent, path, uid)
        try:
            # Something else may have been put in its place since, and must not be given away.
            if names_in(made, path):
                raise HomeError(f"{path} is not the directory that was made just now")
            _give(made, step)
        finally:
            os.close(made)
        return True

    def _written(self, parent: int, path: Path, step: Step) -> bool:
        content = base64.b64decode(step["content"])
        if _is_there(parent, path.name, content, step):
            return False
        if self._check:
            return True
        unfinished = f".{path.name}{UNFINISHED}"
        _unlink(parent, unfinished)
        descriptor = os.open(
            unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=parent
        )
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                _give(descriptor, step)
                os.fsync(descriptor)
            os.replace(unfinished, path.name, src_dir_fd=parent, dst_dir_fd=parent)
        except BaseException:
            _unlink(parent, unfinished)
            raise
        # What is written first is to be there first, also after a power cut.
        os.fsync(parent)
        return True

    def _removed(self, parent: int, path: Path, *, is_directory: bool) -> bool:
        if stat.S_ISDIR(status(parent, path).st_mode) != is_directory:
            if is_directory:
                return False
            raise HomeError(f"{path} is not a file; remove it")
        if self._check:
            return True
        if not is_directory:
            _unlink(parent, f".{path.name}{UNFINISHED}")
            return _unlink(parent, path.name)
        try:
            os.rmdir(path.name, dir_fd=parent)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            return False
        return True


def _unlink(parent: int, name: str) -> bool:
    try:
        os.unlink(name, dir_fd=parent)
    except FileNotFoundError:
        return False
    return True


def _rights(step: Step) -> tuple[int, int, int]:
    """Return owner, group and mode as numbers; a user or group without a name is a number already."""
    owner, group = step["owner"], step["group"]
    return (
        int(owner) if owner.isdigit() else pwd.getpwnam(owner).pw_uid,
        int(group) if group.isdigit() else grp.getgrnam(group).gr_gid,
        int(step["mode"], 8),
    )


def _give(descriptor: int, step: Step) -> None:
    uid, gid, mode = _rights(step)
    os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, mode)


def _is_there(parent: int, name: str, content: bytes, step: Step) -> bool:
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return False
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            return False
        rights = (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode))
        return rights == _rights(step) and file.read(len(content) + 1) == content


def main() -> None:
    """Run the module."""
    module = AnsibleModule(
        argument_spec={
            "users": {"type": "list", "elements": "str", "required": True},
            "steps": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "action": {"type": "str", "required": True, "choices": ["mkdir", "write", "unlink", "rmdir"]},
                    "path": {"type": "str", "required": True},
                    "content": {"type": "str", "default": "", "no_log": True},
                    "owner": {"type": "str", "default": "root"},
                    "group": {"type": "str", "default": "root"},
                    "mode": {"type": "str", "default": "0700"},
                },
            },
        },
        supports_check_mode=True,
    )
    done: list[bool] = []
    path = ""
    try:
        writer = Writer(module.params["users"], check=module.check_mode)
        for step in module.params["steps"]:
            path = step["path"]
            done.append(writer.carry_out(step))
    except (OSError, HomeError, KeyError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.args[0]
        module.fail_json(msg=str(reason), path=path, done=done, changed=any(done))
    module.exit_json(changed=any(done), done=done)


if __name__ == "__main__":
    main()
