# SPDX-License-Identifier: MIT
"""Bring what the modules for Windows return into the form of rustdesk_client_info, so that the rest is the same.

Runs on the controller.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from typing import Any

from ansible.module_utils.client_plan import RECORD, RESTART, SETTINGS_FILES

SERVICE_ROAMING = "C:\\Windows\\ServiceProfiles\\LocalService\\AppData\\Roaming"
"""Where the service, which runs as LocalSystem, keeps its settings (hbb_common src/config.rs, patch)."""

NOBODY = ("all users", "default", "default user", "public")
"""Folders beside the profiles that are nobody's."""

SERVICE = "RustDesk service"
"""Name of the service's profile in messages."""

PROGRAM = "rustdesk.exe"
USER_COLUMN = 6
"""Of what tasklist prints; titles of columns, where it prints any, are in Windows' language."""

ATTRIBUTES = {
    "isreadonly": "is read-only, so somebody wants it to stay as it is",
    "ishidden": "is hidden, and writing it would end that for good",
}
"""What win_copy takes off a file that it writes, so that nobody could put it back."""

_SPELLINGS = {name.lower(): name for name in (*SETTINGS_FILES, RECORD, RESTART)}
"""Names of files as the role has them, by what Windows takes for the same name."""

Result = Mapping[str, Any]


def folders(found: Result) -> list[dict[str, str]]:
    """Return name and path of every profile's folder in what win_find found in the directory of profiles."""
    entries = [{"name": str(entry["filename"]), "path": str(entry["path"])} for entry in found["files"]]
    return sorted((entry for entry in entries if entry["name"].lower() not in NOBODY), key=lambda entry: entry["name"])


def no_links(found: Sequence[Result]) -> list[Result]:
    """Return what is neither a link nor a junction among what win_find found: whoever made one says where it leads."""
    return [entry for entry in found if not _is_link(entry)]


def _is_link(entry: Result) -> bool:
    return bool(entry.get("islnk") or entry.get("isjunction"))


def settings_files(found: Sequence[Result], names: list[str]) -> list[str]:
    """Return the paths of the files of settings among what win_find found."""
    paths = [str(entry["path"]) for entry in no_links(found)]
    wanted = {name.lower() for name in names}
    return sorted(
        path for path in paths if _parent(path).lower().endswith("\\rustdesk\\config") and _name(path).lower() in wanted
    )


def host(results: Mapping[str, Any], users: list[str], discover: bool, portable: bool) -> dict[str, Any]:  # noqa: FBT001
    """Return a host as rustdesk_client_info does.

    Args:
        results: what the modules returned: `service` (win_service_info), `package` (win_reg_stat), `folders` (as
            returned by `folders`), `directories` and `files` (lists of win_find's, in the settings' directories),
            `contents` (slurp, in a loop over files), `answers` (win_command, in a loop over options) and `programs`
            (what tasklist printed).
        users: names of the users that are asked for.
        discover: whether everybody with a profile is meant when nobody is named.
        portable: whether the service's profile is left out.
    """
    known = {entry["name"].lower(): entry for entry in results["folders"]}
    wanted = [known[name.lower()] for name in users if name.lower() in known]
    if not users and discover:
        wanted = results["folders"]
    profiles = [] if portable else [_profile(SERVICE, "service", SERVICE_ROAMING, results)]
    profiles += [_profile(entry["name"], "user", f"{entry['path']}\\AppData\\Roaming", results) for entry in wanted]
    services = results["service"].get("services", [])
    package = results["package"].get("properties", {}) if results["package"].get("exists") else {}
    return {
        "machine": "x86_64",
        "dpkg": False,
        "package": str(package.get("DisplayVersion", {}).get("value", "installed")) if package else "",
        "package_unfinished": False,
        "program": _program(package),
        "nft": False,
        "systemd": False,
        "service": {
            "exists": bool(services),
            "active": bool(services) and services[0].get("state") in ("started", "start_pending"),
            "enabled": bool(services) and services[0].get("start_mode") in ("auto", "delayed"),
        },
        "programs": _programs(str(results["programs"]), [entry["name"] for entry in results["folders"]]),
        "options": {
            str(answer["__rustdesk_client_item"]): str(answer.get("stdout", "")).strip()
            for answer in results["answers"]
        },
        "unknown_users": sorted(name for name in users if name.lower() not in known),
        "qos_current": False,
        "existing_paths": [],
        "profiles": profiles,
    }


