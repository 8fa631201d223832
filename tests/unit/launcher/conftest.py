"""Where the launchers' toolchain keeps what it has compiled: in the checkout, so that the second run is quick."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .crosscheck import Launcher
from .toolchain import CACHE, go

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="package", autouse=True)
def _cache() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GOCACHE", str(CACHE))
        yield


@pytest.fixture(scope="package")
def launcher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Launcher]:
    program = tmp_path_factory.mktemp("crosscheck") / "crosscheck"
    done = go("build", "-o", str(program), "./internal/crosscheck")
    assert done.returncode == 0, done.stderr
    found = Launcher(program)
    yield found
    found.end()
