"""Run the Go tools over the launchers' source, as the module that builds them does."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from ansible.module_utils.launcher_build import find_go

ROOT = Path(__file__).resolve().parents[3]
SOURCE = ROOT / "launcher"
CACHE = ROOT / ".cache" / "go"
SECONDS = 300

OFFLINE = {
    "CGO_ENABLED": "0",
    "GOCACHE": str(CACHE),
    "GOENV": "off",
    # As the module builds: what is compiled for one is then there for the other.
    "GOFLAGS": "-trimpath",
    "GOPROXY": "off",
    "GOTOOLCHAIN": "local",
    "GOWORK": "off",
}


def go(*arguments: str, system: str = "", folder: Path = SOURCE) -> subprocess.CompletedProcess[str]:
    """Run the go command in the launchers' source or a copy of it, for another system if one is named."""
    return run(str(find_go("")), *arguments, system=system, folder=folder)


def run(*command: str, system: str = "", folder: Path = SOURCE) -> subprocess.CompletedProcess[str]:
    """Run a tool there."""
    environment = os.environ | OFFLINE | ({"GOOS": system} if system else {})
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def root() -> Path:
    """Where the toolchain itself is."""
    return Path(go("env", "GOROOT").stdout.strip())