def _programs(listed: str, folders: list[str]) -> list[dict[str, Any]]:
    """Return the client's programs that users have open; those of the service are nobody's who has a profile.

    Args:
        listed: what `tasklist /v /fo csv /nh` printed: a line for each program, or a sentence when there is none.
        folders: names of the profiles.
    """
    found = []
    for row in csv.reader(listed.splitlines()):
        if len(row) > USER_COLUMN and row[0].lower() == PROGRAM and row[1].isdigit():
            folder = _folder_of(row[USER_COLUMN], folders)
            if folder:
                found.append({"pid": int(row[1]), "user": folder})
    return found


def _folder_of(account: str, folders: list[str]) -> str:
    r"""Return the profile of DOMAIN\user, "" for none; a second one of a name ends otherwise, as in anna.PC."""
    name = account.rpartition("\\")[2].lower()
    return next((folder for folder in folders if folder.lower() == name or folder.lower().startswith(f"{name}.")), "")


def _program(package: Mapping[str, Any]) -> str:
    directory = str(package.get("InstallLocation", {}).get("value", "")).strip('"').rstrip("\\")
    return f"{directory}\\rustdesk.exe" if directory else ""


def _same(left: str, right: str) -> bool:
    return left.rstrip("\\").lower() == right.rstrip("\\").lower()


def _parent(path: str) -> str:
    return path.rpartition("\\")[0]


def _name(path: str) -> str:
    return path.rpartition("\\")[2]


def _spelling(path: str) -> str:
    """Return the name of a file as the role has it: to Windows rustdesk2.toml is the same file as RustDesk2.toml."""
    return _SPELLINGS.get(_name(path).lower(), _name(path))


def _profile(name: str, kind: str, roaming: str, results: Mapping[str, Any]) -> dict[str, Any]:
    above, directory = f"{roaming}\\RustDesk", f"{roaming}\\RustDesk\\config"
    entries = [str(entry["path"]) for part in ("directories", "files") for entry in results[part]]

    def inside(parent: str) -> list[str]:
        return sorted(_spelling(path) for path in entries if _same(_parent(path), parent))

    missing = [path for path in (above, directory) if not any(_same(path, entry) for entry in entries)]
    contents: dict[str, dict[str, str]] = {
        _spelling(str(read["__rustdesk_client_item"])): {
            "path": str(read["__rustdesk_client_item"]),
            "content": str(read["content"]),
            "owner": "",
            "group": "",
            "mode": "",
        }
        for read in results["contents"]
        if "content" in read and _same(_parent(str(read["__rustdesk_client_item"])), directory)
    }
    link = _link(directory, [*results["directories"], *results["files"]])
    return {
        "name": name,
        "kind": kind,
        "directory": directory,
        "group": "",
        "missing": missing,
        "above": {above: inside(above)},
        "names": inside(directory),
        "fault": link or _fault(directory, results["files"], sorted(contents)),
        # Behind a link nobody has looked.
        "recorded": RECORD in inside(directory) or (bool(link) and not inside(directory)),
        "files": contents,
    }


def _link(directory: str, found: Sequence[Result]) -> str:
    """Say which link, or junction, settings would be written through; "" when there is none."""
    through = [_parent(directory), directory, *(f"{directory}\\{name}" for name in (*SETTINGS_FILES, RECORD))]
    for entry in found:
        path = str(entry["path"])
        if _is_link(entry) and any(_same(path, part) for part in through):
            return f"{path} is a link, and settings are written through none; replace it with what it leads to"
    return ""


def _fault(directory: str, files: Sequence[Result], names: list[str]) -> str:
    """Say why settings must not be written: they have an attribute that would be lost."""
    for entry in files:
        path = str(entry["path"])
        if _same(_parent(path), directory) and _spelling(path) in names:
            for attribute, reason in ATTRIBUTES.items():
                if entry.get(attribute):
                    return f"{path} {reason}; take the attribute off"
    return ""
