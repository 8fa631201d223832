"""Accounts of the machine: those that every Windows has, and its users."""

from __future__ import annotations

from windows_lab.environment import COMPUTER

MACHINE_SID = "S-1-5-21-1085031214-1563985344-725345543"

# By the name that Windows gives back, and its security identifier.
ACCOUNTS = {
    "Everyone": "S-1-1-0",
    r"NT AUTHORITY\SYSTEM": "S-1-5-18",
    r"NT AUTHORITY\LOCAL SERVICE": "S-1-5-19",
    r"NT AUTHORITY\NETWORK SERVICE": "S-1-5-20",
    r"NT AUTHORITY\Authenticated Users": "S-1-5-11",
    r"BUILTIN\Administrators": "S-1-5-32-544",
    r"BUILTIN\Users": "S-1-5-32-545",
    rf"{COMPUTER}\Administrator": f"{MACHINE_SID}-500",
    rf"{COMPUTER}\Jörg Müller": f"{MACHINE_SID}-1001",
    rf"{COMPUTER}\anna": f"{MACHINE_SID}-1002",
}


def sid(name: str) -> str | None:
    """The identifier of an account by its full or short name, or by itself; None when there is no such account."""
    wanted = name.removeprefix(".\\").lower()
    for full, identifier in ACCOUNTS.items():
        if wanted in {full.lower(), full.rsplit("\\", 1)[-1].lower(), identifier.lower()}:
            return identifier
    return None
