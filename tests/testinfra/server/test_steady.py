"""A deployed service stays untouched by another run, and that run is cheap."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.testinfra.plays import play

if TYPE_CHECKING:
    from pathlib import Path

SERVERS = ("server-deb12", "server-deb13")
RELAY = "relay-deb13"
MOST_EXECUTIONS = 4


def test_steady_run_changes_nothing_and_is_cheap(tmp_path: Path) -> None:
    counts = tmp_path / "executions.json"
    done = play(
        ",".join([*SERVERS, RELAY]),
        extra_environment={"COUNT_EXECUTIONS_FILE": str(counts), "ANSIBLE_CALLBACKS_ENABLED": "count_executions"},
    )
    assert done.status == 0, done.output
    assert done.changed == 0, [done.changes(host) for host in (*SERVERS, RELAY)]
    executions = json.loads(counts.read_text())
    for host in (*SERVERS, RELAY):
        assert 0 < executions[host]["remote"] <= MOST_EXECUTIONS, executions[host]


def test_check_mode_finds_nothing_to_do() -> None:
    done = play(",".join([*SERVERS, RELAY]), {}, "--check", "--diff")
    assert done.status == 0, done.output
    assert done.changed == 0, [done.changes(host) for host in (*SERVERS, RELAY)]
