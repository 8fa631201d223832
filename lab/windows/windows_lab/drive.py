"""Drive C: by Windows' rules, on the directory of a Wine prefix."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from typing import TYPE_CHECKING

from windows_lab.errors import IllegalPathError, NotModelledError, Refused

if TYPE_CHECKING:
    from pathlib import Path

ILLEGAL = re.compile(r'[<>:"|?*\x00-\x1f]')
DEVICES = re.compile(r"(?i)^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$")
DRIVE = re.compile(r"^(?P<letter>[A-Za-z]):(?P<rest>\\.*)?$")
HIDDEN, SYSTEM = 2, 4
DOS_ATTRIBUTES = "user.DOSATTRIB"


def parts_of(path: str) -> list[str]:
    """The components below the drive of an absolute path, with ``.`` and ``..`` taken out.

    Raises Refused as Windows refuses a path that cannot be, NotModelledError for shares and relative paths.
    """
    normal = path.replace("/", "\\")
    drive = DRIVE.match(normal)
    if not drive:
        raise NotModelledError(f"the path {path!r}, which is no absolute path on a drive")
    if drive["letter"].upper() != "C":
        msg = f"Cannot find drive. A drive with the name '{drive['letter']}' does not exist."
        raise Refused(msg)
    parts: list[str] = []
    for part in (drive["rest"] or "").split("\\"):
        if ILLEGAL.search(part):
            msg = f"The filename, directory name, or volume label syntax is incorrect: '{path}'"
            raise IllegalPathError(msg)
        if DEVICES.match(part):
            raise NotModelledError(f"the device name in {path!r}")
        if part == "..":
            del parts[-1:]
        elif name := part.rstrip(" ."):
            parts.append(name)
    return parts


@dataclass(frozen=True)
class Item:
    """A file or folder under the path that was asked for; there is one or there is none."""

    path: str
    unix: Path

    @property
    def exists(self) -> bool:
        """Whether it is there."""
        return self.unix.exists()

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.unix.is_dir()

    @property
    def is_file(self) -> bool:
        """Whether it is a file. Links, which Wine's own files are, count as what they point to."""
        return self.unix.is_file()

    @property
    def name(self) -> str:
        """Last component of the path."""
        return self.path.rstrip("\\").rsplit("\\", 1)[-1]

    @property
    def extension(self) -> str:
        """With its dot; empty when there is none."""
        return f".{self.name.rsplit('.', 1)[1]}" if "." in self.name else ""

    @property
    def read_only(self) -> bool:
        """Wine keeps this attribute as the absence of write permission."""
        return self.is_file and not self.unix.stat().st_mode & stat.S_IWUSR

    @property
    def hidden(self) -> bool:
        """Wine keeps this attribute beside the file, in the form Samba gave it."""
        try:
            return bool(int(os.getxattr(self.unix, DOS_ATTRIBUTES), 16) & HIDDEN)
        except (OSError, ValueError):
            return False

    @property
    def attributes(self) -> str:
        """As .NET writes them."""
        flags = [("ReadOnly", self.read_only), ("Hidden", self.hidden)]
        flags += [("Directory", self.is_folder), ("Archive", self.is_file)]
        return ", ".join(name for name, is_set in flags if is_set)

    @property
    def size(self) -> int:
        """Bytes of a file; of a folder, those of all files below it."""
        if self.is_file:
            return self.unix.stat().st_size
        return sum(file.stat().st_size for file in self.unix.rglob("*") if file.is_file())

    def checksum(self, algorithm: str = "sha1") -> str:
        """Hex digest of a file's content."""
        return hashlib.new(algorithm, self.unix.read_bytes()).hexdigest()

    def make_writable(self) -> None:
        """Take the read-only and the hidden attribute away."""
        self.unix.chmod(self.unix.stat().st_mode | stat.S_IWUSR)
        if self.hidden:
            os.removexattr(self.unix, DOS_ATTRIBUTES)


@dataclass(frozen=True)
class Drive:
    """The one drive there is, at a directory of this system."""

    root: Path

    def item(self, path: str) -> Item:
        """What stands at an absolute Windows path: names are found whatever their case.

        Raises Refused and NotModelledError as parts_of does.
        """
        parts = parts_of(path)
        unix = self.root
        for part in parts:
            unix /= self._name_in(unix, part)
        return Item("C:\\" + "\\".join(parts) if parts else "C:\\", unix)

    def child(self, folder: Item, name: str) -> Item:
        """A component below a folder."""
        return self.item(f"{folder.path}\\{name}")

    def parent(self, item: Item) -> Item:
        """The folder a path is in."""
        return self.item(item.path.rsplit("\\", 1)[0] + "\\")

    def children(self, folder: Item) -> list[Item]:
        """What a folder holds, by the names that are stored."""
        base = folder.path.rstrip("\\")
        return [Item(f"{base}\\{entry.name}", entry) for entry in sorted(folder.unix.iterdir())]

    @staticmethod
    def _name_in(folder: Path, name: str) -> str:
        if (folder / name).exists():
            return name
        try:
            names = [entry.name for entry in folder.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return name
        return next((known for known in names if known.upper() == name.upper()), name)
