"""The machine that the bundle is published on, as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from ansible import module_utils
from tests.testinfra.plays import ROOT

# The certificates of the unit tests are made beside what checks them.
module_utils.__path__.append(str(ROOT / "plugins" / "module_utils"))

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host


@pytest.fixture(scope="session")
def downloads(on: Callable[[str], Host]) -> Host:
    """Where customers download from."""
    return on("downloads")
