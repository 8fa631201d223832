"""The lab's machines as fixtures, with the server that endpoints are to reach."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import testinfra

# Runs of playbooks are read the same way in every suite.
sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1] / "server")]

from tests.testinfra.firewall.firewall_lab import SERVER  # noqa: E402

from plays import INVENTORY, play  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host


@pytest.fixture(scope="session")
def on() -> Callable[[str], Host]:
    """Connect to a machine of the lab by its name."""

    def connect(name: str) -> Host:
        return testinfra.get_host(f"ansible://{name}", ansible_inventory=str(INVENTORY))

    return connect


@pytest.fixture(scope="session", autouse=True)
def server_key(on: Callable[[str], Host]) -> Iterator[str]:
    """Deploy the server, tell its public key, and in the end leave it without rules, for other suites."""
    done = play(SERVER)
    assert done.status == 0, done.output
    yield on(SERVER).check_output("cat /var/lib/rustdesk-server/id_ed25519.pub")
    done = play(SERVER, {"rustdesk_firewall_state": "absent"}, playbook="firewall.yml")
    assert done.status == 0, done.output
