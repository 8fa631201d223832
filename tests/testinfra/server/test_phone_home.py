"""hbbs posts a fingerprint of its host to the vendor every day; the role blocks that for good."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.testinfra.plays import deploy

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

SERVER = "server-deb13"
CALL_SECONDS = 15
QUIET_SECONDS = 4


def callers(outside: Host) -> set[str]:
    """Addresses that have connected to what stands in for the vendor."""
    return {line.split()[1] for line in outside.check_output("cat /var/log/outside/connections").splitlines()}


def forget(outside: Host) -> None:
    outside.check_output("truncate --size 0 /var/log/outside/connections")


def test_no_call_reaches_the_vendor_unless_allowed(on: Callable[[str], Host], outside: Host) -> None:
    server = on(SERVER)
    address = server.check_output("hostname -I").strip()
    try:
        forget(outside)
        deploy(SERVER, rustdesk_server_phone_home=True)
        deadline = time.monotonic() + CALL_SECONDS
        while address not in callers(outside):
            assert time.monotonic() < deadline, (
                "hbbs did not call even when allowed, so its silence would prove nothing"
            )
            time.sleep(0.2)
    finally:
        deploy(SERVER)

    forget(outside)
    for _ in range(2):
        server.check_output("systemctl restart rustdesk-hbbs.service")
        time.sleep(QUIET_SECONDS)
    assert address not in callers(outside)
