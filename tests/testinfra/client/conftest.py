"""The lab's endpoints as fixtures."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import testinfra

# Runs of playbooks are read the same way in every suite.
sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1] / "server")]

from tests.testinfra.client.endpoints import ENDPOINT, Package, build_package, reset  # noqa: E402

from plays import INVENTORY, ROOT  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from testinfra.host import Host

USERS = ("anna", "bert")


def machine(name: str) -> Host:
    """Connect to a machine of the lab."""
    return testinfra.get_host(f"ansible://{name}", ansible_inventory=str(INVENTORY))


@pytest.fixture(scope="session")
def on() -> Callable[[str], Host]:
    """Connect to a machine of the lab by its name."""
    return machine


@pytest.fixture(scope="session")
def outside() -> Host:
    """What the other machines take for the internet."""
    return machine("outside")


def emptied(host: Host) -> None:
    """Take everything of RustDesk off an endpoint, without the role."""
    host.run("systemctl stop rustdesk")
    host.run("pkill -f /usr/bin/rustdesk")
    host.run("DEBIAN_FRONTEND=noninteractive apt-get -qq -y purge rustdesk")
    host.check_output("rm -rf /root/.config/rustdesk /home/*/.config /root/.config")


@pytest.fixture
def endpoint() -> Iterator[Host]:
    """An endpoint with two users and nothing of RustDesk."""
    host = machine(ENDPOINT)
    for user in USERS:
        host.check_output(f"id {user} >/dev/null 2>&1 || useradd --create-home --shell /bin/bash {user}")
    emptied(host)
    yield host
    emptied(host)


@pytest.fixture(scope="session")
def package() -> Package:
    """The stub package, built and served."""
    return build_package()


def pytest_configure() -> None:
    """Say so when the suite is run against nothing."""
    assert (ROOT / ".cache" / "archive.json").is_file(), "no lab: run `make scenario NAME=rustdesk_client`"


@pytest.fixture(scope="session", autouse=True)
def _left_as_converged() -> Iterator[None]:
    yield
    reset()
