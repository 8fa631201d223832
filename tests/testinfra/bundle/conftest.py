"""The machine that the bundle is published on, as a fixture."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import testinfra
from ansible import module_utils

# Runs of playbooks are read the same way in every suite.
sys.path[:0] = [str(Path(__file__).parents[3]), str(Path(__file__).parents[1] / "server")]

from plays import INVENTORY, ROOT  # noqa: E402

# The certificates of the unit tests are made beside what checks them.
module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))

if TYPE_CHECKING:
    from testinfra.host import Host


@pytest.fixture(scope="session")
def downloads() -> Host:
    """Where customers download from."""
    return testinfra.get_host("ansible://downloads", ansible_inventory=str(INVENTORY))


def pytest_configure() -> None:
    """Say so when the suite is run against nothing."""
    assert (ROOT / ".cache" / "client.json").is_file(), "no lab: run `make scenario NAME=rustdesk_bundle`"
