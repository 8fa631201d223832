"""The machine that clients and proofs run on, as a fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable

    from testinfra.host import Host


@pytest.fixture(scope="session")
def client(on: Callable[[str], Host]) -> Host:
    """The machine that clients and proofs run on."""
    return on("client-deb12")
