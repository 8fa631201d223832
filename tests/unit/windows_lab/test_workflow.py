"""The workflow for real Windows runs what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[3]
WORKFLOW = ROOT / ".github" / "workflows" / "windows.yml"
TEXT = WORKFLOW.read_text(encoding="utf-8")
JOBS: dict[str, dict[str, Any]] = yaml.safe_load(TEXT)["jobs"]
JOB = JOBS["windows"]


def test_actions_are_pinned() -> None:
    actions = [step["uses"] for job in JOBS.values() for step in job["steps"] if "uses" in step]
    assert actions
    assert [action for action in actions if not re.search(r"@(v\d+\.\d+\.\d+|[0-9a-f]{40})$", action)] == []


def test_it_may_read_and_no_more() -> None:
    assert yaml.safe_load(TEXT)["permissions"] == {"contents": "read"}
    assert [job for job in JOBS.values() if "permissions" in job] == []


def test_it_runs_on_both_servers() -> None:
    assert [job["strategy"]["matrix"]["os"] for job in JOBS.values()] == [["windows-2022", "windows-2025"]] * 2


def test_every_file_it_names_is_there() -> None:
    named = set(re.findall(r"(?<![\w/.])((?:\.github|playbooks|tests)/[\w./-]+\.\w+|requirements\.lock)", TEXT))
    assert "playbooks/endpoints.yml" in named
    assert [name for name in sorted(named) if not (ROOT / name).is_file()] == []


def test_its_inventory_names_the_host_that_is_asked_for() -> None:
    hosts = yaml.safe_load((ROOT / ".github" / "windows" / "hosts.yml").read_text(encoding="utf-8"))
    group = hosts["all"]["children"]["rustdesk_endpoints"]["children"]["rustdesk_endpoints_windows"]
    assert list(group["hosts"]) == [JOB["env"]["WINDOWS_HOST"]]
    assert "StrictHostKeyChecking=yes" in group["hosts"]["runner"]["ansible_ssh_common_args"]
