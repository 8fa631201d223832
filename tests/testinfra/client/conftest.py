"""The lab's endpoints as fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.testinfra.client.endpoints import ENDPOINT, Package, build_package, reset

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

USERS = ("anna", "bert")


def emptied(host: Host) -> None:
    """Take everything of RustDesk off an endpoint, without the role."""
    host.run("systemctl stop rustdesk")
    host.run("pkill -f /usr/bin/rustdesk")
    host.run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge rustdesk")
    host.check_output("rm -rf /root/.config/rustdesk /home/*/.config /root/.config")


@pytest.fixture
def endpoint(on: Callable[[str], Host]) -> Iterator[Host]:
    """An endpoint with two users and nothing of RustDesk."""
    host = on(ENDPOINT)
    for user in USERS:
        host.check_output(f"id {user} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {user}")
    emptied(host)
    yield host
    emptied(host)


@pytest.fixture(scope="session")
def package() -> Package:
    """The stub package, built and served."""
    return build_package()


@pytest.fixture(scope="session", autouse=True)
def _left_as_converged() -> Iterator[None]:
    yield
    reset()
