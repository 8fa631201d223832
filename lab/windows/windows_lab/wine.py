"""Programs under Wine, and the questions that only Wine can answer."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from windows_lab.errors import NotModelledError, Refused

if TYPE_CHECKING:
    from windows_lab.drive import Item

WINE = "/usr/local/bin/wine"
TOOL = "/usr/local/lib/windows-lab/labtool.exe"
RUN_SECONDS = 120
FILE_NOT_FOUND, ACCESS_DENIED, SHARING_VIOLATION = 2, 5, 32
SERVICE_ERRORS = {1053: "The service did not respond to the start or control request in a timely fashion."}


@dataclass(frozen=True)
class Finished:
    """A program's exit status and what it wrote, decoded from UTF-8."""

    status: int
    stdout: str
    stderr: str


class ToolError(Exception):
    """Windows' error code, as the tool reports it."""

    def __init__(self, code: int) -> None:
        super().__init__(f"Windows error {code}")
        self.code = code


def run(
    *command: str, stdin: str | None = None, cwd: Path | None = None, added: dict[str, str] | None = None
) -> Finished:
    """Run a Windows program and wait for its end.

    Raises NotModelledError when it does not end within two minutes, as nothing here takes so long.
    """
    try:
        done = subprocess.run(  # noqa: S603
            [WINE, *command],
            input=None if stdin is None else stdin.encode(),
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            cwd=cwd,
            env={**os.environ, **(added or {})},
            timeout=RUN_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotModelledError(f"a program that runs for more than {RUN_SECONDS} s: {command[0]}") from None
    return Finished(done.returncode, *(text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)))


def ask(*question: str) -> Any:
    """Ask the tool. Raises ToolError with Windows' code when it was refused."""
    done = run(TOOL, *question)
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        raise NotModelledError(f"an answer of its own tool: {done.stdout}{done.stderr}") from None
    if done.status:
        raise ToolError(answer["error"])
    return answer


def is_open(item: Item) -> bool:
    """Whether any process has this file open; Wine's server keeps open files as open files of its own."""
    wanted = item.unix.stat()
    for descriptor in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            found = descriptor.stat()
        except OSError:
            continue
        if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
            return True
    return False


def assert_may(wish: str, item: Item) -> None:
    """See to it that a file may be opened to ``read``, ``write`` or ``delete`` beside those who have it open.

    Raises Refused with Windows' sentence. Wine decides, and is asked only when somebody has the file open.
    """
    if not item.is_file or not (is_open(item) or item.extension.lower() in {".exe", ".dll"}):
        return
    try:
        ask("sharing", wish, item.path)
    except ToolError as error:
        if error.code == SHARING_VIOLATION:
            msg = f"The process cannot access the file '{item.path}' because it is being used by another process."
            raise Refused(msg) from None
        if error.code == ACCESS_DENIED:
            msg = f"Access to the path '{item.path}' is denied."
            raise Refused(msg) from None
        raise
