"""What the person at the terminal sees while stages run: their output, and a sign of life when there is none."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[2]
SILENCE = 15.0


class Console:
    """Output of several threads on one stream, and a sign of life after ``silence`` seconds without any."""

    def __init__(self, stream: TextIO | None = None, silence: float = SILENCE) -> None:
        self._stream = stream or sys.stdout
        self._silence = silence
        self._lock = threading.Lock()
        self._last = time.monotonic()
        self._running: dict[str, float] = {}
        self._over = threading.Event()

    def write(self, text: str) -> None:
        """Print text as it is."""
        with self._lock:
            self._stream.write(text)
            self._stream.flush()
            self._last = time.monotonic()

    def say(self, line: str) -> None:
        """Print one line of our own."""
        self.write(f"==> {line}\n")

    @contextmanager
    def doing(self, name: str) -> Iterator[None]:
        """While the block runs, ``name`` is what signs of life are about."""
        self._running[name] = time.monotonic()
        try:
            yield
        finally:
            del self._running[name]

    @contextmanager
    def alive(self) -> Iterator[None]:
        """While the block runs, no silence is longer than agreed."""
        ticker = threading.Thread(target=self._tick, daemon=True)
        ticker.start()
        try:
            yield
        finally:
            self._over.set()
            ticker.join()

    def _tick(self) -> None:
        while not self._over.wait(min(1.0, self._silence / 2)):
            now = time.monotonic()
            if now - self._last >= self._silence and self._running:
                stages = ", ".join(f"{name} ({now - since:.0f} s)" for name, since in list(self._running.items()))
                self.say(f"still working: {stages}")


def tool_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a tool: the venv's programs first, colour only where somebody looks at it."""
    environment = {**os.environ, **(extra or {})}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment.get('PATH', os.defpath)}"
    environment.setdefault("PYTHONUNBUFFERED", "1")
    if sys.stdout.isatty() and not environment.get("NO_COLOR"):
        environment |= {"FORCE_COLOR": "1", "ANSIBLE_FORCE_COLOR": "1"}
    else:
        environment |= {"NO_COLOR": "1", "ANSIBLE_NOCOLOR": "1", "PY_COLORS": "0"}
        environment.pop("ANSIBLE_FORCE_COLOR", None)
        environment.pop("FORCE_COLOR", None)
    return environment


def run(
    command: Sequence[str],
    console: Console | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    label: str = "",
) -> tuple[int, str]:
    """Run a command at the repository's root; returns its exit status and everything it wrote.

    With a console its lines appear there as they come, each after the label.
    """
    process = subprocess.Popen(  # noqa: S603
        list(command),
        cwd=ROOT,
        env=tool_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
    )
    lines: list[str] = []
    with process:
        for line in process.stdout or ():
            lines.append(line)
            if console:
                console.write(label + line)
    return process.returncode, "".join(lines)
