"""The server that endpoints are to reach, as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.firewall.firewall_lab import SERVER
from tests.testinfra.plays import play

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host


@pytest.fixture(scope="session", autouse=True)
def server_key(on: Callable[[str], Host]) -> Iterator[str]:
    """Deploy the server, tell its public key, and in the end leave it without rules, for other suites."""
    done = play(SERVER)
    assert done.status == 0, done.output
    yield on(SERVER).check_output("cat /var/lib/rustdesk-server/id_ed25519.pub")
    done = play(SERVER, {"rustdesk_firewall_state": "absent"}, playbook="firewall.yml")
    assert done.status == 0, done.output
