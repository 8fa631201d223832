"""Programs as the module builds them, once per run of the tests."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import rustdesk_launchers

from ..server.support import run_module  # noqa: TID252 - the tests are no installed package
from .toolchain import SOURCE

SITE: dict[str, Any] = {
    "company": "Example & Söhne",
    "host": "rustdesk.example.org",
    "key": "5Qbwsde3unUcJBtrx9ZkvUmwFNoExHzpryHuPUdqlWM=",
    "relay": "",
    "proven_relay": "",
    "api": "",
    "port": 21116,
    "relay_port": 21117,
    "download_url": "https://dl.example.org/rd",
    "email": "support@example.org",
    "phone": "+49 30 901820",
}
ARGUMENTS: dict[str, Any] = {
    "source": str(SOURCE),
    "site": SITE,
    "client": {"version": "1.4.9", "sha256": "eaedeb0088e687bf46f7c46a9c6ea5493ce51f3134dfd6acbedb47b5b9136274"},
    "launcher_name": "rustdesk-example.exe",
    "version": "1.2.3",
}


def build(output: Path, *, check: bool = False, **changes: Any) -> dict[str, Any]:
    """Run the module and return what it tells Ansible."""
    return run_module(rustdesk_launchers.main, {**ARGUMENTS, "output": str(output), **changes}, check=check)


@functools.cache
def built(folder: Path) -> dict[str, Path]:
    """The programs by architecture and name."""
    result = build(folder / "programs")
    assert result.get("files"), result
    return {f"{file['architecture']}/{file['name']}": Path(file["path"]) for file in result["files"]}
