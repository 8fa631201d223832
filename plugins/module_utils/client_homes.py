# SPDX-License-Identifier: MIT
"""The directories of a user's settings, as root has to open them.

They are their user's, who may put a link in the place of one of them at any time, also after it was looked at. So each
directory is opened below the one before, no link is followed, and whoever reads or writes does so below what is open.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import stat
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

BELOW = (".config", "rustdesk")
"""Where the settings lie in a home directory (hbb_common src/config.rs, directories_next)."""

LARGEST_FILE = 1024 * 1024

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Without O_NONBLOCK a pipe in the place of a file would never be open.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class HomeError(Exception):
    """Something in a home directory that root must not read or write; the text says what, and the way out."""


def name_of_user(uid: int) -> str:
    """Return the name of a user, the number where there is none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def open_home(user: pwd.struct_passwd) -> int:
    """Open a home directory. A link to it is the administrator's: users cannot write where home directories lie.

    Raises:
        OSError: it cannot be opened.
        HomeError: it is somebody else's.
    """
    path = Path(os.path.realpath(user.pw_dir))
    return _checked(_opened(str(path), None, path), path, user.pw_uid)


def open_directory(parent: int, path: Path, uid: int) -> int:
    """Open the directory of that path's name below one that is open.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be opened.
        HomeError: it is no directory, or somebody else's.
    """
    found = status(parent, path)
    _refuse(found, path, uid)
    if not stat.S_ISDIR(found.st_mode):
        raise HomeError(f"{path} is not a directory; remove it")
    return _checked(_opened(path.name, parent, path), path, uid)


def status(parent: int, path: Path) -> os.stat_result:
    """Return what the name of a path is below a directory that is open.

    Raises:
        OSError: there is nothing of that name, or it cannot be looked at.
    """
    try:
        return os.stat(path.name, dir_fd=parent, follow_symlinks=False)
    except OSError as error:
        raise _with_path(error, path) from None


def names_in(directory: int, path: Path) -> list[str]:
    """Return what a directory that is open holds.

    Raises:
        OSError: it cannot be looked into.
    """
    try:
        return sorted(os.listdir(directory))
    except OSError as error:
        raise _with_path(error, path) from None


def read_file(parent: int, path: Path, uid: int) -> tuple[bytes, os.stat_result]:
    """Return what a file below a directory that is open holds, and whose it is.

    Raises:
        FileNotFoundError: there is none.
        OSError: it cannot be read.
        HomeError: it is no file of settings.
    """
    found = status(parent, path)
    _refuse(found, path, uid)
    if not stat.S_ISREG(found.st_mode):
        raise HomeError(f"{path} is not a file; remove it")
    try:
        descriptor = os.open(path.name, _FILE, dir_fd=parent)
    except OSError as error:
        raise _with_path(error, path) from None
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        _refuse(found, path, uid)
        content = file.read(LARGEST_FILE + 1) if stat.S_ISREG(found.st_mode) else b""
    if len(content) > LARGEST_FILE:
        raise HomeError(f"{path} is larger than {LARGEST_FILE // 1024} KiB, which no settings are; look at it")
    return content, found


def _opened(name: str, parent: int | None, path: Path) -> int:
    try:
        return os.open(name, _DIRECTORY, dir_fd=parent)
    except OSError as error:
        raise _with_path(error, path) from None


def _checked(descriptor: int, path: Path, uid: int) -> int:
    try:
        _refuse(os.fstat(descriptor), path, uid)
    except HomeError:
        os.close(descriptor)
        raise
    return descriptor


def _refuse(found: os.stat_result, path: Path, uid: int) -> None:
    """Refuse what is not the user's own, nor root's."""
    if stat.S_ISLNK(found.st_mode):
        raise HomeError(f"{path} is a link, and root follows none in a user's home; replace it with what it leads to")
    if found.st_uid not in (uid, 0):
        raise HomeError(f"{path} belongs to {name_of_user(found.st_uid)}; give it to {name_of_user(uid)}")


def _with_path(error: OSError, path: Path) -> OSError:
    """Return an error that names the whole path: what is opened below a directory is known by its name alone."""
    return type(error)(error.errno, error.strerror, str(path))


@contextlib.contextmanager
def opened(user: pwd.struct_passwd, below: tuple[str, ...]) -> Iterator[int]:
    """Open a directory in a user's home.

    Raises:
        FileNotFoundError: it, or one on the way to it, does not exist.
        OSError: one of them cannot be opened.
        HomeError: one of them is no directory, or somebody else's.
    """
    with contextlib.ExitStack() as stack:
        path = Path(user.pw_dir)
        found = open_home(user)
        stack.callback(os.close, found)
        for name in below:
            path = path / name
            found = open_directory(found, path, user.pw_uid)
            stack.callback(os.close, found)
        yield found
