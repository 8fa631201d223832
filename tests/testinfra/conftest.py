"""The lab's machines as fixtures of every suite."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import testinfra

# Molecule starts pytest in a scenario's directory.
sys.path.insert(0, str(Path(__file__).parents[2]))

from tests.testinfra.plays import INVENTORY, ROOT

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host


def machine(name: str) -> Host:
    """Connect to a machine of the lab."""
    assert (ROOT / ".cache" / "archive.json").is_file(), "no lab: `make scenario` lists what can be run"
    return testinfra.get_host(f"ansible://{name}", ansible_inventory=str(INVENTORY))


@pytest.fixture(scope="session")
def on() -> Callable[[str], Host]:
    """Connect to a machine of the lab by its name."""
    return machine


@pytest.fixture(scope="session")
def outside() -> Host:
    """What the other machines take for the internet."""
    return machine("outside")
