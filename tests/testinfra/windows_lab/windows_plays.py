"""Run Windows tasks as Ansible does, and read what each one answered."""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import yaml
from tests.testinfra.plays import ANSIBLE_PLAYBOOK, ROOT, environment, result_in

# The workflow for real Windows names an inventory and a host of its own.
INVENTORY = os.environ.get("WINDOWS_INVENTORY") or str(ROOT / "inventories" / "lab")
HOST = os.environ.get("WINDOWS_HOST") or "endpoint-windows"
PLAY_SECONDS = 600
FLAGS = ("changed", "failed", "skipped", "unreachable")

Task = dict[str, Any]
Result = dict[str, Any]


def run(tasks: list[Task], *options: str) -> list[Result]:
    """Run tasks one after the other, whatever comes of each, and return their results in order."""
    named = [{"name": str(number), "ignore_errors": True, **task} for number, task in enumerate(tasks)]
    play = [{"hosts": HOST, "gather_facts": False, "tasks": named}]
    with tempfile.TemporaryDirectory() as directory:
        playbook = Path(directory) / "tasks.yml"
        playbook.write_text(yaml.safe_dump(play, allow_unicode=True), encoding="utf-8")
        done = subprocess.run(
            [str(ANSIBLE_PLAYBOOK), f"--inventory={INVENTORY}", str(playbook), *options],
            env=environment(ANSIBLE_STDOUT_CALLBACK="ansible.posix.json"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PLAY_SECONDS,
            check=False,
        )
    result = result_in(done.stdout)
    assert result, done.stdout + done.stderr
    flags = dict.fromkeys(FLAGS, False)
    results = [flags | task["hosts"][HOST] for task in result["plays"][0]["tasks"]]
    assert len(results) == len(tasks), results[-1]
    return results


def one(module: str, arguments: dict[str, Any] | str, **keywords: Any) -> Result:
    """Run one task."""
    return run([{module: arguments, **keywords}])[0]


def at(result: Any, way: str) -> Any:
    """What stands in a result at the end of a way of names and numbers; KeyError when there is no such place."""
    if not way:
        return result
    first, _, rest = way.partition(".")
    if isinstance(result, list):
        return at(result[int(first)], rest)
    return at(result[first], rest)
