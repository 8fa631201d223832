"""Programs that run: ``tasklist`` and ``taskkill``, as far as the roles ask them, over the processes of this system.

Wine gives a process the name of its program, and numbers of its own, which nobody here needs: these are this system's.
"""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from windows_lab.environment import COMPUTER, USER
from windows_lab.errors import NotModelledError
from windows_lab.wine import Finished

if TYPE_CHECKING:
    from collections.abc import Iterator

PROC = Path("/proc")
LONGEST_NAME = 15
"""Characters of a process's name that Linux keeps."""
NOT_FOUND = 128
FILTER = "imagename eq "


def tasklist(arguments: list[str]) -> Finished:
    """The programs of one name: ``/v /fo csv /nh /fi "imagename eq NAME"``."""
    if arguments[:-1] != ["/v", "/fo", "csv", "/nh", "/fi"] or not arguments[-1].startswith(FILTER):
        raise NotModelledError(f"tasklist {' '.join(arguments)}")
    image = arguments[-1].removeprefix(FILTER)
    lines = [
        f'"{image}","{number}","Console","1","9,999 K","Running","{user}","0:00:00","N/A"'
        for number, user in _running(image)
    ]
    # As Windows does when there is none, and in its own language.
    said = "\r\n".join(lines) or "INFO: No tasks are running which match the specified criteria."
    return Finished(0, f"{said}\r\n", "")


def taskkill(arguments: list[str]) -> Finished:
    """The end of one program: ``/f /pid NUMBER``."""
    if arguments[:-1] != ["/f", "/pid"] or not arguments[-1].isdigit():
        raise NotModelledError(f"taskkill {' '.join(arguments)}")
    number = arguments[-1]
    try:
        os.kill(int(number), signal.SIGKILL)
    except ProcessLookupError:
        return Finished(NOT_FOUND, "", f'ERROR: The process "{number}" not found.\r\n')
    return Finished(0, f"SUCCESS: The process with PID {number} has been terminated.\r\n", "")


def _running(image: str) -> Iterator[tuple[int, str]]:
    """Number and user; here one user runs everything but services."""
    for entry in sorted(PROC.iterdir()):
        if not entry.name.isdigit():
            continue
        try:
            name = (entry / "comm").read_text(encoding="utf-8", errors="replace").strip()
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        program = re.split(r"[/\\]", line.partition(b"\0")[0].decode(errors="replace"))[-1]
        if image.lower() == program.lower() or image[:LONGEST_NAME].lower() == name.lower():
            yield int(entry.name), r"NT AUTHORITY\SYSTEM" if b"--service" in line else rf"{COMPUTER}\{USER}"
