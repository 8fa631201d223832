"""Where the launchers' toolchain keeps what it has compiled: in the checkout, so that the second run is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .toolchain import CACHE

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", autouse=True)
def _cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOCACHE", str(CACHE))
        yield
