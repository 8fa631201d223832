"""The environment of a session of the administrator, and the expansion of ``%NAMES%`` in it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

USER = "Administrator"
COMPUTER = "ENDPOINT-WIN"

SESSION = {
    "ALLUSERSPROFILE": r"C:\ProgramData",
    "APPDATA": rf"C:\Users\{USER}\AppData\Roaming",
    "COMPUTERNAME": COMPUTER,
    "CommonProgramFiles": r"C:\Program Files\Common Files",
    "LOCALAPPDATA": rf"C:\Users\{USER}\AppData\Local",
    "PROCESSOR_ARCHITECTURE": "AMD64",
    "PUBLIC": r"C:\Users\Public",
    "ProgramData": r"C:\ProgramData",
    "ProgramFiles": r"C:\Program Files",
    "ProgramFiles(x86)": r"C:\Program Files (x86)",
    "SystemDrive": "C:",
    "SystemRoot": r"C:\Windows",
    "TEMP": rf"C:\Users\{USER}\AppData\Local\Temp",
    "TMP": rf"C:\Users\{USER}\AppData\Local\Temp",
    "USERDOMAIN": COMPUTER,
    "USERNAME": USER,
    "USERPROFILE": rf"C:\Users\{USER}",
    "windir": r"C:\Windows",
}


@dataclass(frozen=True)
class Environment:
    """Variables of a session, found whatever their case, with those that a task adds."""

    added: dict[str, str] = field(default_factory=dict)

    @property
    def variables(self) -> dict[str, str]:
        """All of them, under the names they were set by."""
        return {**SESSION, **self.added}

    def expand(self, text: str) -> str:
        """Replace every ``%NAME%`` that is set; others stay as they are, as on Windows."""
        by_name = {name.upper(): value for name, value in self.variables.items()}
        return re.sub(r"%([^%]+)%", lambda found: by_name.get(found[1].upper(), found[0]), text)
