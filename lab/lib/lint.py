"""Every static check of the repository, side by side."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from console import ROOT, Console, run
from results import Counts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNKEPT = frozenset(
    {
        ".ansible",
        ".cache",
        ".git",
        ".hypothesis",
        ".mypy_cache",
        ".pytest_cache",
        ".ruff_cache",
        ".venv",
        "__pycache__",
        "dist",
    }
)
SHELLS = (b"#!/bin/sh", b"#!/bin/bash", b"#!/usr/bin/env bash")


@dataclass(frozen=True)
class Linter:
    """A tool and its command line."""

    name: str
    command: tuple[str, ...]


def files(root: Path = ROOT) -> Iterator[Path]:
    """Every file that belongs to the repository, also where there is no git to ask."""
    for directory, below, names in os.walk(root):
        below[:] = sorted(set(below) - UNKEPT)
        yield from (root / directory / name for name in sorted(names))


def shell_files(root: Path = ROOT) -> list[str]:
    """Shell programs, told by their first line as the system does; what they source is checked with them."""
    found = []
    for path in files(root):
        if path.is_symlink():
            continue
        with path.open("rb") as file:
            first = file.readline(80)
        if first.startswith(SHELLS):
            found.append(str(path.relative_to(root)))
    return found


def linters() -> list[Linter]:
    """The slowest first, so that the others run beside it."""
    return [
        Linter("mypy", ("mypy",)),
        Linter("ansible-lint", ("ansible-lint", "--offline", "--strict")),
        Linter("ruff check", ("ruff", "check")),
        Linter("ruff format", ("ruff", "format", "--check", "--diff")),
        Linter("shellcheck", ("shellcheck", "--external-sources", "--check-sourced", *shell_files())),
        Linter("Windows options", ("python", "lab/lib/windows_options.py")),
        Linter("yamllint", ("yamllint", "--strict", ".")),
    ]


def lint(console: Console) -> Counts:
    """Run all linters, two at a time; what a linter finds is shown as soon as it is through."""

    def one(linter: Linter) -> bool:
        began = time.monotonic()
        with console.doing(linter.name):
            status, output = run(linter.command)
        took = time.monotonic() - began
        verdict = "found something:" if status else "is content"
        console.write(f"==> {linter.name} {verdict} ({took:.1f} s)\n{output if status else ''}")
        return status == 0

    with ThreadPoolExecutor(max_workers=2) as pool:
        passed = sum(pool.map(one, todo := linters()))
    return Counts(passed, len(todo) - passed)


def main() -> int:
    """Command line of ``make lint``."""
    console = Console()
    with console.alive():
        counts = lint(console)
    console.write(f"{counts.passed} linters passed, {counts.failed} failed\n")
    return bool(counts.failed)


if __name__ == "__main__":
    sys.exit(main())
