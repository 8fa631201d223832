"""The lab's machines as fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import testinfra

from plays import INVENTORY, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host

PROBE_SECONDS = 60


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


@pytest.fixture(scope="session")
def client() -> Host:
    """The machine that clients and proofs run on."""
    return machine("client-deb12")


def pytest_configure() -> None:
    """Say so when the suite is run against nothing."""
    assert (ROOT / ".cache" / "archive.json").is_file(), "no lab: run `make scenario NAME=rustdesk_server`"
