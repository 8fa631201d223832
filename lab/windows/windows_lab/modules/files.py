"""Files and folders: ``slurp``, ``win_stat``, ``win_file``, ``win_find`` and the target's half of ``win_copy``."""

from __future__ import annotations

import base64
import fnmatch
import re
import time
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from windows_lab import wine
from windows_lab.errors import NotModelledError, Refused, Unhandled

if TYPE_CHECKING:
    from collections.abc import Iterator

    from windows_lab.call import Call, Machine, Result
    from windows_lab.drive import Drive, Item

OWNER = r"BUILTIN\Administrators"
PREPARED = "prepared"
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}
BYTES = {"b": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
SIGNED_WITH_UNIT = re.compile(r"^(-?\d+)([a-z])?$", re.IGNORECASE)


def remove_tree(item: Item) -> None:
    """Remove a file or a folder with all that is in it. Raises Refused when somebody has a file of it open."""
    if item.is_folder and not item.unix.is_symlink():
        for child in sorted(item.unix.iterdir()):
            remove_tree(replace(item, path=f"{item.path}\\{child.name}", unix=child))
        item.unix.rmdir()
    elif item.exists:
        wine.assert_may("delete", item)
        item.unix.unlink()


def write(machine: Machine, item: Item, content: bytes, modified: float | None = None) -> None:
    """Write a file as ``Copy-Item -Force`` does: a read-only one is written too, and is not read-only any more.

    Raises Refused when somebody has it open, and when its folder does not exist.
    """
    if not machine.drive.parent(item).is_folder:
        msg = f"Could not find a part of the path '{item.path}'."
        raise Refused(msg)
    if item.exists:
        wine.assert_may("write", item)
        item.make_writable()
    item.unix.write_bytes(content)
    if modified is not None:
        _touch(item, modified)


def _touch(item: Item, modified: float) -> None:
    import os  # noqa: PLC0415  # only here

    os.utime(item.unix, (modified, modified))


def describe(item: Item, algorithm: str | None) -> dict[str, Any]:
    """What ``win_stat`` and ``win_find`` tell alike."""
    stat = item.unix.stat()
    about: dict[str, Any] = {
        "exists": True,
        "attributes": item.attributes,
        "creationtime": stat.st_mtime,
        "filename": item.name,
        "hlnk_targets": [],
        "isarchive": item.is_file,
        "isdir": item.is_folder,
        "ishidden": item.hidden,
        "isjunction": False,
        "islnk": False,
        "isreadonly": item.read_only,
        "isreg": item.is_file,
        "isshared": False,
        "lastaccesstime": stat.st_atime,
        "lastwritetime": stat.st_mtime,
        "nlink": 1,
        "owner": OWNER,
        "path": item.path,
    }
    if item.is_file:
        about["extension"] = item.extension
        if algorithm:
            wine.assert_may("read", item)
            about["checksum"] = item.checksum(algorithm)
    return about


def slurp(call: Call) -> Result:
    """A file's content."""
    item = call.legacy_path("src")
    if item.is_folder:
        msg = f"Path {item.path} is a directory"
        raise Refused(msg)
    if not item.exists:
        msg = f"Path {item.path} is not found"
        raise Refused(msg)
    _guarded("read", item)
    return {"content": base64.b64encode(item.unix.read_bytes()).decode(), "encoding": "base64"}


def _guarded(wish: str, item: Item) -> None:
    try:
        wine.assert_may(wish, item)
    except Refused as error:
        raise Unhandled(str(error)) from None


def win_stat(call: Call) -> Result:
    """What there is at a path."""
    item = call.path("path")
    if not item.exists:
        return {"stat": {"exists": False}}
    try:
        about = describe(item, call["checksum_algorithm"] if call["get_checksum"] else None)
    except Refused as error:
        msg = f"Failed to get hash of file, set get_checksum to False to ignore this error: {error}"
        raise Refused(msg) from None
    if call["get_size"]:
        about["size"] = item.size
    return {"stat": about}


def win_file(call: Call) -> Result:
    """Folders made, files and folders removed, files touched."""
    item, state = call.legacy_path("path"), call["state"]
    if item.is_folder and call["_original_basename"]:
        item = call.machine.drive.child(item, call["_original_basename"])
    changed = False
    if state == "touch":
        changed = True
        if not call.check:
            _touch_or_create(call.machine, item)
    if item.exists:
        if state == "absent":
            _remove(item, check=call.check)
            return {"changed": True}
        if (state == "directory" and not item.is_folder) or (state == "file" and item.is_folder):
            msg = f"path {item.path} is not a {state}"
            raise Refused(msg)
    elif state == "directory":
        if not call.check:
            _make_folder(call.machine.drive, item)
        return {"changed": True}
    elif state in {"file", None}:
        msg = f"path {item.path} will not be created"
        raise Refused(msg)
    return {"changed": changed}


def _touch_or_create(machine: Machine, item: Item) -> None:
    try:
        if item.exists:
            _touch(item, time.time())
        else:
            write(machine, item, b"")
    except Refused as error:
        raise Unhandled(str(error)) from None


def _remove(item: Item, *, check: bool) -> None:
    try:
        if not check:
            remove_tree(item)
    except Refused as error:
        msg = f"Failed to delete {item.path}: Cannot remove item {item.path}: {error}"
        raise Refused(msg) from None


def _make_folder(drive: Drive, item: Item) -> None:
    above = drive.parent(item)
    if above.is_file:
        msg = f"Could not find a part of the path '{item.path}'."
        raise Refused(msg)
    item.unix.mkdir(parents=True)


def win_find(call: Call) -> Result:
    """Files and folders by name, age and size. As in the real one, no variables in ``paths`` are expanded."""
    call.refuse_unmodelled(
        "paths", "age", "age_stamp", "file_type", "hidden", "patterns", "recurse", "size", "use_regex",
        "get_checksum", "checksum_algorithm", "depth", "case_sensitive", "follow",
    )  # fmt: skip
    if call["age_stamp"] != "mtime":
        raise NotModelledError("any time of a file but its last change")
    warnings: list[str] = []
    found: dict[str, Item] = {}
    examined = 0
    for path in call["paths"]:
        folder = call.machine.drive.item(path)
        if not folder.exists:
            warnings.append(f"Argument path '{path}' does not exist or is not accessible, skipping")
        elif not folder.is_folder:
            warnings.append(f"Argument path '{path}' is a file not a directory, skipping")
        else:
            for item in _walk(call.machine.drive, folder, call["recurse"], call["depth"] or 0):
                examined += 1
                if _fits(call, item):
                    found.setdefault(item.path.lower(), item)
    files = [_found(call, item) for item in sorted(found.values(), key=lambda one: one.path.lower())]
    result: Result = {"examined": examined, "matched": len(files), "files": files}
    return {**result, "warnings": warnings} if warnings else result


def _walk(drive: Drive, folder: Item, recurse: bool, depth: int) -> Iterator[Item]:  # noqa: FBT001  # the module's own pair
    for item in drive.children(folder):
        if item.is_folder and recurse and depth != 1:
            yield from _walk(drive, item, recurse, depth - 1)
        yield item


def _fits(call: Call, item: Item) -> bool:
    kind = call["file_type"]
    if kind != "any" and item.is_folder != (kind == "directory"):
        return False
    if item.hidden and not call["hidden"]:
        return False
    if call["patterns"] is not None and not any(_named(call, item.name, pattern) for pattern in call["patterns"]):
        return False
    if call["size"] is not None:
        size = _with_unit(call["size"], BYTES, "b", "Invalid size pattern specified")
        if item.is_folder or (item.size < size if size >= 0 else item.size > -size):
            return False
    if call["age"] is not None:
        age = _with_unit(call["age"], SECONDS, "s", "Invalid age pattern specified")
        since = time.time() - item.unix.stat().st_mtime
        if since < age if age >= 0 else since > -age:
            return False
    return True


def _named(call: Call, name: str, pattern: str) -> bool:
    if call["use_regex"]:
        return re.search(pattern, name, 0 if call["case_sensitive"] else re.IGNORECASE) is not None
    return fnmatch.fnmatchcase(name.lower(), pattern.lower())


def _with_unit(text: str, units: dict[str, int], default: str, fault: str) -> int:
    found = SIGNED_WITH_UNIT.match(text)
    if not found or (found[2] or default).lower() not in units:
        raise Refused(fault)
    return int(found[1]) * units[(found[2] or default).lower()]


def _found(call: Call, item: Item) -> dict[str, Any]:
    try:
        about = describe(item, call["checksum_algorithm"] if call["get_checksum"] else None)
    except Refused:
        about = describe(item, None)
    empty = {
        "checksum": None,
        "extension": None,
        "lnk_source": None,
        "lnk_target": None,
        "sharename": None,
        "size": None,
    }
    return {**empty, **about, **({"size": item.size} if item.is_file else {})}


# --- win_copy --------------------------------------------------------------------------------------------------------


def win_copy(call: Call) -> Result:
    """The part that runs on the target: the action plugin asks what is missing, sends it, and has it put in place."""
    mode = call["_copy_mode"]
    if mode == "query":
        return _query(call)
    if call["backup"]:
        raise NotModelledError("the option backup of ansible.windows.win_copy")
    try:
        if mode == "single":
            return _single(call)
        if mode == "explode":
            return _explode(call)
    except Refused as error:
        raise error if isinstance(error, Unhandled) else Unhandled(str(error)) from None
    raise NotModelledError("the option remote_src of ansible.windows.win_copy")


def _query(call: Call) -> Result:
    drive, dest = call.machine.drive, call.legacy_path("dest")
    files = []
    for file in call["files"] or []:
        item = drive.child(dest, file["dest"])
        name = file["dest"]
        if item.is_folder:
            name = f"{name}\\{file['src'].rsplit('/', 1)[-1]}"
            item = drive.child(dest, name)
        if item.is_file:
            if not call["force"] or _checksum(item) == file["checksum"]:
                continue
        elif drive.parent(item).is_file:
            msg = f"cannot copy file to dest '{item.path}': object at parent directory path is already a file"
            raise Refused(msg)
        files.append({**file, "dest": name})
    directories = []
    for folder in call["directories"] or []:
        item = drive.child(dest, folder["dest"])
        if item.is_file:
            msg = f"cannot copy folder to dest '{item.path}': object at path is already a file"
            raise Refused(msg)
        if not item.is_folder:
            directories.append(folder)
    return {"files": files, "directories": directories, "symlinks": []}


def _checksum(item: Item) -> str:
    _guarded("read", item)
    return item.checksum()


def _single(call: Call) -> Result:
    source, dest = call.legacy_path("src"), call.legacy_path("dest")
    if not source.is_file:
        msg = f"Cannot copy src file: '{source.path}' as it does not exist"
        raise Refused(msg)
    folder_meant = call["dest"].endswith(("/", "\\")) or dest.is_folder
    item = call.machine.drive.child(dest, call["_original_basename"]) if folder_meant else dest
    above = call.machine.drive.parent(item)
    if above.is_file:
        msg = f"object at destination parent dir '{above.path}' is currently a file"
        raise Refused(msg)
    if not above.is_folder:
        if not folder_meant:
            msg = f"Destination directory '{above.path}' does not exist"
            raise Refused(msg)
        above.unix.mkdir(parents=True)
    write(call.machine, item, source.unix.read_bytes(), source.unix.stat().st_mtime)
    return {"changed": True}


def _explode(call: Call) -> Result:
    source, dest = call.legacy_path("src"), call.legacy_path("dest")
    with zipfile.ZipFile(source.unix) as archive:
        for entry in archive.infolist():
            name = base64.b64decode(entry.filename.rstrip("/\\")).decode()
            item = call.machine.drive.child(dest, name.replace("/", "\\"))
            folder = item if entry.is_dir() else call.machine.drive.parent(item)
            folder.unix.mkdir(parents=True, exist_ok=True)
            if not entry.is_dir():
                write(call.machine, item, archive.read(entry))
    return {"changed": True}
