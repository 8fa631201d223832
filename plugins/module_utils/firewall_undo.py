# SPDX-License-Identifier: MIT
"""Remember what a change of the firewall is about to replace, and put it back.

Runs as a program too, with nothing but Python's own library: a timer starts it when a host that has been changed is not
heard of again. It then stands beside what it remembers (see `MEMORY`).

What the timer has undone stays remembered, and is marked (see `UNDONE`): the run that made the change may be at it yet,
and what it changes afterwards is put back from the same memory.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

DIRECTORY = Path("/run/rustdesk-firewall-undo")
MEMORY = "memory.json"
UNDONE = "undone"
"""Stands beside the memory as soon as the timer puts things back."""
SECONDS = 120
"""How long a command may take."""

Entry = dict[str, Any]


def remember_file(path: Path) -> Entry:
    """Return what stands at a path: nothing, a link, or a file with its content, owner and mode."""
    if path.is_symlink():
        return {"kind": "link", "target": str(path.readlink())}
    if not path.exists():
        return {"kind": "absent"}
    status = path.stat()
    return {
        "kind": "file",
        "content": base64.b64encode(path.read_bytes()).decode("ascii"),
        "mode": status.st_mode & 0o7777,
        "owner": [status.st_uid, status.st_gid],
    }


def restore_file(path: Path, entry: Entry) -> None:
    """Put back what stood at a path; a file never shows half written."""
    if entry["kind"] == "absent":
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.undo")
    new.unlink(missing_ok=True)
    if entry["kind"] == "link":
        new.symlink_to(entry["target"])
    else:
        new.touch(mode=0o600)
        new.write_bytes(base64.b64decode(entry["content"]))
        os.chown(new, *entry["owner"])
        new.chmod(entry["mode"])
    new.replace(path)


def remember(paths: list[Path], before: list[list[str]], commands: list[list[str]]) -> None:
    """Write down the files, and the commands that make the host use them again.

    Args:
        paths: every file that may change.
        before: what is run while the changed files are still there. It may fail: there may be nothing to stop.
        commands: what is run once the files are back.
    """
    files = {str(path): remember_file(path) for path in paths}
    memory = {"files": files, "before": before, "commands": commands}
    file = DIRECTORY / MEMORY
    file.touch(mode=0o600)
    file.write_text(json.dumps(memory), encoding="utf-8")


def is_remembered() -> bool:
    """Tell whether there is something to put back."""
    return (DIRECTORY / MEMORY).exists()


def is_undone() -> bool:
    """Tell whether the timer has begun to put things back."""
    return (DIRECTORY / UNDONE).exists()


def run(command: list[str]) -> str:
    """Run a command, wait for its end, and return a sentence when it failed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{' '.join(command)} did not end: {error}"
    said = (done.stderr or done.stdout).strip()
    return f"{' '.join(command)} ended with status {done.returncode}: {said}" if done.returncode else ""


def restore() -> list[str]:
    """Put everything back; it stays remembered, as who made the change may not have come to its end.

    Returns:
        A sentence for each command that failed.

    Raises:
        OSError: a file cannot be written.
    """
    memory = json.loads((DIRECTORY / MEMORY).read_text(encoding="utf-8"))
    for command in memory["before"]:
        run(command)
    for path, entry in memory["files"].items():
        restore_file(Path(path), entry)
    return [said for said in map(run, memory["commands"]) if said]


def forget() -> None:
    """Remove what is remembered."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)


def main() -> int:
    """Put everything back; exit status 1 and a sentence for each thing that could not be."""
    if not is_remembered():
        print("there is nothing to undo")
        return 0
    try:
        (DIRECTORY / UNDONE).touch(mode=0o600)
        failed = restore()
    except OSError as error:
        failed = [str(error)]
    print("\n".join(failed) or "the change of the firewall is undone")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
