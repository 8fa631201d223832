"""What ran and what came of it, read from files that the tools left: an exit status alone is not believed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from xml.etree import ElementTree as ET

if TYPE_CHECKING:
    from pathlib import Path

CONTROLLER = "localhost"


@dataclass(frozen=True)
class Counts:
    """How many checks passed, failed (errors among them), and did not run."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.passed + other.passed, self.failed + other.failed, self.skipped + other.skipped)

    @property
    def executed(self) -> int:
        """Those that ran."""
        return self.passed + self.failed


def pytest_counts(report: Path) -> Counts:
    """The counts in a JUnit report of pytest's; all zero when there is no report."""
    if not report.exists():
        return Counts()
    total = Counts()
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314  # written by our own pytest
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped = int(suite.get("skipped", 0))
        total += Counts(int(suite.get("tests", 0)) - failed - skipped, failed, skipped)
    return total


@dataclass(frozen=True)
class Play:
    """One run of a playbook: its name, and the counts of its tasks on each machine (the controller is none)."""

    playbook: str
    machines: dict[str, Counts]

    @property
    def total(self) -> Counts:
        """The counts over all machines."""
        return sum(self.machines.values(), Counts())


def plays(record: Path) -> list[Play]:
    """The playbook runs that the lab_record callback wrote down, in their order; none when there is no record."""
    if not record.exists():
        return []
    lines = record.read_text(encoding="utf-8").splitlines()
    return [_play(json.loads(line)) for line in lines]


def _play(line: dict[str, object]) -> Play:
    hosts = line["hosts"]
    if not isinstance(hosts, dict):
        raise TypeError("the record of a playbook has no hosts")
    machines = {
        host: Counts(passed=counts["ran"], failed=counts["failed"])
        for host, counts in hosts.items()
        if host != CONTROLLER
    }
    return Play(str(line["playbook"]), machines)
