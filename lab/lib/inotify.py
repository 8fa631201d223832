"""How many inotify instances the kernel allows this computer's users: systemd takes some in every machine."""

from __future__ import annotations

from pathlib import Path

SETTING = Path("/proc/sys/fs/inotify/max_user_instances")
EACH = 4
"""What a machine takes of them: systemd three, systemd-logind one."""
OTHERS = 32
"""What is left for the programs of this computer."""


def allow(machines: int, setting: Path = SETTING) -> int:
    """Let so many machines run at all; return the new limit where it was too low, 0 where it is as it was.

    It stays as it was for a user who may not change it, too: what others take is not known, so it may still do.
    """
    limit, needed = int(setting.read_text(encoding="ascii")), machines * EACH + OTHERS
    if needed <= limit:
        return 0
    try:
        setting.write_text(str(needed), encoding="ascii")
    except OSError:
        return 0
    return needed
