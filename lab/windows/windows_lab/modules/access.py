"""``win_acl``: explicit entries are remembered, and nothing enforces them. Files and folders only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from windows_lab.accounts import sid
from windows_lab.errors import NotModelledError, Refused

if TYPE_CHECKING:
    from windows_lab.call import Call, Result

RIGHTS = {
    "AppendData", "ChangePermissions", "CreateDirectories", "CreateFiles", "Delete", "DeleteSubdirectoriesAndFiles",
    "ExecuteFile", "FullControl", "ListDirectory", "Modify", "Read", "ReadAndExecute", "ReadAttributes", "ReadData",
    "ReadExtendedAttributes", "ReadPermissions", "Synchronize", "TakeOwnership", "Traverse", "Write", "WriteAttributes",
    "WriteData", "WriteExtendedAttributes",
}  # fmt: skip
INHERIT_ALL = "ContainerInherit, ObjectInherit"


def win_acl(call: Call) -> Result:
    """An entry of an access list, present or absent."""
    call.refuse_unmodelled("path", "user", "rights", "type", "state", "inherit", "propagation")
    path: str = call["path"]
    if path.upper().startswith("HK") or path.upper().startswith("CERT"):
        raise NotModelledError("access lists of registry keys and certificates")
    item = call.machine.drive.item(path)
    if not item.exists:
        msg = f"{path} file or directory does not exist on the host"
        raise Refused(msg)
    who = sid(call["user"])
    if who is None:
        reason = "Some or all identity references could not be translated."
        msg = f"account_name {call['user']} is not a valid account, cannot get SID: {reason}"
        raise Refused(msg)
    entry = [
        who,
        _rights(call),
        call["type"],
        "None" if item.is_file else call["inherit"] or INHERIT_ALL,
        call["propagation"],
    ]
    lists = call.machine.recall("acl") or {}
    entries = lists.setdefault(item.path.lower(), [])
    if call["state"] == "present" and entry not in entries:
        entries.append(entry)
    elif call["state"] == "absent" and entry in entries:
        entries.remove(entry)
    else:
        return {"msg": f"the specified rule {'already exists' if entry in entries else 'does not exist'}"}
    call.machine.remember("acl", lists)
    return {"changed": True}


def _rights(call: Call) -> str:
    known = {right.lower(): right for right in RIGHTS}
    names = [name.strip() for name in call["rights"].split(",")]
    for name in names:
        if name.lower() not in known:
            msg = (
                f"an error occurred when attempting to {call['state']} {call['rights']} permission(s) on {call['path']}"
                f' for {call["user"]} - Cannot convert value "{call["rights"]}" to type'
                ' "System.Security.AccessControl.FileSystemRights" due to enumeration values that are not valid.'
            )
            raise Refused(msg)
    return ", ".join(sorted(known[name.lower()] for name in names))
