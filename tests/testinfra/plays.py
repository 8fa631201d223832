"""Run the project's playbooks as an operator does, and read what came of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
INVENTORY = ROOT / "inventories" / "lab"
ANSIBLE_PLAYBOOK = Path(sys.executable).with_name("ansible-playbook")
PLAY_SECONDS = 300


@dataclass(frozen=True)
class Play:
    """A finished run of a playbook: exit status, what it printed, and its result in Ansible's JSON form."""

    status: int
    output: str
    result: dict[str, Any]

    @property
    def changed(self) -> int:
        """How many tasks changed something, on all hosts."""
        return sum(stats["changed"] for stats in self.result["stats"].values())

    def failure(self, host: str) -> str:
        """The message of the last task that failed on a host; empty when none did."""
        results = [result for _, result in self.results(host) if result.get("failed")]
        return str(results[-1].get("msg", "")) if results else ""

    def results(self, host: str) -> list[tuple[str, dict[str, Any]]]:
        """Name and result of every task a host ran."""
        return [
            (task["task"]["name"], task["hosts"][host])
            for play in self.result["plays"]
            for task in play["tasks"]
            if host in task["hosts"]
        ]

    def changes(self, host: str) -> list[str]:
        """Names of the tasks that changed something on a host."""
        return [name for name, result in self.results(host) if result.get("changed")]


def lab_name() -> str:
    """Name of the lab under test, as the inventory takes it from the environment."""
    return os.environ.get("RUSTDESK_LAB", "demo")


def environment(**extra: str) -> dict[str, str]:
    """This process's environment with the project's configuration, and with what is given besides."""
    return {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1", **extra}


def command(playbook: str, limit: str, variables: dict[str, Any], *options: str) -> list[str]:
    """The command line of a run."""
    line = [str(ANSIBLE_PLAYBOOK), f"--inventory={INVENTORY}", f"--limit={limit}", str(ROOT / "playbooks" / playbook)]
    return [*line, "--extra-vars", json.dumps(variables), *options]


def play(
    limit: str,
    variables: dict[str, Any] | None = None,
    *options: str,
    playbook: str = "server.yml",
    extra_environment: dict[str, str] | None = None,
) -> Play:
    """Run a playbook on some hosts of the lab with extra variables, and wait for its end."""
    done = subprocess.run(
        command(playbook, limit, variables or {}, *options),
        env=environment(ANSIBLE_STDOUT_CALLBACK="ansible.posix.json", **(extra_environment or {})),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PLAY_SECONDS,
        check=False,
    )
    return Play(done.returncode, done.stdout + done.stderr, result_in(done.stdout))


def result_in(printed: str) -> dict[str, Any]:
    """The result in Ansible's JSON form, which warnings may stand before; empty when there is none."""
    start = printed.find("{")
    return json.JSONDecoder().raw_decode(printed[start:])[0] if start >= 0 else {}


def deploy(limit: str, **variables: Any) -> Play:
    """Deploy, and expect it to succeed."""
    done = play(limit, variables)
    assert done.status == 0, done.failure(limit) or done.output
    return done
